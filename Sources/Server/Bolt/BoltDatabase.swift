// BoltDatabase.swift: a bbolt file, read only: which state it holds, and its pages, each checked.
// Belongs here: metas, reading a page with what follows it. Never here: trees (BoltCursor.swift).
// Source: bbolt's rules for opening: the valid meta with the higher transaction counts.
// The freelist is not looked at: what is reachable from the root is what there is.

/// Where the bytes of a bbolt file come from.
public protocol BoltSource: AnyObject {
    /// The length in bytes.
    var byteCount: UInt64 { get }
    /// Fills `buffer` from `offset`; the range lies within the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(BoltError)
}

/// An open bbolt file; confined to one thread at a time.
public final class BoltDatabase {
    let source: any BoltSource
    let meta: BoltMeta
    /// Why the other meta page does not count, if it is damaged: the last write may be missing.
    public let damagedMeta: BoltError?
    let pageSize: Int

    /// Finds the newest state.
    ///
    /// - Throws: `foreign` if neither meta page is one, `damaged` if the file is shorter than it says.
    public init(_ source: any BoltSource) throws(BoltError) {
        self.source = source
        let (found, damage) = try Self.findMeta(source)
        meta = found
        damagedMeta = damage
        pageSize = Int(found.pageSize)
        let pages = source.byteCount / UInt64(pageSize)
        guard found.highWater <= pages else {
            throw .damaged(
                page: pages,
                reason: "the file ends there, but it should have \(found.highWater) pages")
        }
        guard found.highWater >= 3 else {
            throw .damaged(page: 0, reason: "it has \(found.highWater) pages")
        }
        guard (2..<found.highWater).contains(found.root) else {
            throw .damaged(page: found.root, reason: "the root lies outside of the file")
        }
    }

    /// Pages up to the high-water mark.
    public var pageCount: UInt64 { meta.highWater }
    /// The number of the transaction that wrote this state.
    public var transaction: UInt64 { meta.transaction }

    /// The entries of the root: one for each bucket.
    public func buckets() throws(BoltError) -> BoltCursor {
        BoltCursor(self, root: meta.root)
    }

    /// The entries of a bucket; nil if there is no such bucket.
    public func bucket(_ name: String) throws(BoltError) -> BoltCursor? {
        let cursor = try buckets()
        while try cursor.next() {
            guard cursor.key.elementsEqual(name.utf8) else { continue }
            return try cursor.openBucket()
        }
        return nil
    }

    private static func findMeta(
        _ source: any BoltSource
    ) throws(BoltError) -> (BoltMeta, damage: BoltError?) {
        var first: Result<BoltMeta, BoltError> = .failure(.foreign(reason: "it is too short"))
        if let found = try readMeta(source, at: 0) { first = found }
        switch first {
        case .success(let meta):
            guard let other = try readMeta(source, at: UInt64(meta.pageSize)) else {
                throw .damaged(page: 1, reason: "the file ends before it")
            }
            switch other {
            case .success(let second):
                guard second.pageSize == meta.pageSize else {
                    return (meta, .damaged(page: 1, reason: "it names another page size"))
                }
                return (second.transaction > meta.transaction ? second : meta, nil)
            case .failure(let error): return (meta, error)
            }
        case .failure(let error):
            // The second page lies where the page size says, which only the second page says now.
            for size in BoltFormat.pageSizes {
                guard case .success(let meta)? = try readMeta(source, at: UInt64(size)),
                    meta.pageSize == size
                else { continue }
                return (meta, error)
            }
            throw error
        }
    }

    /// The meta page at an offset; nil if the file ends before.
    private static func readMeta(
        _ source: any BoltSource, at offset: UInt64
    ) throws(BoltError) -> Result<BoltMeta, BoltError>? {
        let size = BoltFormat.headerBytes + BoltFormat.metaBytes
        guard source.byteCount >= offset + UInt64(size) else { return nil }
        let room = BoltRoom(byteCount: size)
        try source.read(into: room.bytes, at: offset)
        let header = BoltPageHeader(UnsafeRawBufferPointer(room.bytes))
        let content = UnsafeRawBufferPointer(rebasing: room.bytes[BoltFormat.headerBytes...])
        guard case .success(let meta) = BoltMeta.read(content) else {
            return BoltMeta.read(content)
        }
        let number = offset == 0 ? 0 : UInt64(1)
        guard header.flags == BoltPageKind.meta.rawValue, header.id == number else {
            return .failure(.damaged(page: number, reason: "it is not marked as a meta page"))
        }
        guard BoltFormat.pageSizes.contains(Int(meta.pageSize)) else {
            return .failure(.foreign(reason: "pages of \(meta.pageSize) bytes"))
        }
        return .success(meta)
    }

    /// Reads a page of a tree with its overflow into `room`, and checks its head.
    func readPage(_ number: UInt64, into room: BoltRoom) throws(BoltError) -> BoltPage {
        guard number >= 2, number < pageCount else {
            throw .damaged(page: number, reason: "it lies outside of the file's \(pageCount) pages")
        }
        room.reserve(pageSize)
        try source.read(into: room.prefix(pageSize), at: number * UInt64(pageSize))
        let header = BoltPageHeader(UnsafeRawBufferPointer(room.prefix(pageSize)))
        guard header.id == number else {
            throw .damaged(page: number, reason: "it says that it is page \(header.id)")
        }
        guard let kind = BoltPageKind(rawValue: header.flags), kind == .branch || kind == .leaf
        else {
            throw .damaged(
                page: number, reason: "it is no part of a tree: flags \(header.flags)")
        }
        guard UInt64(header.overflow) < pageCount - number else {
            throw .damaged(
                page: number, reason: "\(header.overflow) more pages would pass the file's end")
        }
        let size = (Int(header.overflow) + 1) * pageSize
        guard size <= BoltFormat.pageRunBytesMax else {
            throw .damaged(page: number, reason: "it has \(size) bytes")
        }
        if header.overflow > 0 {
            room.reserve(size)
            try source.read(into: room.prefix(size), at: number * UInt64(pageSize))
        }
        return try BoltPage(
            UnsafeRawBufferPointer(room.prefix(size)), number: number, kind: kind,
            count: Int(header.count))
    }
}

/// Memory that grows and is used again; confined to its owner.
final class BoltRoom {
    private(set) var bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int = 0) {
        bytes = .allocate(byteCount: max(byteCount, 16), alignment: 16)
    }

    deinit {
        bytes.deallocate()
    }

    /// Makes room; what was there is lost when it grows.
    func reserve(_ byteCount: Int) {
        guard byteCount > bytes.count else { return }
        bytes.deallocate()
        bytes = .allocate(byteCount: byteCount, alignment: 16)
    }

    func prefix(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: bytes[..<byteCount])
    }
}
