// MVCCTests.swift: single rules of the key tables, and the small tables beside them.
// Belongs here: one rule a test. Never here: random histories (MVCCHistoryTests).
// Source: etcd semantics G1, G2, P1, S1, S2, C2, C3, W8, L10, M2, K1; design section 5.

import Storage
import Testing

@Suite struct MVCCTests {
    private static let key: [UInt8] = [1]

    @Test("revisions: an empty store is at 1, and a request that changes nothing leaves it there")
    func emptyStore() throws {
        let store = try MVCCStore()
        #expect(store.writer.revision == 1)
        #expect(!store.writer.hasChanges)
        store.writer.finishRequest()
        #expect(store.writer.revision == 1)
        #expect(try store.reader.currentRevision() == 1)
        #expect(try store.compactor.compacted() == nil)
        #expect(!(try store.compactor.isPending()))
    }

    @Test("revisions: all changes of a request share one, in their order")
    func oneRequest() throws {
        let store = try MVCCStore()
        let first = try store.put([1], [1])
        let second = try store.put([2], [2])
        #expect(store.writer.changeCount == 2)
        #expect(first.revision == PackedRevision(main: 2, sub: 0))
        #expect(second.revision == PackedRevision(main: 2, sub: 1))
        store.writer.finishRequest()
        #expect(store.writer.revision == 2)
        #expect(try store.put([1], [1]).revision == PackedRevision(main: 3))
    }

    @Test(
        "revisions: a writer that is opened anew goes on after the newest change"
    )
    func reopened() throws {
        let store = try MVCCStore()
        for number in 0..<5 {
            try store.put(Self.key, [UInt8(number)])
            store.writer.finishRequest()
        }
        try store.delete(Self.key)
        store.writer.finishRequest()
        try store.compactor.begin(at: 7)
        while try store.compactor.step(limit: 100) {}
        #expect(try KeyWriter(connection: store.connection).revision == 7)
    }

    @Test("versions: they count puts of a generation, and a new generation begins at 1")
    func generations() throws {
        let store = try MVCCStore()
        var seen: [[Int64]] = []
        for step in 0..<5 {
            if step == 3 {
                #expect(try store.delete(Self.key))
            } else {
                let record = try store.put(Self.key, [])
                seen.append([record.createRevision, record.version])
            }
            store.writer.finishRequest()
        }
        #expect(seen == [[2, 1], [2, 2], [2, 3], [6, 1]])
        #expect(!(try store.delete([9])))
    }

    @Test("values: empty ones, empty bytes and large ones come back as they were")
    func values() throws {
        let store = try MVCCStore()
        let values: [[UInt8]] = [[], [0], [UInt8](repeating: 0xab, count: 100_000)]
        for value in values {
            try store.put(Self.key, value)
            store.writer.finishRequest()
            let found = try store.range(from: Self.key, to: .single, at: nil, values: .full)
            #expect(found.map(\.value) == [value])
        }
        let old = try store.range(from: Self.key, to: .single, at: 3, values: .full)
        #expect(old.map(\.value) == [[0]])
    }

    @Test("leases: keys are found by their lease, in key order, and follow when it changes")
    func leases() throws {
        let store = try MVCCStore()
        for key in [[3], [1], [2]] as [[UInt8]] { try store.put(key, [], lease: 5) }
        try store.put([4], [])
        store.writer.finishRequest()
        try store.put([1], [], lease: 6)
        try store.put([3], [])
        store.writer.finishRequest()
        #expect(try Self.keys(store, 5) == [[2]])
        #expect(try Self.keys(store, 6) == [[1]])
        try store.delete([2])
        store.writer.finishRequest()
        #expect(try Self.keys(store, 5).isEmpty)
        #expect(try Self.keys(store, 0).isEmpty)
    }

    private static func keys(_ store: MVCCStore, _ lease: Int64) throws -> [[UInt8]] {
        var keys: [[UInt8]] = []
        try store.reader.forEachKey(ofLease: lease) { key, _ in keys.append(Array(key)) }
        return keys
    }

    @Test("previous: what a key was before a revision, however often that changed it")
    func previous() throws {
        // Given a key with a value, changed twice in one request
        let store = try MVCCStore()
        try store.put(Self.key, [1])
        store.writer.finishRequest()
        try store.put(Self.key, [2])
        try store.delete(Self.key)
        store.writer.finishRequest()
        func before(_ place: PackedRevision, _ main: Int64) throws -> [UInt8]? {
            try store.reader.withChange(place, before: main) { _, _, value in Array(value) }
        }
        #expect(try before(PackedRevision(main: 3, sub: 0), 3) == [1])
        #expect(try before(PackedRevision(main: 2), 3) == [1])
        #expect(try before(PackedRevision(main: 2), 2) == nil)
        // When that is compacted away
        try store.compactor.begin(at: 3)
        while try store.compactor.step(limit: 100) {}
        #expect(try before(PackedRevision(main: 3, sub: 0), 3) == nil)
    }

    @Test("compaction: a tombstone exactly at it stays, and goes with the next one")
    func tombstoneAtCompaction() throws {
        let store = try MVCCStore()
        try store.put([1], [])
        try store.put([2], [])
        store.writer.finishRequest()
        try store.delete([1])
        store.writer.finishRequest()
        try store.compactor.begin(at: 3)
        while try store.compactor.step(limit: 100) {}
        #expect(try Self.rows(store) == 2)
        try store.put([3], [])
        store.writer.finishRequest()
        try store.compactor.begin(at: 4)
        while try store.compactor.step(limit: 100) {}
        #expect(try Self.rows(store) == 2)
        #expect(try store.connection.integer("SELECT count(*) FROM cur") == 2)
    }

    @Test(
        "compaction: bug SU6: a tombstone that a running one has passed goes with the next"
    )
    func tombstonePassed() throws {
        // Given a compaction that stops between two tombstones of its last revision
        let store = try MVCCStore()
        try store.put([1], [])
        try store.put([2], [])
        store.writer.finishRequest()
        try store.delete([1])
        try store.delete([2])
        store.writer.finishRequest()
        try store.put([3], [])
        store.writer.finishRequest()
        try store.compactor.begin(at: 3)
        #expect(try store.compactor.step(limit: 3))
        // When the next one begins
        try store.compactor.begin(at: 4)
        while try store.compactor.step(limit: 3) {}
        // Then both are gone
        #expect(try Self.rows(store) == 1)
        #expect(try store.connection.integer("SELECT count(*) FROM cur") == 1)
    }

    private static func rows(_ store: MVCCStore) throws -> Int64? {
        try store.connection.integer("SELECT count(*) FROM log")
    }

    @Test("compaction: free pages can be given back in steps")
    func giveBack() throws {
        let store = try MVCCStore()
        for _ in 0..<200 {
            try store.put(Self.key, [UInt8](repeating: 1, count: 3000))
            store.writer.finishRequest()
        }
        let full = try store.compactor.pages()
        try store.compactor.begin(at: 201)
        while try store.compactor.step(limit: 50) {}
        let free = try store.compactor.freePages()
        #expect(free > 100)
        try store.compactor.giveBack(pages: 10)
        #expect(try store.compactor.freePages() == free - 10)
        #expect(try store.compactor.pages() <= full - 10)
    }

    @Test("packing: places order as revision and then order inside the request")
    func packing() {
        let places = [
            PackedRevision(main: 0), PackedRevision(main: 0, sub: 1), PackedRevision.last(of: 0),
            PackedRevision(main: 1), PackedRevision.last(of: 1 << 42),
            PackedRevision(main: 1 << 43 - 1),
        ]
        #expect(places == places.sorted())
        #expect(places.map(\.main) == [0, 0, 0, 1, 1 << 42, 1 << 43 - 1])
        #expect(places.map(\.sub) == [0, 1, 1 << 20 - 1, 0, 1 << 20 - 1, 0])
        #expect(PackedRevision(rawValue: places[4].rawValue) == places[4])
    }

    @Test("schema: a store of a newer format is refused")
    func newerFormat() throws {
        let store = try MVCCStore()
        #expect(try Schema.exists(on: store.connection))
        try MetaTable(connection: store.connection).set(
            .formatVersion, to: Schema.formatVersionWithAuth + 1)
        #expect(throws: StorageError.self) { try Schema.exists(on: store.connection) }
        #expect(try !Schema.exists(on: Connection(path: ":memory:")))
    }

    @Test("meta: numbers are absent, set, replaced and removed")
    func meta() throws {
        let meta = try MetaTable(connection: MVCCStore().connection)
        #expect(try meta.value(.compacted) == nil)
        try meta.set(.compacted, to: -5)
        try meta.set(.compacted, to: .max)
        #expect(try meta.value(.compacted) == .max)
        try meta.remove(.compacted)
        try meta.remove(.compacted)
        #expect(try meta.value(.compacted) == nil)
    }

    @Test("leases, alarms, members: rows come back in their order")
    func smallTables() throws {
        let connection = try MVCCStore().connection
        let leases = try LeaseTable(connection: connection)
        let rows = [-3, 1, 9].map { LeaseRow(id: $0, timeToLive: 10, remaining: 4) }
        for row in rows.reversed() { try leases.set(row) }
        try leases.remove(2)
        #expect(try leases.all() == rows)
        try leases.set(LeaseRow(id: 1, timeToLive: 10, remaining: 2))
        try leases.remove(9)
        #expect(try leases.all().map(\.remaining) == [4, 2])

        let alarms = try AlarmTable(connection: connection)
        for _ in 0..<2 { try alarms.raise(AlarmRow(member: .max, kind: 2)) }
        try alarms.raise(AlarmRow(member: 1, kind: 1))
        #expect(
            Set(try alarms.all()) == [
                AlarmRow(member: .max, kind: 2), AlarmRow(member: 1, kind: 1),
            ])
        try alarms.clear(AlarmRow(member: .max, kind: 1))
        try alarms.clear(AlarmRow(member: .max, kind: 2))
        #expect(try alarms.all() == [AlarmRow(member: 1, kind: 1)])
    }
}
