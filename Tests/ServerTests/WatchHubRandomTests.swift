// WatchHubRandomTests.swift: writes, turns, congestion in any order; each watch gets its events once.
// Belongs here: random interleavings against the history. Never here: single cases (WatchHubTests).
// Source: etcd semantics W4, W8-W11, W16, W19; design section 6, point 4.

import Storage
import Testing
import TestSupport

@testable import EtcdResponses
@testable import Server

@Suite struct WatchHubRandomTests {
    /// A watch as a test asked for it.
    private struct Asked {
        let stream: Int
        let id: Int64
        let start: Int64
        let range: WatchRange
        let filters: [Int32]
        let previous: Bool
    }

    /// Everything that ever happened, from the store's history, with what was there before.
    private static func history(_ rig: ReplicaRig) throws -> [(
        event: String, key: [UInt8], revision: Int64, isDelete: Bool, before: String
    )] {
        try rig.read { (reader, _) throws(StorageError) in
            var found:
                [(event: String, key: [UInt8], revision: Int64, isDelete: Bool, before: String)] =
                    []
            var state: [[UInt8]: String] = [:]
            var changes: [([UInt8], String?)] = []
            var current: Int64 = 0
            let cursor = try ChangeCursor(reader: reader, from: PackedRevision(main: 0))
            while try cursor.next() {
                let revision = cursor.revision.main
                if revision != current {
                    for (key, value) in changes { state[key] = value }
                    changes = []
                    current = revision
                }
                let key = Array(cursor.key)
                let name = String(decoding: key, as: UTF8.self)
                let value = String(decoding: cursor.value, as: UTF8.self)
                let isDelete = !cursor.record.isLive
                let before = cursor.record.version == 1 ? "-" : state[key] ?? "-"
                changes.append((key, isDelete ? nil : "\(value)@\(revision)"))
                found.append(
                    (
                        "\(isDelete ? 1 : 0) \(name) \(value)@\(revision)",
                        key, revision, isDelete, before
                    ))
            }
            return found
        }
    }

    private static func expected(_ asked: Asked, _ rig: ReplicaRig) throws -> [String] {
        try history(rig).filter { item in
            item.revision >= asked.start
                && item.key.withUnsafeBytes { asked.range.contains($0) }
                && !asked.filters.contains(item.isDelete ? 1 : 0)
        }.map { "\($0.event) \(asked.previous ? $0.before : "-")" }
    }

    private static func write(_ world: WatchWorld, _ random: inout WireRandom, _ number: Int) {
        let key = "k\(Int.random(in: 0..<6, using: &random))"
        let rest = RequestOp.deleteRange(DeleteRangeRequest(key: Bytes(key), rangeEnd: [0]))
        let put = RequestOp.put(PutRequest(key: Bytes(key), value: Bytes("\(number)")))
        let other = RequestOp.put(PutRequest(key: Bytes(key + "x"), value: Bytes("\(number)")))
        switch Int.random(in: 0..<10, using: &random) {
        case 0: world.rig.send(.delete(key))
        case 1: world.rig.send(.delete("k1", end: "k4"))
        case 2: world.rig.send(.txn(TxnRequest(success: [put, rest])))
        case 3: world.rig.send(.txn(TxnRequest(success: [rest, put])))
        case 4, 5: world.rig.send(.txn(TxnRequest(success: [other, put])))
        default: world.rig.send(.put(key, "\(number)"))
        }
        if !random.chance(4) { world.rig.settle() }
    }

    private static func create(
        _ world: WatchWorld, _ streams: [WatchStream], _ random: inout WireRandom
    ) throws -> Asked {
        let place = Int.random(in: 0..<streams.count, using: &random)
        let current = try world.rig.content().revision
        let start = random.chance(3) ? 0 : Int64.random(in: 1...current + 3, using: &random)
        let filters: [[Int32]] = [[], [], [0], [1]]
        let request = WatchCreateRequest(
            key: Bytes("k\(Int.random(in: 0..<6, using: &random))"),
            rangeEnd: [Bytes(), [0], "k4"][Int.random(in: 0..<3, using: &random)],
            startRevision: start, progressNotify: random.chance(3),
            filters: filters[Int.random(in: 0..<4, using: &random)], prevKV: random.bool(),
            fragment: random.bool())
        let before = try streams[place].responses().count
        try world.hub.create(request, on: streams[place])
        let response = try streams[place].responses()[before]
        return Asked(
            stream: place, id: response.watchID, start: start == 0 ? current + 1 : start,
            range: request.range, filters: request.filters, previous: request.prevKV)
    }

    @Test(
        "watch: any interleaving gives each watch its events once and in order",
        arguments: 0..<120 as Range<UInt64>)
    func interleavings(seed: UInt64) throws {
        // Given a world in which everything happens at any time
        var random = WireRandom(seed: seed)
        let world = try WatchWorld(fragmentBytesMax: 60, progressMilliseconds: 50)
        let streams = (0..<3).map { _ in world.stream() }
        var asked: [Asked] = []
        for number in 0..<150 {
            switch Int.random(in: 0..<16, using: &random) {
            case 0...4: Self.write(world, &random, number)
            case 5, 6: world.forward()
            case 7, 8: _ = world.relay()
            case 9, 10: _ = world.loop.runTurn()
            case 11:
                let stream = streams[Int.random(in: 0..<3, using: &random)]
                stream.buffer(random.chance(2) ? 0 : WatchLimits.streamBufferedBytesMax + 1)
                world.hub.drained(stream)
            case 12: world.hub.progress(on: streams[Int.random(in: 0..<3, using: &random)])
            case 13:
                world.rig.output.eventBytes[0] =
                    random.chance(3) ? ReplicaLimits.eventBytesPerLoopMax : 0
            case 14: world.loop.pass(milliseconds: 30)
            default:
                let watch = try Self.create(world, streams, &random)
                if watch.id >= 0 { asked.append(watch) }
                // Now and then all watches of the loop go, and with them the subscription.
                guard random.chance(6) else { break }
                for (place, stream) in streams.enumerated() {
                    for gone in asked where gone.stream == place {
                        try world.hub.cancel(gone.id, on: stream)
                    }
                }
                try Self.expectPrefixes(asked, streams, world.rig, "seed \(seed)")
                asked = []
            }
        }
        // When it comes to rest
        world.rig.output.eventBytes[0] = 0
        for stream in streams {
            stream.buffer(0)
            world.hub.drained(stream)
        }
        world.settle()
        // Then each watch has had all of its events once
        for watch in asked {
            let seen = try Self.events(watch, streams)
            #expect(seen == (try Self.expected(watch, world.rig)), "seed \(seed), \(watch)")
        }
        for stream in streams { try Self.expectHonest(stream, "seed \(seed)") }
    }

    private static func events(_ asked: Asked, _ streams: [WatchStream]) throws -> [String] {
        try streams[asked.stream].responses().filter { $0.watchID == asked.id }.flatMap(\.events)
            .map {
                let kv = $0.kv ?? WireKeyValue()
                let key = String(decoding: kv.key.array, as: UTF8.self)
                return "\($0.type) \(key) \(kv.text) \($0.prevKV?.text ?? "-")"
            }
    }

    /// A watch that was canceled has had the beginning of its events.
    private static func expectPrefixes(
        _ asked: [Asked], _ streams: [WatchStream], _ rig: ReplicaRig, _ what: Comment
    ) throws {
        for watch in asked {
            let seen = try events(watch, streams)
            #expect(seen == Array(try expected(watch, rig).prefix(seen.count)), what)
        }
    }

    /// What a stream says of revisions is true: a header is not below its events, revisions are
    /// whole, and no
    /// event comes after a progress notice that covers it.
    private static func expectHonest(_ stream: WatchStream, _ what: Comment) throws {
        var promised: [Int64: Int64] = [:]
        var last: [Int64: Int64] = [:]
        var open: [Int64] = []
        var isFragment: [Int64: Bool] = [:]
        for response in try stream.responses() {
            let id = response.watchID
            let revision = response.header?.value.revision ?? 0
            guard let first = response.events.first?.kv?.modRevision else {
                if response.created {
                    // What was promised before holds for the watches there were.
                    promised[id] = 0
                    open.append(id)
                } else if !response.canceled {
                    for watch in id == -1 ? open : [id] { promised[watch] = revision }
                }
                continue
            }
            #expect(first > promised[id] ?? 0, what)
            if isFragment[id] == true {
                #expect(first >= last[id] ?? 0, what)
            } else {
                #expect(first > last[id] ?? 0, what)
            }
            last[id] = response.events.last?.kv?.modRevision
            isFragment[id] = response.fragment
            #expect(revision >= last[id] ?? 0, what)
        }
    }
}
