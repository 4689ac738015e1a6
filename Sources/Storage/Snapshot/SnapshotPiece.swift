// SnapshotPiece.swift: some pages of a snapshot as they travel between members.
// Belongs here: bytes, bounds, the check of each page against its hash. Never here: which pages,
// where they go.
// Source of the layout: Docs.docc/Pages.md, "Snapshots between members". Integers are
// little-endian.

internal import CLZ4

/// What stands in front of a page in a piece.
struct SnapshotPageHeader: Equatable {
    static let bytes = 22

    var page: UInt32
    /// The index of the entry that last changed it.
    var index: UInt64
    /// `PageHash` of its bytes.
    var hash: UInt64
}

/// Builds one piece.
struct SnapshotPieceWriter: ~Copyable {
    static let version: UInt8 = 1
    static let headerBytes = 3
    /// The most that one page takes.
    static let pageBytesMax = SnapshotPageHeader.bytes + PageLimits.pageBytes

    private(set) var bytes: [UInt8] = [version, 0, 0]
    private(set) var count: UInt16 = 0
    private let room = UnsafeMutablePointer<CChar>.allocate(capacity: PageLimits.pageBytes)

    deinit {
        room.deallocate()
    }

    /// Whether another page fits for certain.
    func hasRoom(bytesMax: Int) -> Bool {
        count == 0
            || (count < PageLimits.piecePagesMax && bytes.count + Self.pageBytesMax <= bytesMax)
    }

    /// Adds a page, compressed if that makes it smaller.
    mutating func append(_ header: SnapshotPageHeader, _ page: UnsafeRawPointer) {
        bytes.append(header.page)
        bytes.append(header.index)
        bytes.append(SideFile.mix(header.hash, header.index))
        let size = LZ4_compress_default(
            page.assumingMemoryBound(to: CChar.self), room, Int32(PageLimits.pageBytes),
            Int32(PageLimits.pageBytes - 1))
        if size > 0 {
            bytes.append(UInt16(size))
            bytes.append(contentsOf: UnsafeRawBufferPointer(start: room, count: Int(size)))
        } else {
            bytes.append(UInt16(PageLimits.pageBytes))
            bytes.append(
                contentsOf: UnsafeRawBufferPointer(start: page, count: PageLimits.pageBytes))
        }
        count += 1
    }

    /// The piece.
    consuming func finish() -> [UInt8] {
        bytes[1] = UInt8(truncatingIfNeeded: count)
        bytes[2] = UInt8(truncatingIfNeeded: count >> 8)
        return bytes
    }
}

enum SnapshotPiece {
    /// Reads a piece, giving each page's bytes as they are in the database, aligned to 8.
    ///
    /// - Throws: `corrupt` if these are not a piece's bytes, or a page is not what its hash says.
    static func read(
        _ piece: [UInt8],
        _ each: (SnapshotPageHeader, UnsafeRawPointer) throws(StorageError) -> Void
    ) throws(StorageError) {
        let room = UnsafeMutableRawPointer.allocate(
            byteCount: PageLimits.pageBytes, alignment: 64)
        defer { room.deallocate() }
        try piece.withUnsafeBufferPointer { (all) throws(StorageError) in
            guard let start = all.baseAddress else { throw malformed("it is empty") }
            var reader = ByteReader(start, count: all.count)
            guard reader.integer(UInt8.self) == SnapshotPieceWriter.version,
                let count = reader.integer(UInt16.self), count > 0,
                count <= PageLimits.piecePagesMax
            else { throw malformed("no header, or more pages than a piece may have") }
            for _ in 0..<count {
                guard let page = reader.integer(UInt32.self),
                    let index = reader.integer(UInt64.self),
                    let mixed = reader.integer(UInt64.self),
                    let stored = reader.integer(UInt16.self),
                    stored > 0, stored <= PageLimits.pageBytes,
                    let bytes = reader.bytes(Int(stored)), unpack(bytes, Int(stored), to: room)
                else { throw malformed("a page is cut short") }
                let hash = SideFile.mix(mixed, index)
                guard PageHash.hash(page: page, room) == hash else {
                    throw malformed("page \(page) does not match its checksum")
                }
                try each(SnapshotPageHeader(page: page, index: index, hash: hash), room)
            }
            guard reader.remaining == 0 else { throw malformed("bytes behind its end") }
        }
    }

    private static func unpack(
        _ bytes: UnsafeRawPointer, _ count: Int, to room: UnsafeMutableRawPointer
    ) -> Bool {
        guard count < PageLimits.pageBytes else {
            room.copyMemory(from: bytes, byteCount: PageLimits.pageBytes)
            return true
        }
        let size = LZ4_decompress_safe(
            bytes.assumingMemoryBound(to: CChar.self), room.assumingMemoryBound(to: CChar.self),
            Int32(count), Int32(PageLimits.pageBytes))
        return Int(size) == PageLimits.pageBytes
    }

    static func malformed(_ reason: String) -> StorageError {
        .corrupt(file: "snapshot", offset: 0, reason: "a piece from the sender: \(reason)")
    }
}
