// RangeOperationTests.swift: range requests of every shape, against a model that knows no indexes.
// Belongs here: RangeOperation and RangeCounter. Never here: readers, calls (Front), single tables
// (StorageTests).
// Source: etcd semantics R1-R14.

import Storage
import Testing

@testable import EtcdResponses
@testable import Server

@Suite struct RangeOperationTests {
    /// What a request should give, and by what its rows are ordered.
    private struct Expected {
        var keys: [String]
        var sortKeys: [String]
        var more: Bool
        var count: Int64
    }

    /// A store with a history, and the model after each revision.
    private static func world(
        seed: UInt64, changes: Int = 60
    ) throws -> (rig: ExecutorRig, states: [ModelStore], random: WireRandom) {
        var random = WireRandom(seed: seed)
        let rig = try ExecutorRig()
        var states = [ModelStore(), ModelStore()]
        var model = ModelStore()
        for _ in 0..<changes {
            let key = "k\(Int.random(in: 0..<15, using: &random))"
            let body: ReplicaRequest.Body =
                random.chance(5)
                ? .delete(key)
                : .put(key, String(repeating: "v", count: Int.random(in: 0..<5, using: &random)))
            try rig.run(body)
            model.apply(body)
            if Int(model.revision) == states.count { states.append(model) }
        }
        return (rig, states, random)
    }

    private static func request(_ random: inout WireRandom, last: Int64) -> RangeRequest {
        func number(_ chance: Int) -> Int64 {
            random.chance(chance) ? .random(in: 1...last, using: &random) : 0
        }
        var request = RangeRequest(
            key: ["k0", "k1", "k14", "k5", [0], "x"][Int.random(in: 0..<6, using: &random)],
            rangeEnd: ["", [0], [0], "k3", "k9", "l"][Int.random(in: 0..<6, using: &random)])
        request.limit = random.chance(2) ? 0 : Int64.random(in: -1...8, using: &random)
        request.revision = number(2)
        if random.chance(2) {
            request.sortOrder = .init(rawValue: Int32.random(in: 0...2, using: &random))
            request.sortTarget = .init(rawValue: Int32.random(in: 0...4, using: &random))
        }
        request.keysOnly = random.chance(4)
        request.countOnly = random.chance(8)
        request.minModRevision = number(6)
        request.maxModRevision = number(6)
        request.minCreateRevision = number(6)
        request.maxCreateRevision = number(6)
        return request
    }

    private static func sortKey(_ request: RangeRequest, _ name: String, _ key: ModelKey) -> String
    {
        func padded(_ number: Int64) -> String {
            let digits = "\(number)"
            return String(repeating: "0", count: 20 - digits.count) + digits
        }
        return switch request.sortTarget {
        case .version: padded(key.version)
        case .create: padded(key.created)
        case .mod: padded(key.modified)
        case .value: key.value
        default: name
        }
    }

    private static func expected(_ request: RangeRequest, _ state: ModelStore) -> Expected {
        let all = state.keys.filter { request.bounds.contains(Bytes($0.key)) }
            .sorted { $0.key < $1.key }
        let count = Int64(all.count)
        if request.countOnly { return Expected(keys: [], sortKeys: [], more: false, count: count) }
        let hasFilters =
            [
                request.minModRevision, request.maxModRevision, request.minCreateRevision,
                request.maxCreateRevision,
            ].contains { $0 != 0 }
        var rows = all
        // R10: without an order the limit comes first.
        if request.limit > 0, request.sortOrder == .none, !hasFilters {
            rows = Array(rows.prefix(Int(request.limit) + 1))
        }
        rows = rows.filter { _, key in
            key.modified >= request.minModRevision && key.created >= request.minCreateRevision
                && (request.maxModRevision == 0 || key.modified <= request.maxModRevision)
                && (request.maxCreateRevision == 0 || key.created <= request.maxCreateRevision)
        }
        let isDescending = request.sortOrder == .descend
        var sorted = rows.map { (name: $0.key, sort: sortKey(request, $0.key, $0.value)) }
        sorted.sort { isDescending ? $0.sort > $1.sort : $0.sort < $1.sort }
        let more = request.limit > 0 && sorted.count > Int(request.limit)
        if more { sorted = Array(sorted.prefix(Int(request.limit))) }
        return Expected(
            keys: sorted.map(\.name), sortKeys: sorted.map(\.sort), more: more, count: count)
    }

    private static func answer(
        _ request: RangeRequest, _ rig: ExecutorRig, at revision: Int64?, knownCount: Int64? = nil
    ) throws -> [UInt8] {
        try RangeOperation(
            request: request, reader: rig.executor.keys.reader, revision: revision,
            header: ResponseHeader(revision: 9), splits: false, knownCount: knownCount
        ).run()
    }

    private static func expectRows(
        _ found: DecodedRange, _ request: RangeRequest, _ state: ModelStore, _ what: Comment
    ) {
        let wanted = expected(request, state)
        let names = found.kvs.map { String(decoding: $0.key.array, as: UTF8.self) }
        #expect(found.count == wanted.count, what)
        #expect(found.more == wanted.more, what)
        #expect(Set(names).count == names.count, what)
        // Keys that tie may come in any order, and any of them may be cut.
        let sortKeys = names.map { name in
            state.keys[name].map { sortKey(request, name, $0) } ?? "missing"
        }
        #expect(sortKeys == wanted.sortKeys, what)
        if request.sortTarget == .key { #expect(names == wanted.keys, what) }
        for (name, kv) in zip(names, found.kvs) {
            let key = state.keys[name]
            #expect(kv.modRevision == key?.modified, what)
            #expect(kv.createRevision == key?.created, what)
            #expect(kv.version == key?.version, what)
            let value = request.keysOnly ? "" : key?.value
            #expect(String(decoding: kv.value.array, as: UTF8.self) == value, what)
        }
    }

    @Test(
        "range: any request gives what the model says, now and at any revision",
        arguments: 0..<25 as Range<UInt64>)
    func againstModel(seed: UInt64) throws {
        var (rig, states, random) = try Self.world(seed: seed)
        let last = Int64(states.count - 1)
        for _ in 0..<80 {
            let request = Self.request(&random, last: last)
            let revision = request.revision > 0 ? request.revision : nil
            let bytes = try Self.answer(request, rig, at: revision)
            let state = states[Int(revision ?? last)]
            let what: Comment = "seed \(seed), \(request)"
            Self.expectRows(try DecodedRange(decoding: bytes), request, state, what)
            // The newest state is the history at its revision
            if revision == nil {
                #expect(try Self.answer(request, rig, at: last) == bytes, what)
            }
            // A count that is known need not be counted
            let known = Self.expected(request, state).count
            #expect(try Self.answer(request, rig, at: revision, knownCount: known) == bytes, what)
        }
    }

    @Test(
        "range: pages tell the next page's count, whatever the page's size",
        arguments: 1...7 as ClosedRange<Int64>)
    func pages(limit: Int64) throws {
        let (rig, states, _) = try Self.world(seed: 77)
        let all = states[states.count - 1].keys.keys.sorted()
        var cache = CountCache()
        var seen: [String] = []
        var request = RangeRequest(key: "k", rangeEnd: "l", limit: limit)
        var hits = 0
        while true {
            let known = cache.count(revision: 1, bounds: request.bounds)
            if known != nil { hits += 1 }
            let operation = try RangeOperation(
                request: request, reader: rig.executor.keys.reader, revision: nil, header: .empty,
                splits: false, knownCount: known)
            let page = try DecodedRange(decoding: operation.run())
            #expect(page.count == Int64(all.count - seen.count))
            seen += page.kvs.map { String(decoding: $0.key.array, as: UTF8.self) }
            guard page.more else { break }
            let continuation = try #require(operation.continuation)
            cache.insert(revision: 1, end: request.bounds.end, continuation)
            request.key = Bytes((seen.last ?? "") + "\0")
        }
        #expect(seen == all)
        #expect(hits == (all.count - 1) / Int(limit))
    }

    @Test(
        "range: a large answer in parts has the bytes of one in a single message",
        arguments: [
            RangeRequest(key: [0], rangeEnd: [0]),
            RangeRequest(key: [0], rangeEnd: [0], limit: 250),
            RangeRequest(key: [0], rangeEnd: [0], sortOrder: .descend),
            RangeRequest(
                key: [0], rangeEnd: [0], limit: 240, sortOrder: .ascend, sortTarget: .value),
            RangeRequest(key: [0], rangeEnd: [0], revision: 200, minModRevision: 3),
            RangeRequest(key: [0], rangeEnd: [0], sortTarget: .mod),
        ])
    func parts(request: RangeRequest) throws {
        // Given a list of 1.5 MiB
        let rig = try ExecutorRig()
        for number in 0..<300 {
            try rig.run(
                .put("k\(number)", String(repeating: "\(number % 7)", count: 5_000 + number)))
        }
        var request = request
        if request.revision > 0 { request.revision = 290 }
        let revision = request.revision > 0 ? request.revision : nil
        let whole = try Self.answer(request, rig, at: revision)
        // When it may be split
        let reader = rig.executor.keys.reader
        let operation = try RangeOperation(
            request: request, reader: reader, revision: revision,
            header: ResponseHeader(revision: 9), splits: true, knownCount: nil)
        var total = 0
        steps: while true {
            switch try operation.step() {
            case .more: continue
            case .message: Issue.record("it came in one message")
            case .parts(let bytes): total = bytes
            }
            break steps
        }
        var bytes: [UInt8] = []
        while operation.hasParts {
            let part = try #require(try operation.nextPart(reader: reader))
            #expect(part.count < 2 * RangeLimits.partBytes)
            bytes += part
        }
        // Then nothing but the cutting differs
        #expect(bytes == whole)
        #expect(total == whole.count)
    }

    @Test("range: parts whose rows are compacted away meanwhile end the answer")
    func partsOvertaken() throws {
        let rig = try ExecutorRig()
        for number in 0..<300 {
            try rig.run(.put("k\(number)", String(repeating: "x", count: 5_000)))
        }
        let reader = rig.executor.keys.reader
        let operation = try RangeOperation(
            request: RangeRequest(key: [0], rangeEnd: [0]), reader: reader, revision: nil,
            header: .empty, splits: true, knownCount: nil)
        while case .more = try operation.step() {}
        #expect(try operation.nextPart(reader: reader) != nil)
        for number in 0..<300 { try rig.run(.put("k\(number)", "new")) }
        try rig.run(.compact(CompactionRequest(revision: 601)))
        while try rig.executor.compactor.step(limit: 1000) {}
        #expect(try operation.nextPart(reader: reader) == nil)
    }

    @Test("range: a small answer is one message even where it might be split")
    func small() throws {
        let (rig, _, _) = try Self.world(seed: 5)
        for request in [
            RangeRequest(key: [0], rangeEnd: [0]),
            RangeRequest(key: [0], rangeEnd: [0], sortOrder: .descend),
            RangeRequest(key: [0], rangeEnd: [0], countOnly: true),
        ] {
            let operation = try RangeOperation(
                request: request, reader: rig.executor.keys.reader, revision: nil,
                header: ResponseHeader(revision: 9), splits: true, knownCount: nil)
            guard case .message(let bytes) = try operation.step() else {
                Issue.record("\(request)")
                continue
            }
            #expect(bytes == (try Self.answer(request, rig, at: nil)))
        }
    }
}
