// BoltWriter.swift: writes a new bbolt file: buckets from sorted entries, bottom up, in one pass.
// Belongs here: pages and their order in the file. Never here: what entries mean (Migration/).
// Source: BoltFormat.swift. Pages: 0 and 1 meta, 2 an empty freelist, then trees; the metas are written
// last. Memory: one page for each level of one tree.

/// Where the bytes of a new bbolt file go.
public protocol BoltSink: AnyObject {
    /// Writes all of `bytes` at an offset.
    func write(_ bytes: [UInt8], at offset: UInt64) throws(BoltError)
}

/// A bbolt file under construction; confined to one thread.
///
/// Buckets are written one after the other, in any order; then comes `finish`.
public final class BoltWriter {
    static let pageSize = 4096

    private let sink: any BoltSink
    private var nextPage: UInt64 = 3
    private var roots: [(name: [UInt8], root: UInt64)] = []

    /// Begins a file.
    public init(_ sink: any BoltSink) {
        self.sink = sink
    }

    /// Begins a bucket; its `finish` has to be called before the next one begins.
    public func bucket(_ name: String) -> BoltTreeWriter {
        BoltTreeWriter(self, name: Array(name.utf8))
    }

    /// Writes what names the buckets; returns the file's length.
    public func finish() throws(BoltError) -> UInt64 {
        let tree = BoltTreeWriter(self, name: nil)
        for (name, root) in roots.sorted(by: { $0.name.lexicographicallyPrecedes($1.name) }) {
            var value: [UInt8] = []
            value.appendBolt(root)
            value.appendBolt(UInt64(0))
            try name.withBoltBytes { (name) throws(BoltError) in
                try value.withBoltBytes { (value) throws(BoltError) in
                    try tree.add(name, value, flags: BoltFormat.bucketFlag)
                }
            }
        }
        let root = try tree.finishTree()
        var freelist: [UInt8] = []
        BoltPageHeader(id: 2, kind: .freelist, count: 0, overflow: 0).append(to: &freelist)
        try write(freelist, page: 2)
        // Both name the same state; the one in page 0 counts.
        for page in [UInt64(1), 0] {
            var bytes: [UInt8] = []
            BoltPageHeader(id: page, kind: .meta, count: 0, overflow: 0).append(to: &bytes)
            BoltMeta(
                pageSize: UInt32(Self.pageSize), root: root, freelist: 2, highWater: nextPage,
                transaction: 2 - page
            ).append(to: &bytes)
            try write(bytes, page: page)
        }
        return nextPage * UInt64(Self.pageSize)
    }

    fileprivate func finished(_ name: [UInt8]?, root: UInt64) {
        if let name { roots.append((name, root)) }
    }

    /// Writes a page of a tree at the end of the file; returns its number.
    fileprivate func append(
        _ kind: BoltPageKind, count: Int, _ content: [UInt8]
    ) throws(BoltError) -> UInt64 {
        let number = nextPage
        let size = BoltFormat.headerBytes + content.count
        let pages = max(1, (size + Self.pageSize - 1) / Self.pageSize)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(pages * Self.pageSize)
        BoltPageHeader(
            id: number, kind: kind, count: UInt16(count), overflow: UInt32(pages - 1)
        ).append(to: &bytes)
        bytes += content
        nextPage += UInt64(pages)
        try write(bytes, page: number, pages: pages)
        return number
    }

    private func write(_ bytes: [UInt8], page: UInt64, pages: Int = 1) throws(BoltError) {
        let padding = pages * Self.pageSize - bytes.count
        try sink.write(
            bytes + [UInt8](repeating: 0, count: padding), at: page * UInt64(Self.pageSize))
    }
}

/// One bucket under construction: entries come in ascending order of their keys.
public final class BoltTreeWriter {
    /// A page that is being filled.
    private struct Page {
        var table: [(key: Range<Int>, valueCount: Int, flags: UInt32, child: UInt64)] = []
        var data: [UInt8] = []

        var size: Int {
            BoltFormat.headerBytes + table.count * BoltFormat.elementBytes + data.count
        }
    }

    private let file: BoltWriter
    private let name: [UInt8]?
    /// The leaf, then the branches above it.
    private var levels: [Page] = [Page()]
    private var lastKey: [UInt8]?

    fileprivate init(_ file: BoltWriter, name: [UInt8]?) {
        self.file = file
        self.name = name
    }

    /// Adds an entry whose key is above all before it.
    public func add(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(BoltError) {
        try add(key, value, flags: 0)
    }

    fileprivate func add(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, flags: UInt32
    ) throws(BoltError) {
        precondition(
            lastKey?.withUnsafeBytes { boltIsLess($0, key) } ?? true, "keys are not in order")
        lastKey = Array(key)
        let size = BoltFormat.elementBytes + key.count + value.count
        if !levels[0].table.isEmpty,
            levels[0].size + size > BoltWriter.pageSize
                || levels[0].table.count == Int(UInt16.max)
        {
            try flush(0)
        }
        let start = levels[0].data.count
        levels[0].data.append(contentsOf: key)
        levels[0].data.append(contentsOf: value)
        levels[0].table.append((start..<(start + key.count), value.count, flags, 0))
    }

    /// Ends the bucket.
    public func finish() throws(BoltError) {
        file.finished(name, root: try finishTree())
    }

    fileprivate func finishTree() throws(BoltError) -> UInt64 {
        var level = 0
        while level < levels.count - 1 {
            try flush(level)
            level += 1
        }
        // The topmost page is the root; an empty bucket has an empty leaf.
        return try write(levels[level], isLeaf: level == 0)
    }

    /// Writes a page and names it in the one above, which is flushed first if it is full.
    private func flush(_ level: Int) throws(BoltError) {
        let page = levels[level]
        let number = try write(page, isLeaf: level == 0)
        levels[level] = Page()
        try addChild(Array(page.data[page.table[0].key]), number, level: level + 1)
    }

    private func addChild(_ key: [UInt8], _ number: UInt64, level: Int) throws(BoltError) {
        if level == levels.count { levels.append(Page()) }
        let size = BoltFormat.elementBytes + key.count
        // A branch has two children at least: the last one moves on to the next page.
        if levels[level].table.count > 2, levels[level].size + size > BoltWriter.pageSize {
            let last = levels[level].table.removeLast()
            let lastKey = Array(levels[level].data[last.key])
            levels[level].data.removeLast(lastKey.count)
            try flush(level)
            append(lastKey, last.child, level: level)
        }
        append(key, number, level: level)
    }

    private func append(_ key: [UInt8], _ child: UInt64, level: Int) {
        let start = levels[level].data.count
        levels[level].data += key
        levels[level].table.append((start..<(start + key.count), 0, 0, child))
    }

    private func write(_ page: Page, isLeaf: Bool) throws(BoltError) -> UInt64 {
        var content: [UInt8] = []
        content.reserveCapacity(page.size)
        let tableBytes = page.table.count * BoltFormat.elementBytes
        for (position, element) in page.table.enumerated() {
            let offset = UInt32(
                tableBytes - position * BoltFormat.elementBytes + element.key.lowerBound)
            if isLeaf {
                content.appendBolt(element.flags)
                content.appendBolt(offset)
                content.appendBolt(UInt32(element.key.count))
                content.appendBolt(UInt32(element.valueCount))
            } else {
                content.appendBolt(offset)
                content.appendBolt(UInt32(element.key.count))
                content.appendBolt(element.child)
            }
        }
        content += page.data
        return try file.append(isLeaf ? .leaf : .branch, count: page.table.count, content)
    }
}
