// BoltTests.swift: what the writer writes is read back, by any shape of tree.
// Belongs here: whole files. Never here: damage (BoltDamageTests).

import Testing

@testable import Server

@Suite struct BoltTests {
    @Test(
        "bbolt: files of any size are read back as they were written",
        arguments: [0, 1, 2, 70, 71, 150, 5_000, 60_000])
    func roundTrip(count: Int) throws {
        let contents = ["key": BoltFiles.pairs(count), "meta": BoltFiles.pairs(3), "auth": []]
        let file = try BoltFiles.written(contents)
        #expect(try BoltFiles.read(file) == contents)
        #expect(Int(file.byteCount) % BoltFiles.pageSize == 0)
    }

    @Test("bbolt: values that fill a page and more get pages of their own")
    func overflow() throws {
        let sizes = [0, 1, 4_000, 4_046, 4_047, 4_048, 4_096, 8_192, 100_000, 1_500_000]
        let pairs = sizes.enumerated().map { position, size in
            BoltPair(
                EtcdPlace(main: Int64(position)).bytes, [UInt8](repeating: 7, count: size))
        }
        let file = try BoltFiles.written(["key": pairs])
        #expect(try BoltFiles.read(file) == ["key": pairs])
    }

    @Test("bbolt: long keys make branches of few children, two at least")
    func longKeys() throws {
        let pairs = (0..<300).map { number in
            BoltPair(
                [UInt8(number / 256), UInt8(number % 256)] + [UInt8](repeating: 1, count: 1_900),
                [9])
        }
        let file = try BoltFiles.written(["b": pairs])
        #expect(try BoltFiles.read(file) == ["b": pairs])
        for page in 3..<(file.bytes.count / BoltFiles.pageSize) {
            let start = page * BoltFiles.pageSize
            let header = file.bytes[start..<(start + 16)].withUnsafeBytes { BoltPageHeader($0) }
            guard header.id == UInt64(page), header.flags == BoltPageKind.branch.rawValue else {
                continue
            }
            #expect(header.count >= 2)
        }
    }

    @Test("bbolt: a bucket that lies within another page is read")
    func inline() throws {
        let pairs = BoltFiles.pairs(5)
        #expect(try BoltFiles.read(BoltFiles.inline(pairs)) == ["b": pairs])
        #expect(try BoltFiles.read(BoltFiles.inline([])) == ["b": []])
    }

    @Test("bbolt: a tree made by hand, with a branch over two leaves")
    func byHand() throws {
        let (one, two) = (BoltPair([1], [10]), BoltPair([2], [20]))
        let file = BoltFiles.file(
            root: 3,
            pages: [
                BoltFiles.page(BoltFiles.rootLeaf(id: 3, bucket: 4)),
                BoltFiles.page(BoltFiles.branch(id: 4, [([1], 5), ([2], 6)])),
                BoltFiles.page(BoltFiles.leaf(id: 5, [(one.key, one.value, 0)])),
                BoltFiles.page(BoltFiles.leaf(id: 6, [(two.key, two.value, 0)])),
            ])
        #expect(try BoltFiles.read(file) == ["b": [one, two]])
    }

    @Test("bbolt: buckets are found by name, and only those that are there")
    func byName() throws {
        let file = try BoltFiles.written(["a": BoltFiles.pairs(2), "key": BoltFiles.pairs(1)])
        let database = try BoltDatabase(file)
        let cursor = try #require(try database.bucket("key"))
        #expect(try cursor.next())
        #expect(Array(cursor.key) == EtcdPlace(main: 0).bytes)
        #expect(try !cursor.next())
        #expect(try database.bucket("ke") == nil)
        #expect(try database.bucket("keys") == nil)
        #expect(try database.countEntries() == 3)
    }
}
