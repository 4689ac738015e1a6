// WatchHubTests.swift: watches of one event loop, fed by a member that is stepped by hand.
// Belongs here: one situation a test. Never here: random interleavings (WatchHubRandomTests).
// Source: etcd semantics W1-W19.

import Storage
import Testing
import TestSupport
import Transport

@testable import EtcdResponses
@testable import Server

/// A member, one event loop with a hub, and the messages between them, which move only when told.
final class WatchWorld {
    let rig: ReplicaRig
    let loop = FakeLoop()
    let hub: WatchHub
    private var relayed = 0

    init(fragmentBytesMax: Int = 1 << 20, progressMilliseconds: UInt64 = 1000) throws {
        rig = try ReplicaRig.started()
        relayed = rig.output.messages.count
        hub = WatchHub(
            identity: ReplicaRig.identity, status: rig.status,
            store: LoopStore(pages: rig.pages) { Issue.record("\($0)") }, environment: loop,
            loop: 0,
            fragmentBytesMax: fragmentBytesMax, progressMilliseconds: progressMilliseconds)
    }

    /// Hands the loop's requests to the member.
    func forward() {
        for request in loop.takeSubmitted() { rig.send(request.body) }
        rig.settle()
    }

    /// Hands the next message of the member to the hub; false if there is none.
    func relay() -> Bool {
        guard relayed < rig.output.messages.count else { return false }
        switch rig.output.messages[relayed].message {
        case .events(let batch): hub.deliver(batch)
        case .skipped(let revision): hub.skipped(through: revision)
        case .subscribed(let revision): hub.subscribed(at: revision)
        case .answer, .failure, .readable: break
        }
        relayed += 1
        return true
    }

    /// Moves everything until nothing moves any more.
    func settle() {
        var moves = true
        while moves {
            forward()
            moves = false
            while relay() { moves = true }
            while loop.runTurn() { moves = true }
            moves = moves || !loop.submitted.isEmpty
        }
    }

    func stream() -> WatchStream { WatchStream(call: FakeCall()) }

    func create(
        _ stream: WatchStream, key: String = "k", end: String = "", from revision: Int64 = 0,
        id: Int64 = 0, previous: Bool = false, progress: Bool = false, filters: [Int32] = [],
        fragment: Bool = false
    ) throws {
        try hub.create(
            WatchCreateRequest(
                key: Bytes(key), rangeEnd: Bytes(end), startRevision: revision,
                progressNotify: progress, filters: filters, prevKV: previous, watchID: id,
                fragment: fragment), on: stream)
    }

    @discardableResult
    func put(_ key: String, _ value: String) -> Outcome? { rig.ask(.put(key, value)) }
}

extension WatchStream {
    /// Everything that was sent on the stream.
    func responses() throws -> [DecodedWatch] {
        guard let call = call as? FakeCall else { return [] }
        return try call.messages.map { try DecodedWatch(decoding: $0) }
    }

    /// The revisions of all events sent to a watch.
    func revisions(_ id: Int64 = 0) throws -> [Int64] {
        try responses().filter { $0.watchID == id }.flatMap(\.events).compactMap {
            $0.kv?.modRevision
        }
    }

    func buffer(_ bytes: Int) {
        (call as? FakeCall)?.bufferedBytes = bytes
    }
}

@Suite struct WatchHubTests {
    private static let tooMuch = WatchLimits.streamBufferedBytesMax + 1

    @Test("watch: from now on: created first, then every later event once")
    func fromNow() throws {
        let world = try WatchWorld()
        world.put("k", "before")
        let stream = world.stream()
        try world.create(stream)
        #expect(try stream.responses().map(\.created) == [true])
        #expect(try stream.responses()[0].header?.value.revision == 2)
        world.settle()
        world.put("k", "1")
        world.put("other", "1")
        world.put("k", "2")
        world.settle()
        #expect(try stream.revisions() == [3, 5])
    }

    @Test("watch: a write between creation and the subscription's answer is not lost")
    func beforeSubscription() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream)
        world.put("k", "1")
        world.forward()
        world.put("k", "2")
        world.settle()
        #expect(try stream.revisions() == [2, 3])
    }

    @Test("watch: history comes first, then live events, without a gap or a repeat")
    func handOver() throws {
        // Given more history than one step reads
        let world = try WatchWorld()
        for number in 0..<3 { world.put("k", "\(number)") }
        for _ in 0..<4 {
            let many = (0..<600).map { _ in ReplicaRequest.Body.put("k", "v") }
            many.forEach { world.rig.send($0) }
            world.rig.settle()
        }
        let stream = world.stream()
        try world.create(stream, from: 2)
        world.forward()
        while world.relay() {}
        // When writes arrive between the steps of catching up
        var turns = 0
        while world.loop.runTurn() {
            turns += 1
            if turns < 5 {
                world.put("k", "during \(turns)")
                if turns.isMultiple(of: 2) { while world.relay() {} }
            }
        }
        world.settle()
        #expect(turns > 2)
        // Then all of them come once, in order; history in responses of 1000 revisions
        #expect(try stream.revisions() == Array(2...world.rig.content().revision))
        #expect(try stream.responses()[1].events.count == WatchLimits.catchUpRevisionsMax)
    }

    @Test("watch: a slow stream falls behind, and catches up when it is drained")
    func slowStream() throws {
        // Given two streams on one key, one of which is full
        let world = try WatchWorld()
        let (slow, quick) = (world.stream(), world.stream())
        try world.create(slow)
        try world.create(quick)
        world.settle()
        slow.buffer(Self.tooMuch)
        for number in 0..<5 { world.put("k", "\(number)") }
        world.settle()
        #expect(try slow.revisions().isEmpty)
        #expect(try quick.revisions() == [2, 3, 4, 5, 6])
        // Being drained for a moment is enough to go on later
        world.hub.drained(slow)
        world.settle()
        #expect(try slow.revisions().isEmpty)
        slow.buffer(0)
        world.hub.drained(slow)
        world.settle()
        world.put("k", "last")
        world.settle()
        #expect(try slow.revisions() == [2, 3, 4, 5, 6, 7])
    }

    @Test(
        "watch: compaction that overtakes a slow stream ends the watch"
    )
    func overtaken() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream)
        try world.create(stream, key: "other")
        world.settle()
        stream.buffer(Self.tooMuch)
        for number in 0..<5 { world.put("k", "\(number)") }
        world.settle()
        _ = world.rig.ask(.compact(CompactionRequest(revision: 5)))
        stream.buffer(0)
        world.hub.drained(stream)
        world.settle()
        let end = try #require(try stream.responses().last)
        #expect(end.canceled && end.watchID == 0)
        #expect(end.compactRevision == 5)
        #expect(end.cancelReason.isEmpty)
        #expect(end.header?.value.revision == 0)
        // The other one lives on
        world.put("other", "1")
        world.settle()
        #expect(try stream.revisions(1) == [7])
        #expect(world.hub.watcherCount == 1)
    }

    @Test("watch: a start below the compacted revision is created, then ended; at it, served")
    func compactedStart() throws {
        let world = try WatchWorld()
        for number in 0..<5 { world.put("k", "\(number)") }
        _ = world.rig.ask(.compact(CompactionRequest(revision: 4)))
        let stream = world.stream()
        try world.create(stream, from: 3)
        try world.create(stream, from: 4)
        world.settle()
        let first = try stream.responses().filter { $0.watchID == 0 }
        #expect(first.map(\.created) == [true, false])
        #expect(first.last?.compactRevision == 4)
        #expect(try stream.revisions(1) == [4, 5, 6])
    }

    @Test("watch: one of the future stays silent until its revision is reached")
    func future() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream, from: 6)
        world.settle()
        for number in 0..<3 {
            world.put("k", "\(number)")
            world.settle()
            world.hub.progress(on: stream)
        }
        #expect(try stream.responses().count == 1)
        for number in 5...7 { world.put("k", "\(number)") }
        world.settle()
        #expect(try stream.revisions() == [6, 7])
        world.hub.progress(on: stream)
        #expect(try stream.responses().last?.header?.value.revision == 7)
    }

    // MARK: progress

    @Test(
        "progress: asked for, it names a revision that was handed over"
    )
    func progressOnRequest() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        world.hub.progress(on: stream)
        #expect(try stream.responses().isEmpty)
        try world.create(stream)
        world.hub.progress(on: stream)
        #expect(try stream.responses().count == 1)
        world.settle()
        // Given an event that the loop has not been handed
        world.put("k", "1")
        world.hub.progress(on: stream)
        let early = try #require(try stream.responses().last)
        #expect(early.watchID == -1)
        #expect(early.header?.value.revision == 1)
        world.settle()
        world.hub.progress(on: stream)
        #expect(try stream.revisions() == [2])
        #expect(try stream.responses().last?.header?.value.revision == 2)
    }

    @Test("progress: there is none while a watch of the stream is behind")
    func progressBehind() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream)
        world.settle()
        stream.buffer(Self.tooMuch)
        world.put("k", "1")
        world.settle()
        stream.buffer(0)
        let before = try stream.responses().count
        world.hub.progress(on: stream)
        #expect(try stream.responses().count == before)
    }

    @Test(
        "progress: an idle watch hears of the revision each interval, a busy one does not"
    )
    func progressNotify() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream, progress: true)
        try world.create(stream, key: "other")
        world.settle()
        world.put("elsewhere", "1")
        world.settle()
        world.loop.pass(milliseconds: 1000)
        let notice = try #require(try stream.responses().last)
        #expect(notice.watchID == 0 && notice.events.isEmpty)
        #expect(notice.header?.value.revision == 2)
        world.put("k", "1")
        world.settle()
        let count = try stream.responses().count
        world.loop.pass(milliseconds: 1000)
        #expect(try stream.responses().count == count)
        world.loop.pass(milliseconds: 1000)
        #expect(try stream.responses().count == count + 1)
    }

    // MARK: subscription

    @Test("subscription: the last watch ends it, a new one begins it, and nothing between is lost")
    func resubscription() throws {
        // Given a loop that gave up its subscription and asked again before any answer came
        let world = try WatchWorld()
        let (first, second) = (world.stream(), world.stream())
        try world.create(first)
        world.hub.close(first)
        #expect(world.hub.delivered == nil)
        try world.create(second)
        // When the answers come with writes between them
        let requests = world.loop.takeSubmitted()
        #expect(requests.count == 3)
        for request in requests {
            world.rig.send(request.body)
            world.rig.settle()
            world.put("k", "x")
        }
        world.settle()
        // Then the second watch has all
        #expect(try second.revisions() == [2, 3, 4])
        #expect(try first.revisions().isEmpty)
    }

    @Test(
        "subscription: a full queue is asked again, and nothing is lost meanwhile"
    )
    func queueFull() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        world.loop.isQueueFull = true
        world.loop.refused = { [unowned world] in world.hub.subscriptionRefused($0) }
        try world.create(stream)
        world.put("k", "1")
        world.settle()
        #expect(try stream.revisions().isEmpty)
        world.loop.isQueueFull = false
        world.loop.pass(milliseconds: WatchLimits.subscribeRetryMilliseconds)
        world.settle()
        #expect(try stream.revisions() == [2])
    }

    @Test("skipped: live watches read from the store what was not handed over")
    func skipped() throws {
        let world = try WatchWorld()
        let stream = world.stream()
        try world.create(stream)
        world.settle()
        world.put("k", "1")
        world.settle()
        world.rig.output.eventBytes[0] = ReplicaLimits.eventBytesPerLoopMax
        world.put("k", "2")
        world.put("k", "3")
        world.rig.output.eventBytes[0] = 0
        world.put("k", "4")
        world.settle()
        #expect(try stream.revisions() == [2, 3, 4, 5])
    }
}
