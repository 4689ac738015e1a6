// WatchHubEventTests.swift: what is inside the responses of a watch, and what creation refuses.
// Belongs here: events, fragments, previous values, ids. Never here: who gets what when
// (WatchHubTests).
// Source: etcd semantics W2, W3, W8-W13.

import Storage
import Testing
import TestSupport

@testable import EtcdResponses
@testable import Server

@Suite struct WatchHubEventTests {
    @Test("events: all of one revision come in one response, filtered, in their order")
    func oneRevision() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream, key: "a", end: "z")
        try world.create(stream, key: "a", end: "z", filters: [0])
        try world.create(stream, key: "a", end: "z", filters: [1, 7])
        world.settle()
        world.put("d", "1")
        let txn = TxnRequest(success: [
            .put(PutRequest(key: "c", value: "2")), .put(PutRequest(key: "b", value: "2")),
            .deleteRange(DeleteRangeRequest(key: "d")),
        ])
        _ = world.rig.ask(.txn(txn))
        world.settle()
        let all = try stream.responses().filter { $0.watchID == 0 && !$0.created }
        #expect(all.map { $0.events.compactMap(\.kv?.key) } == [["d"], ["c", "b", "d"]])
        #expect(all.last?.header?.value.revision == 3)
        let deletes = try stream.responses().filter { $0.watchID == 1 && !$0.created }
        #expect(deletes.map { $0.events.map(\.type) } == [[1]])
        #expect(deletes.first?.events.first?.kv == WireKeyValue(key: "d", modRevision: 3))
        #expect(try stream.revisions(2) == [2, 3, 3])
    }

    @Test(
        "events: fragments keep order and flags, live and from history",
        arguments: [0, 2] as [Int64])
    func fragments(start: Int64) throws {
        let world = try WatchWorld(fragmentBytesMax: 2_000)
        let (split, whole) = (world.stream(), world.stream())
        if start == 0 {
            try world.create(split, key: "a", end: "z", fragment: true)
            try world.create(whole, key: "a", end: "z")
            world.settle()
        }
        let value = String(repeating: "v", count: 700)
        let keys = (0..<7).map { "k\($0)" }
        _ = world.rig.ask(
            .txn(
                TxnRequest(
                    success: keys.map { .put(PutRequest(key: Bytes($0), value: Bytes(value))) })))
        if start != 0 {
            try world.create(split, key: "a", end: "z", from: start, fragment: true)
            try world.create(whole, key: "a", end: "z", from: start)
        }
        world.settle()
        let parts = try split.responses().dropFirst()
        #expect(parts.map(\.events.count) == [2, 2, 2, 1])
        #expect(parts.map(\.fragment) == [true, true, true, false])
        #expect(parts.flatMap(\.events).compactMap(\.kv?.key) == keys.map { Bytes($0) })
        #expect(try whole.responses().dropFirst().map(\.events.count) == [7])
        #expect(try whole.responses().dropFirst().map(\.fragment) == [false])
    }

    @Test(
        "events: the previous value is that before the revision, live and from history",
        arguments: [true, false])
    func previousValues(live: Bool) throws {
        // Given a key that is changed twice in one revision, in both orders
        let world = try WatchWorld()
        let stream = world.stream()
        if live {
            try world.create(stream, previous: true)
            world.settle()
        }
        world.put("k", "1")
        world.put("k", "2")
        let rest = DeleteRangeRequest(key: "k", rangeEnd: [0])
        _ = world.rig.ask(
            .txn(TxnRequest(success: [.put(PutRequest(key: "k", value: "3")), .deleteRange(rest)])))
        _ = world.rig.ask(
            .txn(TxnRequest(success: [.put(PutRequest(key: "k", value: "4")), .deleteRange(rest)])))
        world.put("k", "5")
        _ = world.rig.ask(
            .txn(TxnRequest(success: [.deleteRange(rest), .put(PutRequest(key: "k", value: "6"))])))
        _ = world.rig.ask(.delete("k"))
        if !live { try world.create(stream, from: 1, previous: true) }
        world.settle()
        let events = try stream.responses().flatMap(\.events)
        let seen = events.map { event in
            "\(event.type) \(event.kv?.modRevision ?? 0) \(event.prevKV?.text ?? "-")"
        }
        #expect(
            seen == [
                "0 2 -", "0 3 1@2", "0 4 2@3", "1 4 2@3", "0 5 -", "1 5 -", "0 6 -", "1 7 5@6",
                "0 7 -",
                "1 8 6@7",
            ])
    }

    @Test("events: a previous value that was compacted away is left out")
    func compactedPrevious() throws {
        let world = try WatchWorld()
        world.put("k", "1")
        world.put("k", "2")
        _ = world.rig.ask(.compact(CompactionRequest(revision: 3)))
        world.rig.settle(after: 1000)
        let stream = world.stream()
        try world.create(stream, from: 3, previous: true)
        world.put("k", "3")
        world.settle()
        let previous = try stream.responses().flatMap(\.events).map { $0.prevKV?.text }
        #expect(previous == [nil, "2@3"])
    }

    // MARK: requests

    @Test("create: ids are given in turn past those in use, and one in use is refused")
    func ids() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream, id: 1)
        try world.create(stream)
        try world.create(stream)
        try world.create(stream, id: 1)
        try world.create(stream, id: -7)
        #expect(try stream.responses().map(\.watchID) == [1, 0, 2, -1, -7])
        let refused = try stream.responses()[3]
        #expect(refused.created && refused.canceled)
        #expect(refused.cancelReason == WatchCancelReason.duplicateWatchID)
        #expect(world.hub.watcherCount == 4)
    }

    @Test("create: an empty range and a negative revision are refused, under no id")
    func refusals() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream, key: "b", end: "a")
        try world.create(stream, key: "b", end: "b")
        try world.create(stream, from: -1)
        let responses = try stream.responses()
        #expect(responses.map(\.watchID) == [-1, -1, -1])
        #expect(responses.allSatisfy { $0.created && $0.canceled })
        #expect(
            responses.map(\.cancelReason) == [
                WatchCancelReason.emptyRange, WatchCancelReason.emptyRange,
                WatchCancelReason.negativeRevision,
            ])
        #expect(world.loop.submitted.isEmpty)
    }

    @Test("create: an empty key is the key of one zero byte, or with an open end everything")
    func emptyKey() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream, key: "")
        try world.create(stream, key: "", end: "\0")
        world.settle()
        world.put("\0", "1")
        world.put("a", "1")
        world.settle()
        #expect(try stream.revisions(0) == [2])
        #expect(try stream.revisions(1) == [2, 3])
    }

    @Test("cancel: a known id is confirmed, an unknown one is not answered, and no event follows")
    func cancel() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream)
        world.settle()
        try world.hub.cancel(9, on: stream)
        #expect(try stream.responses().count == 1)
        try world.hub.cancel(0, on: stream)
        let last = try #require(try stream.responses().last)
        #expect(last.canceled && !last.created && last.watchID == 0 && last.compactRevision == 0)
        world.put("k", "1")
        world.settle()
        #expect(try stream.revisions().isEmpty)
        #expect(world.hub.watcherCount == 0)
    }
}

extension WireKeyValue {
    /// Value and revision, for short expectations.
    var text: String { "\(String(decoding: value.array, as: UTF8.self))@\(modRevision)" }
}
