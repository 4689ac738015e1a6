// BoltCursor.swift: one pass over a bucket in key order, that trusts nothing it reads.
// Belongs here: the walk down and along a tree. Never here: what keys mean (Migration/).
// Invariants: no page is entered twice in one pass, so a pass ends; keys ascend strictly, and lie within
// what their branches say.

/// A pass over the entries of one bucket; bytes are valid until the next `next()`.
public final class BoltCursor {
    /// A page on the way from the root to the present entry.
    private struct Level {
        var page: BoltPage
        var room: BoltRoom
        var position: Int
        /// The least key that may follow on this page, nil for any.
        var least: [UInt8]?
    }

    private let database: BoltDatabase
    private var levels: [Level] = []
    private var start: UInt64?
    private var visited: [UInt64]
    private var spare: [BoltRoom] = []
    private var lastKey: [UInt8] = []
    private var hasKey = false
    private var entry: BoltEntry?
    /// Pages read so far in this pass, overflow included.
    public private(set) var pagesRead: UInt64 = 0

    init(_ database: BoltDatabase, root: UInt64) {
        self.database = database
        start = root
        visited = Array(repeating: 0, count: Int(database.pageCount / 64) + 1)
    }

    /// A bucket that lies within the value of another page's entry.
    private init(_ database: BoltDatabase, inline value: UnsafeRawBufferPointer, page: UInt64)
        throws(BoltError)
    {
        self.database = database
        visited = []
        let room = BoltRoom(byteCount: value.count)
        room.bytes.copyMemory(from: value)
        let bytes = UnsafeRawBufferPointer(room.prefix(value.count))
        guard bytes.count >= BoltFormat.headerBytes else {
            throw .damaged(page: page, reason: "a bucket within it is cut off")
        }
        let header = BoltPageHeader(bytes)
        guard header.flags == BoltPageKind.leaf.rawValue, header.overflow == 0 else {
            throw .damaged(page: page, reason: "a bucket within it has flags \(header.flags)")
        }
        let inline = try BoltPage(bytes, number: page, kind: .leaf, count: Int(header.count))
        levels = [Level(page: inline, room: room, position: 0, least: nil)]
    }

    /// The key under the cursor.
    public var key: UnsafeRawBufferPointer { current.key }
    /// The value under the cursor; empty for a bucket.
    public var value: UnsafeRawBufferPointer {
        current.isBucket ? UnsafeRawBufferPointer(start: nil, count: 0) : current.value
    }
    /// Whether a bucket hangs on the key.
    public var isBucket: Bool { current.isBucket }

    private var current: BoltEntry {
        guard let entry else { preconditionFailure("the cursor is not on an entry") }
        return entry
    }

    /// The page that the present entry lies on.
    public var pageNumber: UInt64 { levels.last?.page.number ?? 0 }

    /// Moves to the next entry; false at the end.
    public func next() throws(BoltError) -> Bool {
        entry = nil
        if let root = start {
            start = nil
            try enter(root, least: nil)
        }
        while var level = levels.popLast() {
            guard level.position < level.page.count else {
                spare.append(level.room)
                continue
            }
            let position = level.position
            level.position += 1
            if level.page.kind == .branch {
                let (child, key) = try level.page.child(position)
                if position > 0 { try checkBranch(level.page, position, key) }
                let least = Array(key)
                levels.append(level)
                try enter(child, least: position == 0 ? level.least : least)
                continue
            }
            let found = try level.page.entry(position)
            try checkOrder(found.key, level)
            levels.append(level)
            entry = found
            return true
        }
        return false
    }

    /// The entries of the bucket under the cursor.
    public func openBucket() throws(BoltError) -> BoltCursor {
        guard current.isBucket else {
            throw .damaged(page: pageNumber, reason: "a bucket was expected")
        }
        let value = current.value
        guard value.count >= BoltFormat.bucketBytes else {
            throw .damaged(page: pageNumber, reason: "a bucket of \(value.count) bytes")
        }
        let root = value.boltInteger(at: 0, as: UInt64.self)
        guard root == 0 else { return BoltCursor(database, root: root) }
        return try BoltCursor(
            database, inline: UnsafeRawBufferPointer(rebasing: value[BoltFormat.bucketBytes...]),
            page: pageNumber)
    }

    private func enter(_ number: UInt64, least: [UInt8]?) throws(BoltError) {
        guard levels.count < BoltFormat.depthMax else {
            throw .damaged(page: number, reason: "the tree is deeper than \(levels.count) pages")
        }
        let room = spare.popLast() ?? BoltRoom(byteCount: database.pageSize)
        let page = try database.readPage(number, into: room)
        let count = page.bytes.count / database.pageSize
        for visit in number..<(number + UInt64(count)) {
            let bit = UInt64(1) << (visit & 63)
            guard visited[Int(visit >> 6)] & bit == 0 else {
                throw .damaged(page: visit, reason: "it belongs to the tree twice")
            }
            visited[Int(visit >> 6)] |= bit
        }
        pagesRead += UInt64(count)
        levels.append(Level(page: page, room: room, position: 0, least: least))
    }

    private func checkBranch(
        _ page: BoltPage, _ position: Int, _ key: UnsafeRawBufferPointer
    ) throws(BoltError) {
        let before = try page.child(position - 1).key
        // All that came before lies below this key too.
        guard boltIsLess(before, key), !hasKey || lastKey.withUnsafeBytes({ boltIsLess($0, key) })
        else {
            throw .damaged(page: page.number, reason: "key \(position) is not above the one before")
        }
    }

    private func checkOrder(_ key: UnsafeRawBufferPointer, _ level: Level) throws(BoltError) {
        let ascends = !hasKey || lastKey.withUnsafeBytes { boltIsLess($0, key) }
        let isWithin = level.least?.withUnsafeBytes { !boltIsLess(key, $0) } ?? true
        guard ascends, isWithin else {
            throw .damaged(
                page: level.page.number, reason: "element \(level.position - 1) is out of order")
        }
        lastKey.removeAll(keepingCapacity: true)
        lastKey.append(contentsOf: key)
        hasKey = true
    }
}

/// The order of keys: by unsigned bytes, a prefix before its extensions.
func boltIsLess(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    let count = min(a.count, b.count)
    for position in 0..<count where a[position] != b[position] {
        return a[position] < b[position]
    }
    return a.count < b.count
}
