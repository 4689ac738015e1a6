// BoltSupport.swift: small bbolt files made by hand and by the writer, and all that can be read of one.
// Belongs here: what the bbolt tests share. Never here: expectations.

@testable import Server

/// The entries of all buckets, by bucket.
typealias BoltContents = [String: [BoltPair]]

struct BoltPair: Equatable {
    var key: [UInt8]
    var value: [UInt8]

    init(_ key: [UInt8], _ value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

enum BoltFiles {
    static let pageSize = 4096

    /// A file with these buckets, by the writer.
    static func written(_ buckets: BoltContents) throws -> BoltBytes {
        let file = BoltBytes()
        let writer = BoltWriter(file)
        for (name, pairs) in buckets.sorted(by: { $0.key > $1.key }) {
            let tree = writer.bucket(name)
            for pair in pairs {
                try pair.key.withBoltBytes { (key) throws(BoltError) in
                    try pair.value.withBoltBytes { (value) throws(BoltError) in
                        try tree.add(key, value)
                    }
                }
            }
            try tree.finish()
        }
        let size = try writer.finish()
        precondition(size == file.byteCount, "\(size) is not \(file.byteCount)")
        return file
    }

    static func read(_ file: BoltBytes) throws -> BoltContents {
        let database = try BoltDatabase(file)
        var contents: BoltContents = [:]
        let buckets = try database.buckets()
        while try buckets.next() {
            var pairs: [BoltPair] = []
            let entries = try buckets.openBucket()
            while try entries.next() {
                pairs.append(BoltPair(Array(entries.key), Array(entries.value)))
            }
            contents[String(decoding: buckets.key, as: UTF8.self)] = pairs
        }
        return contents
    }

    /// Keys of 17 bytes in order, as etcd's are, with values whose size varies.
    static func pairs(_ count: Int, valueBytes: Int = 40) -> [BoltPair] {
        (0..<count).map { number in
            BoltPair(
                EtcdPlace(main: Int64(number)).bytes,
                [UInt8](
                    repeating: UInt8(truncatingIfNeeded: number), count: number % (valueBytes + 1)))
        }
    }

    /// A file by hand: one leaf as root that holds bucket "b" within itself, as bbolt keeps small ones.
    static func inline(_ pairs: [BoltPair]) -> BoltBytes {
        var inner: [UInt8] = []
        inner.appendBolt(UInt64(0))
        inner.appendBolt(UInt64(0))
        inner += leaf(id: 0, pairs.map { ($0.key, $0.value, 0) })
        return file(root: 3, pages: [page(leaf(id: 3, [(Array("b".utf8), inner, 1)]))])
    }

    /// A leaf's bytes without padding.
    static func leaf(id: UInt64, _ entries: [([UInt8], [UInt8], UInt32)]) -> [UInt8] {
        var bytes: [UInt8] = []
        BoltPageHeader(id: id, kind: .leaf, count: UInt16(entries.count), overflow: 0)
            .append(to: &bytes)
        var data: [UInt8] = []
        for (position, (key, value, flags)) in entries.enumerated() {
            bytes.appendBolt(flags)
            bytes.appendBolt(UInt32((entries.count - position) * 16 + data.count))
            bytes.appendBolt(UInt32(key.count))
            bytes.appendBolt(UInt32(value.count))
            data += key + value
        }
        return bytes + data
    }

    /// A branch's bytes without padding.
    static func branch(id: UInt64, _ children: [([UInt8], UInt64)]) -> [UInt8] {
        var bytes: [UInt8] = []
        BoltPageHeader(id: id, kind: .branch, count: UInt16(children.count), overflow: 0)
            .append(to: &bytes)
        var data: [UInt8] = []
        for (position, (key, child)) in children.enumerated() {
            bytes.appendBolt(UInt32((children.count - position) * 16 + data.count))
            bytes.appendBolt(UInt32(key.count))
            bytes.appendBolt(child)
            data += key
        }
        return bytes + data
    }

    /// A root leaf that names bucket "b" by the page of its tree.
    static func rootLeaf(id: UInt64, bucket root: UInt64) -> [UInt8] {
        var value: [UInt8] = []
        value.appendBolt(root)
        value.appendBolt(UInt64(0))
        return leaf(id: id, [(Array("b".utf8), value, 1)])
    }

    static func page(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: pageSize - bytes.count)
    }

    /// Meta pages, a freelist, and pages from 3 on.
    static func file(root: UInt64, pages: [[UInt8]]) -> BoltBytes {
        var bytes: [UInt8] = []
        for number in [UInt64(0), 1] {
            var meta: [UInt8] = []
            BoltPageHeader(id: number, kind: .meta, count: 0, overflow: 0).append(to: &meta)
            BoltMeta(
                pageSize: UInt32(pageSize), root: root, freelist: 2,
                highWater: UInt64(3 + pages.count), transaction: 8 - number
            ).append(to: &meta)
            bytes += page(meta)
        }
        var freelist: [UInt8] = []
        BoltPageHeader(id: 2, kind: .freelist, count: 0, overflow: 0).append(to: &freelist)
        return BoltBytes(bytes + page(freelist) + pages.joined())
    }
}
