// BoltDamageTests.swift: no file makes the reader trap, loop or believe what cannot be.
// Belongs here: damage of each part of the format. Never here: files of etcd itself (Tests/Conformance).

import Testing

@testable import Server

@Suite struct BoltDamageTests {
    /// A file with a branch over leaves, one bucket of its own page and one with overflow.
    private static func sample() throws -> BoltBytes {
        var pairs = BoltFiles.pairs(400)
        pairs.append(BoltPair(EtcdPlace(main: 400).bytes, [UInt8](repeating: 3, count: 9_000)))
        return try BoltFiles.written(["key": pairs, "meta": BoltFiles.pairs(3)])
    }

    private func damaged(_ file: BoltBytes) -> BoltError? {
        do {
            _ = try BoltFiles.read(file)
            return nil
        } catch {
            return error as? BoltError
        }
    }

    private func byHand(_ pages: [[UInt8]]) -> BoltBytes {
        BoltFiles.file(root: 3, pages: pages.map(BoltFiles.page))
    }

    @Test("damage: a page that is its own ancestor is refused")
    func cycle() {
        let file = byHand([
            BoltFiles.rootLeaf(id: 3, bucket: 4), BoltFiles.branch(id: 4, [([1], 5), ([2], 4)]),
            BoltFiles.leaf(id: 5, [([1], [1], 0)]),
        ])
        #expect(damaged(file) == .damaged(page: 4, reason: "it belongs to the tree twice"))
    }

    @Test("damage: a page with two parents is refused")
    func shared() {
        let file = byHand([
            BoltFiles.rootLeaf(id: 3, bucket: 4), BoltFiles.branch(id: 4, [([1], 5), ([2], 5)]),
            BoltFiles.leaf(id: 5, [([1], [1], 0)]),
        ])
        #expect(damaged(file) == .damaged(page: 5, reason: "it belongs to the tree twice"))
    }

    @Test("damage: a tree without end is refused at a depth that no file has")
    func depth() {
        let pages = (0..<100).map { number in
            BoltFiles.branch(id: UInt64(4 + number), [([1], UInt64(5 + number))])
        }
        let file = byHand([BoltFiles.rootLeaf(id: 3, bucket: 4)] + pages)
        let error = damaged(file)
        #expect("\(error as Any)".contains("deeper"), "\(error as Any)")
    }

    @Test(
        "damage: what a page says of itself is compared",
        arguments: [
            // Where in the header, what is put there, and the reason.
            (0, [UInt8(9)], "it says that it is page"), (8, [4], "no part of a tree"),
            (8, [3], "no part of a tree"), (8, [0], "no part of a tree"),
            (10, [255, 255], "do not fit"), (12, [200], "would pass the file's end"),
            (12, [255, 255, 255, 255], "would pass the file's end"),
        ])
    func header(place: Int, bytes: [UInt8], reason: String) {
        var page = BoltFiles.page(BoltFiles.leaf(id: 4, [([1], [1], 0)]))
        page.replaceSubrange(place..<(place + bytes.count), with: bytes)
        let file = BoltFiles.file(
            root: 3, pages: [BoltFiles.page(BoltFiles.rootLeaf(id: 3, bucket: 4)), page])
        let error = damaged(file)
        #expect("\(error as Any)".contains(reason), "\(error as Any)")
        guard case .damaged(4, _)? = error else {
            Issue.record("another page: \(error as Any)")
            return
        }
    }

    @Test(
        "damage: what an element says of itself is compared",
        arguments: [
            (16, [UInt8(2)], "has flags 2"), (20, [255, 255], "lies at"), (20, [0], "lies at"),
            (24, [255, 255, 255, 255], "lies at"), (28, [255, 255, 255, 255], "lies at"),
            (28, [255, 15], "lies at"),
        ])
    func element(place: Int, bytes: [UInt8], reason: String) {
        var page = BoltFiles.page(BoltFiles.leaf(id: 4, [([1], [1], 0)]))
        page.replaceSubrange(place..<(place + bytes.count), with: bytes)
        let file = BoltFiles.file(
            root: 3, pages: [BoltFiles.page(BoltFiles.rootLeaf(id: 3, bucket: 4)), page])
        let error = damaged(file)
        #expect("\(error as Any)".contains(reason), "\(error as Any)")
    }

    @Test("damage: keys that do not ascend are refused, within a page and across pages")
    func order() {
        for second in [[UInt8(1)], [0]] {
            let within = byHand([
                BoltFiles.rootLeaf(id: 3, bucket: 4),
                BoltFiles.leaf(id: 4, [([1], [], 0), (second, [], 0)]),
            ])
            #expect(damaged(within) == .damaged(page: 4, reason: "element 1 is out of order"))
            let across = byHand([
                BoltFiles.rootLeaf(id: 3, bucket: 4),
                BoltFiles.branch(id: 4, [([1], 5), ([3], 6)]),
                BoltFiles.leaf(id: 5, [([1], [], 0)]), BoltFiles.leaf(id: 6, [(second, [], 0)]),
            ])
            #expect(damaged(across) == .damaged(page: 6, reason: "element 0 is out of order"))
        }
        let beyond = byHand([
            BoltFiles.rootLeaf(id: 3, bucket: 4), BoltFiles.branch(id: 4, [([1], 5), ([3], 6)]),
            BoltFiles.leaf(id: 5, [([7], [], 0)]), BoltFiles.leaf(id: 6, [([8], [], 0)]),
        ])
        #expect(damaged(beyond) == .damaged(page: 4, reason: "key 1 is not above the one before"))
    }

    @Test("damage: children outside of the file, and branches without any, are refused")
    func children() {
        for child in [UInt64(0), 1, 6, .max] {
            let file = byHand([
                BoltFiles.rootLeaf(id: 3, bucket: 4), BoltFiles.branch(id: 4, [([1], child)]),
            ])
            #expect("\(damaged(file) as Any)".contains("outside"))
        }
        let empty = byHand([BoltFiles.rootLeaf(id: 3, bucket: 4), BoltFiles.branch(id: 4, [])])
        #expect(damaged(empty) == .damaged(page: 4, reason: "a branch without children"))
    }

    @Test("damage: a bucket within a page is compared with its room")
    func inline() {
        for value in [[UInt8](repeating: 0, count: 15), [UInt8](repeating: 0, count: 20)] {
            let file = byHand([BoltFiles.leaf(id: 3, [([98], value, 1)])])
            #expect(damaged(file) != nil)
        }
        var inner = [UInt8](repeating: 0, count: 16)
        inner += BoltFiles.leaf(id: 0, [([1], [2], 0)])
        inner[16 + 10] = 200
        #expect(
            "\(damaged(byHand([BoltFiles.leaf(id: 3, [([98], inner, 1)])])) as Any)"
                .contains("do not fit"))
    }

    @Test("damage: of two meta pages one suffices, and the newer one counts")
    func metas() throws {
        let good = try Self.sample()
        let expected = try BoltFiles.read(good)
        for page in [0, 1] {
            let file = BoltBytes(good.bytes)
            try file.write([0xff], at: UInt64(page * BoltFiles.pageSize + 16 + 30))
            let database = try BoltDatabase(file)
            #expect(database.damagedMeta != nil)
            #expect(database.transaction == UInt64(page == 0 ? 1 : 2))
            #expect(try BoltFiles.read(file) == expected)
            try file.write([0xff], at: UInt64((1 - page) * BoltFiles.pageSize + 16 + 30))
            guard case .foreign? = damaged(file) else {
                Issue.record("opened without a meta page")
                return
            }
        }
        #expect(try BoltDatabase(good).transaction == 2)
        #expect(try BoltDatabase(good).damagedMeta == nil)
    }

    @Test("damage: a file that is cut anywhere is refused")
    func cut() throws {
        let good = try Self.sample()
        for size in stride(from: 0, to: good.bytes.count, by: 1_000) {
            #expect(damaged(BoltBytes(Array(good.bytes[..<size]))) != nil, "\(size) bytes")
        }
    }

    @Test("damage: no flipped byte of a tree makes the reader trap or read what was not written")
    func everyByte() throws {
        let good = try Self.sample()
        let expected = try BoltFiles.read(good)
        let values = Set(expected.values.joined().map(\.value))
        var unseen = 0
        for place in stride(from: 3 * BoltFiles.pageSize, to: good.bytes.count, by: 41) {
            var bytes = good.bytes
            bytes[place] ^= 0xff
            do {
                // Bytes of keys and values have no checksum of their own: lengths and order have.
                let found = try BoltFiles.read(BoltBytes(bytes))
                #expect(found.keys.sorted() == expected.keys.sorted() || found.count == 2)
                if found == expected { unseen += 1 }
            } catch {
                #expect(error is BoltError)
            }
        }
        // What was not seen lies in no page, or behind the last element of one.
        #expect(unseen < good.bytes.count / 41)
        #expect(!values.isEmpty)
    }
}
