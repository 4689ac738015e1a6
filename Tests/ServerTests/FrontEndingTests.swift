// FrontEndingTests.swift: calls that the server ends, and what must be gone with them.
// Belongs here: bad messages, no leader, full queues. Never here: what a method answers (the services' own tests).
// Source: etcd semantics G9, W13; design section 6, rule 6.

import Storage
import Testing
import Transport

@testable import Server

@Suite struct FrontEndingTests {
    private func watch(_ rig: FrontRig, key: Bytes, needsLeader: Bool = false) -> FakeCall {
        let call = FakeCall()
        rig.front.start(call, .watch, needsLeader: needsLeader)
        var request = WatchCreateRequest()
        request.key = key
        rig.front.receive(call, .watch, WatchRequest.create(request).encoded())
        return call
    }

    private func put(_ rig: FrontRig, _ key: Bytes, _ value: Bytes) {
        var request = PutRequest()
        request.key = key
        request.value = value
        let call = rig.call(.put, request.encoded())
        rig.settle()
        #expect(call.status == .ok)
    }

    @Test("a watch stream that sent what cannot be read ends, and its watches with it")
    func badMessage() throws {
        let rig = try FrontRig()
        let call = watch(rig, key: "k")
        rig.settle()
        #expect(rig.rig.status.counts.watchers.now == 1)
        rig.front.receive(call, .watch, [0xff])
        #expect(call.status?.code == .internal)
        #expect(call.held == nil)
        #expect(rig.rig.status.counts.watchers.now == 0)
        #expect(rig.rig.status.counts.watchStreams.now == 0)
        put(rig, "k", "v")
        #expect(call.messages.count == 1)
    }

    @Test("G9: without a leader streams that need one end, with all that was kept for them")
    func noLeader() throws {
        let rig = try FrontRig()
        let watching = watch(rig, key: "k", needsLeader: true)
        let observing = FakeCall()
        rig.front.start(observing, .observe, needsLeader: true)
        rig.front.receive(observing, .observe, LeaderRequest(name: "e").encoded())
        rig.settle()
        #expect(rig.rig.status.counts.watchers.now == 2)
        let leader = rig.rig.status.leader
        rig.rig.status.leader = 0
        for _ in 0..<6 { rig.loop.pass(milliseconds: 1000) }
        #expect(watching.status == EtcdError.noLeader.status)
        #expect(observing.status == EtcdError.noLeader.status)
        #expect(rig.rig.status.counts.watchers.now == 0)
        rig.rig.status.leader = leader
        // Nothing is said on either any more: the calls would notice.
        put(rig, "k", "v")
        put(rig, "e/1", "v")
    }

    @Test("a full queue of the replica refuses a subscription, which is asked for again")
    func subscription() throws {
        let rig = try FrontRig()
        rig.loop.isQueueFull = true
        let call = watch(rig, key: "k")
        rig.settle()
        rig.loop.isQueueFull = false
        put(rig, "k", "v")
        #expect(call.messages.count == 1)
        rig.loop.pass(milliseconds: WatchLimits.subscribeRetryMilliseconds)
        rig.settle()
        #expect(call.messages.count == 2)
        #expect(call.isOpen)
    }

    @Test("reads that wait for an index ask the next question once one is answered, or refused")
    func questions() throws {
        let rig = try FrontRig()
        rig.rig.status.readsLocally = false
        var request = RangeRequest()
        request.key = "k"
        var calls: [FakeCall] = []
        var questions: [CallTicket] = []
        for _ in 0..<100 {
            calls.append(rig.call(.range, request.encoded()))
            for asked in rig.loop.takeSubmitted() {
                if case .call(let ticket) = asked.origin { questions.append(ticket) }
            }
        }
        #expect(questions.count == ReadBatcher.questionsMax)
        rig.front.take(.failure(questions[0], EtcdError.timeout.status))
        #expect(calls[0].status == EtcdError.timeout.status)
        let more = rig.loop.takeSubmitted()
        #expect(more.count == 1)
        guard case .call(let last)? = more.first?.origin else {
            Issue.record("nothing was asked")
            return
        }
        for ticket in questions.dropFirst() + [last] { rig.front.take(.readable(ticket)) }
        #expect(calls.dropFirst().allSatisfy { $0.status == .ok })
    }

    @Test("a read whose client went while it was given a reader passes it on")
    func readerPassedOn() throws {
        let rig = try FrontRig()
        put(rig, "k", "v")
        let store = rig.front.context.store
        var readers: [LoopReader] = []
        while let reader = try store.checkOut() { readers.append(reader) }
        var request = RangeRequest()
        request.key = "a"
        request.rangeEnd = "z"
        request.sortOrder = .descend
        let first = rig.call(.range, request.encoded())
        let second = rig.call(.range, request.encoded())
        #expect(first.isOpen && second.isOpen)
        store.checkIn(readers.removeLast())
        // It takes the reader at once, and hands it to the first that waits.
        #expect(rig.call(.range, request.encoded()).status == .ok)
        let holder = first.held
        first.isOpen = false
        rig.front.cancel(holder: holder)
        rig.settle()
        #expect(second.status == .ok)
        readers.forEach(store.checkIn)
    }
}
