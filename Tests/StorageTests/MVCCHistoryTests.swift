// MVCCHistoryTests.swift: random requests against the key tables and against a slow model of them.
// Belongs here: writer, readers, cursors, compactor together. Never here: single rules (MVCCTests).
// Source: etcd semantics G2, P1, R1-R8, R14, T3, C1-C3.

import Storage
import Testing

@Suite struct MVCCHistoryTests {
    /// Keys that are prefixes of each other, with the extreme bytes.
    private static let keys: [[UInt8]] = [
        [0], [0, 0], [1], [1, 0], [1, 0xff], [2], [2, 2, 2], [0xfe], [0xff], [0xff, 0],
        [0xff, 0xff],
    ]

    private struct World {
        let store: MVCCStore
        var model = ModelHistory()
        var random: SeededNumbers
        var compacted: Int64 = -1

        init(seed: UInt64) throws(StorageError) {
            store = try MVCCStore()
            random = SeededNumbers(state: seed)
        }

        mutating func key() -> [UInt8] { keys[random.next(below: keys.count)] }

        mutating func end() -> ModelEnd {
            switch random.next(below: 4) {
            case 0: .single
            case 1: .unbounded
            default: .before(key())
            }
        }

        /// One request of up to five changes, of which some change nothing.
        mutating func request() throws(StorageError) {
            for _ in 0...random.next(below: 4) {
                let key = key()
                if random.next(below: 3) == 0 {
                    try store.delete(key)
                    model.delete(key)
                } else {
                    let value = [UInt8](repeating: 7, count: random.next(below: 12))
                    let lease = Int64(random.next(below: 3))
                    try store.put(key, value, lease: lease)
                    model.put(key, value, lease: lease)
                }
            }
            store.writer.finishRequest()
            model.finishRequest()
        }

        mutating func beginCompaction() throws(StorageError) {
            let low = max(compacted + 1, 0)
            guard low <= model.revision else { return }
            compacted = low + Int64(random.next(below: Int(model.revision - low) + 1))
            try store.compactor.begin(at: compacted)
        }

        /// What is stored, as changes.
        func stored() throws(StorageError) -> [ModelChange] {
            let cursor = try ChangeCursor(reader: store.reader, from: PackedRevision(main: 0))
            var found: [ModelChange] = []
            while try cursor.next() {
                found.append(
                    ModelChange(
                        key: Array(cursor.key), value: Array(cursor.value), record: cursor.record))
            }
            return found
        }
    }

    /// Every read at every revision that may be read gives what the model says.
    private static func expectSame(_ world: inout World, _ what: Comment) throws {
        let (store, model) = (world.store, world.model)
        #expect(try store.reader.currentRevision() == model.revision, what)
        #expect(store.writer.revision == model.revision, what)
        for revision in [nil] + (max(world.compacted, 1)...model.revision).map({ Optional($0) }) {
            let (start, end) = (world.key(), world.end())
            let wanted = model.range(from: start, to: end, at: revision)
            let full = try store.range(from: start, to: end, at: revision, values: .full)
            #expect(full.map(\.key) == wanted.map(\.key), what)
            #expect(full.map(\.record) == wanted.map(\.record), what)
            #expect(full.map(\.value) == wanted.map(\.value), what)
            let lengths = try store.range(from: start, to: end, at: revision, values: .length)
            #expect(lengths.map(\.record) == wanted.map(\.record), what)
            #expect(lengths.map(\.valueCount) == wanted.map(\.value.count), what)
            let bare = try store.range(from: start, to: end, at: revision, values: .none)
            #expect(bare.map(\.record) == wanted.map(\.record), what)
            if revision == nil {
                try expectCounts(store, from: start, to: end, wanted.map(\.key), what)
            }
        }
    }

    private static func expectCounts(
        _ store: MVCCStore, from start: [UInt8], to end: ModelEnd, _ wanted: [[UInt8]],
        _ what: Comment
    ) throws {
        let all = try start.withBytes { (start) throws(StorageError) in
            try end.withEnd { (end) throws(StorageError) in
                try store.reader.countLive(from: start, to: end, limit: 1000)
            }
        }
        #expect(all.count == wanted.count, what)
        guard end != .single, wanted.count > 1 else { return }
        let some = try start.withBytes { (start) throws(StorageError) in
            try end.withEnd { (end) throws(StorageError) in
                try store.reader.countLive(from: start, to: end, limit: wanted.count - 1)
            }
        }
        #expect(some.count == wanted.count - 1, what)
        #expect(some.lastKey == wanted[wanted.count - 2], what)
    }

    private static func expectKeys(_ world: World, _ what: Comment) throws {
        for key in keys {
            let wanted = world.model.current(key)
            let found = try key.withBytes { (key) throws(StorageError) in
                try world.store.reader.record(of: key)
            }
            if let found {
                #expect(found == wanted?.record, what)
            } else {
                // Only a deleted key may be forgotten, and only once it is compacted.
                #expect(wanted == nil || wanted?.record.isLive == false, what)
                #expect(
                    (wanted?.record.revision.main ?? 0) < world.compacted || wanted == nil, what)
            }
            let live = try key.withBytes { (key) throws(StorageError) in
                try world.store.reader.withLiveKey(key) { record, value in (record, Array(value)) }
            }
            let isLive = wanted?.record.isLive == true
            #expect((live != nil) == isLive, what)
            if isLive {
                #expect(live?.0 == wanted?.record, what)
                #expect(live?.1 == wanted?.value, what)
            }
        }
    }

    @Test(
        "history: random requests read back as the model says, at every revision",
        arguments: 0..<20 as Range<UInt64>)
    func requests(seed: UInt64) throws {
        var world = try World(seed: seed)
        for number in 0..<40 {
            try world.request()
            if number % 8 == 7 { try Self.expectSame(&world, "seed \(seed), request \(number)") }
        }
        try Self.expectKeys(world, "seed \(seed)")
        #expect(try world.stored() == world.model.changes, "seed \(seed)")
    }

    @Test(
        "history: compactions in steps of any size, with requests between, never show",
        arguments: 0..<30 as Range<UInt64>)
    func compactions(seed: UInt64) throws {
        var world = try World(seed: 1000 + seed)
        let limit = 1 + Int(seed % 7)
        for number in 0..<60 {
            try world.request()
            if world.random.next(below: 8) == 0, !(try world.store.compactor.isPending()) {
                try world.beginCompaction()
            }
            if world.random.next(below: 2) == 0 { _ = try world.store.compactor.step(limit: limit) }
            if number % 10 == 9 { try Self.expectSame(&world, "seed \(seed), request \(number)") }
        }
        while try world.store.compactor.step(limit: limit) {}
        #expect(try world.stored() == world.model.kept(after: world.compacted), "seed \(seed)")
        try Self.expectSame(&world, "seed \(seed)")
        try Self.expectKeys(world, "seed \(seed)")
        #expect(!(try world.store.compactor.isPending()))
    }

    @Test(
        "history: bug SU6: a compaction that begins while one runs leaves nothing behind",
        arguments: 0..<30 as Range<UInt64>)
    func overlappingCompactions(seed: UInt64) throws {
        var world = try World(seed: 2000 + seed)
        for _ in 0..<60 {
            try world.request()
            if world.random.next(below: 4) == 0 { try world.beginCompaction() }
            let limit = 1 + world.random.next(below: 8)
            if world.random.next(below: 4) != 0 { _ = try world.store.compactor.step(limit: limit) }
        }
        while try world.store.compactor.step(limit: 2) {}
        #expect(try world.stored() == world.model.kept(after: world.compacted), "seed \(seed)")
        try Self.expectSame(&world, "seed \(seed)")
    }
}
