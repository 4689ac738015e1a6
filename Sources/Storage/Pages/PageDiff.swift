// PageDiff.swift: the byte ranges in which a page differs from its previous version, and putting
// them back.
// Belongs here: one page. Never here: which pages, headers, compression (EntryPayload.swift).
// Ranges are absolute new bytes, so that applying them twice, or to a torn page, gives the same
// result.
// Format: (length, gap, bytes)* 0; length >= 1; gap counts from the end of the range before;
// numbers are LEB128.

internal import Glibc

enum PageDiff {
    /// The most bytes `encode` writes for one page: every other 9 bytes a range, with its two
    /// numbers.
    static let bytesMax = PageLimits.pageBytes * 2
    /// A gap this long costs more than the numbers of another range.
    private static let gapMin = 8
    /// Pages are compared in pieces of this size by the widest instructions, then by words.
    private static let blockBytes = 256

    /// Writes what changed from `old` to `new`; returns the end of it, `output` itself if nothing
    /// did.
    ///
    /// Both pages are aligned to 8; nil stands for a page of zeroes. `output` has room for
    /// `bytesMax`.
    static func encode(
        old: UnsafeRawPointer?, new: UnsafeRawPointer, to output: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        var writer = RangeWriter(output: output, page: new)
        if let old {
            for block in stride(from: 0, to: PageLimits.pageBytes, by: blockBytes)
            where memcmp(old + block, new + block, blockBytes) != 0 {
                for word in stride(from: block, to: block + blockBytes, by: 8) {
                    let difference =
                        old.load(fromByteOffset: word, as: UInt64.self)
                        ^ new.load(fromByteOffset: word, as: UInt64.self)
                    if difference != 0 { writer.note(difference.littleEndian, at: word) }
                }
            }
        } else {
            for word in stride(from: 0, to: PageLimits.pageBytes, by: 8) {
                let difference = new.load(fromByteOffset: word, as: UInt64.self)
                if difference != 0 { writer.note(difference.littleEndian, at: word) }
            }
        }
        return writer.finish()
    }

    /// Collects differing bytes into ranges.
    private struct RangeWriter {
        var output: UnsafeMutableRawPointer
        let page: UnsafeRawPointer
        var start = 0
        var end = 0
        var writtenEnd = 0

        @inline(__always)
        mutating func note(_ difference: UInt64, at word: Int) {
            let first = word + difference.trailingZeroBitCount >> 3
            let last = word + 8 - difference.leadingZeroBitCount >> 3
            if end > start && first - end < gapMin {
                end = last
                return
            }
            flush()
            start = first
            end = last
        }

        mutating func flush() {
            guard end > start else { return }
            output = VarInt.write(UInt32(end - start), to: output)
            output = VarInt.write(UInt32(start - writtenEnd), to: output)
            output.copyMemory(from: page + start, byteCount: end - start)
            output += end - start
            writtenEnd = end
        }

        mutating func finish() -> UnsafeMutableRawPointer {
            guard end > start else { return output }
            flush()
            return VarInt.write(0, to: output)
        }
    }

    /// Applies ranges to a page; false if they are not well formed.
    static func apply(_ reader: inout ByteReader, to page: UnsafeMutableRawPointer) -> Bool {
        var position = 0
        while true {
            guard let length = reader.number() else { return false }
            if length == 0 { return true }
            guard let gap = reader.number() else { return false }
            position += Int(gap)
            guard position + Int(length) <= PageLimits.pageBytes,
                let bytes = reader.bytes(Int(length))
            else { return false }
            (page + position).copyMemory(from: bytes, byteCount: Int(length))
            position += Int(length)
        }
    }
}
