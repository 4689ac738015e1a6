// EntryPayload.swift: the bytes of one batch as they stand in the log and go to peers.
// Belongs here: header, compression. Never here: ranges within a page (PageDiff.swift), log records
// (WAL/).
// Source of the layout: Docs.docc/Pages.md, "Entry". Integers are little-endian.

internal import CLZ4

/// The fixed part of an entry.
struct EntryHeader: Equatable {
    static let bytes = 48
    static let version: UInt8 = 1
    static let compressedFlag: UInt8 = 1

    var rawBytes: UInt32 = 0
    var isCompressed = false
    var pageCount: UInt32
    var changedPages: UInt32
    var databaseHash: UInt64
    var header: StateHeader

    /// Writes the 48 bytes.
    func write(to output: UnsafeMutableRawPointer) {
        output.storeBytes(of: Self.version, as: UInt8.self)
        (output + 1).storeBytes(of: isCompressed ? Self.compressedFlag : 0, as: UInt8.self)
        (output + 2).storeBytes(of: 0, as: UInt16.self)
        (output + 4).storeBytes(of: rawBytes.littleEndian, as: UInt32.self)
        (output + 8).storeBytes(of: pageCount.littleEndian, as: UInt32.self)
        (output + 12).storeBytes(of: changedPages.littleEndian, as: UInt32.self)
        (output + 16).storeBytes(of: databaseHash.littleEndian, as: UInt64.self)
        (output + 24).storeBytes(of: header.revision.littleEndian, as: Int64.self)
        (output + 32).storeBytes(of: header.compactedRevision.littleEndian, as: Int64.self)
        (output + 40).storeBytes(of: header.spare.littleEndian, as: Int64.self)
    }

    /// Reads and checks the 48 bytes; nil if they are not a header.
    init?(_ reader: inout ByteReader) {
        guard let version = reader.integer(UInt8.self), version == Self.version,
            let flags = reader.integer(UInt8.self), flags <= Self.compressedFlag,
            let reserved = reader.integer(UInt16.self), reserved == 0,
            let rawBytes = reader.integer(UInt32.self), rawBytes <= PageLimits.entryBytesMax,
            let pageCount = reader.integer(UInt32.self), pageCount <= PageLimits.pagesMax,
            let changedPages = reader.integer(UInt32.self), changedPages <= pageCount,
            changedPages <= PageLimits.entryPagesMax,
            let databaseHash = reader.integer(UInt64.self),
            let revision = reader.integer(Int64.self),
            let compactedRevision = reader.integer(Int64.self),
            let spare = reader.integer(Int64.self)
        else { return nil }
        self.rawBytes = rawBytes
        isCompressed = flags == Self.compressedFlag
        self.pageCount = pageCount
        self.changedPages = changedPages
        self.databaseHash = databaseHash
        header = StateHeader(
            revision: revision, compactedRevision: compactedRevision, spare: spare)
    }

    init(pageCount: UInt32, changedPages: UInt32, databaseHash: UInt64, header: StateHeader) {
        self.pageCount = pageCount
        self.changedPages = changedPages
        self.databaseHash = databaseHash
        self.header = header
    }
}

extension StateHeader {
    /// The header of a state that an entry leads to, without applying it; nil if these are not an
    /// entry's bytes.
    ///
    /// For watches and metrics of a node that has the entry but not yet the state.
    public init?(entryPayload: [UInt8]) {
        let found = entryPayload.withUnsafeBytes { bytes -> EntryHeader? in
            guard let start = bytes.baseAddress else { return nil }
            var reader = ByteReader(start, count: bytes.count)
            return EntryHeader(&reader)
        }
        guard let found else { return nil }
        self = found.header
    }
}

/// Memory that grows to the largest batch and is reused.
struct EntryBuffer: ~Copyable {
    private(set) var start = UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 16)
    private(set) var capacity = 1 << 16

    deinit {
        start.deallocate()
    }

    /// Makes room for `bytes`, keeping the first `used`.
    mutating func reserve(_ bytes: Int, keeping used: Int) {
        guard bytes > capacity else { return }
        let size = max(bytes, capacity * 2)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        larger.copyMemory(from: start, byteCount: used)
        start.deallocate()
        start = larger
        capacity = size
    }

    /// Values that are compressed or random already are passed over four times as fast.
    private static let lz4Acceleration: Int32 = 4

    /// The entry of `header` and the first `count` bytes of this buffer, compressed where that
    /// pays.
    func payload(_ header: EntryHeader, count: Int) -> [UInt8] {
        var header = header
        header.rawBytes = UInt32(count)
        let bound =
            count >= PageLimits.compressBytesMin ? Int(LZ4_compressBound(Int32(count))) : count
        return [UInt8](unsafeUninitializedCapacity: EntryHeader.bytes + bound) { output, filled in
            guard let base = output.baseAddress else { return }
            let room = UnsafeMutableRawPointer(base)
            let body = room + EntryHeader.bytes
            filled = EntryHeader.bytes + count
            if count >= PageLimits.compressBytesMin {
                let size = LZ4_compress_fast(
                    start.assumingMemoryBound(to: CChar.self),
                    body.assumingMemoryBound(to: CChar.self), Int32(count), Int32(bound),
                    Self.lz4Acceleration)
                if size > 0 && Int(size) < count {
                    header.isCompressed = true
                    filled = EntryHeader.bytes + Int(size)
                }
            }
            if !header.isCompressed { body.copyMemory(from: start, byteCount: count) }
            header.write(to: room)
        }
    }

    /// Unpacks the body behind a header; nil if it is not what the header says.
    mutating func unpack(_ header: EntryHeader, _ reader: inout ByteReader) -> ByteReader? {
        let count = Int(header.rawBytes)
        let stored = reader.remaining
        guard let body = reader.bytes(stored) else { return nil }
        guard header.isCompressed else {
            return stored == count ? ByteReader(body, count: count) : nil
        }
        guard stored > 0 else { return nil }
        reserve(count, keeping: 0)
        let size = LZ4_decompress_safe(
            body.assumingMemoryBound(to: CChar.self), start.assumingMemoryBound(to: CChar.self),
            Int32(stored), Int32(count))
        return Int(size) == count ? ByteReader(start, count: count) : nil
    }
}
