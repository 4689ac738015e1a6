// ReplicaTests.swift: what leaves the replica when, and what it does when the store fails.
// Belongs here: one member stepped by hand. Never here: crashes (ReplicaCrashTests), leases and
// compaction (ReplicaBackgroundTests). Source: design section 3 and section 6, points 4 and 6.

import Storage
import Testing
import TestSupport
import Transport

@testable import EtcdResponses
@testable import Server

@Suite struct ReplicaTests {
    @Test("answers: nothing is posted before the log has saved the batch")
    func nothingBeforeTheSave() throws {
        // Given a member with a watch somewhere
        let rig = try ReplicaRig.started()
        rig.send(.subscribe(true))
        rig.settle()
        rig.output.clear()
        // When requests are carried out, and turns go by, but nothing is saved
        let first = rig.send(.put("a", "1"))
        let refused = rig.send(.put("b", "1", lease: 77))
        rig.turn()
        rig.turn(after: 500)
        // Then nobody hears of it, not even of the refusal: it rests on what is not agreed
        #expect(rig.output.messages.isEmpty)
        #expect(try rig.content().keys.isEmpty)
        #expect(rig.status.pendingProposals == 1)
        // When it is saved
        #expect(rig.save())
        // Then all of it leaves
        #expect(rig.output.outcomes.map(\.ticket) == [first, refused])
        #expect(rig.output.outcome(of: refused) == .failure(EtcdError.leaseNotFound.status))
        #expect(try rig.content().keys["a"]?.modified == 2)
    }

    @Test(
        "answers: batches that run on top of each other are answered in order"
    )
    func speculation() throws {
        let rig = try ReplicaRig.started()
        rig.output.clear()
        var tickets: [CallTicket] = []
        for number in 0..<3 {
            tickets.append(rig.send(.put("k", "\(number)")))
            rig.turn()
        }
        #expect(rig.output.messages.isEmpty)
        rig.settle()
        #expect(rig.output.outcomes.map(\.ticket) == tickets)
        let revisions = try rig.output.outcomes.map {
            try rig.put($0.outcome).header?.value.revision
        }
        #expect(revisions == [2, 3, 4])
    }

    @Test("answers: the window of batches is bounded, and what does not fit waits")
    func window() throws {
        let rig = try ReplicaRig.started()
        rig.output.clear()
        let extra = 5
        for number in 0..<ReplicaLimits.batchesInFlightAloneMax + extra {
            rig.send(.put("k\(number)", "v"))
            rig.turn()
        }
        #expect(rig.replica.inFlight.count == ReplicaLimits.batchesInFlightAloneMax)
        #expect(rig.replica.backlog.count == extra)
        rig.settle()
        #expect(rig.output.outcomes.count == ReplicaLimits.batchesInFlightAloneMax + extra)
        #expect(rig.replica.inFlight.isEmpty)
        #expect(
            try rig.content().revision == Int64(1 + ReplicaLimits.batchesInFlightAloneMax + extra))
    }

    @Test("answers: a batch takes a bounded number of requests and of bytes")
    func batchBounds() throws {
        let rig = try ReplicaRig.started()
        for number in 0...ReplicaLimits.requestsPerBatchMax {
            rig.send(.put("k\(number % 7)", "v"))
        }
        rig.turn()
        #expect(
            rig.replica.inFlight.map(\.answers.count) == [ReplicaLimits.requestsPerBatchMax, 1])
        rig.settle()
        for _ in 0..<3 { rig.send(.put("k", "v"), byteCount: ReplicaLimits.bytesPerBatchMax / 2) }
        rig.turn()
        #expect(rig.replica.inFlight.map(\.answers.count) == [2, 1])
    }

    @Test("queue: requests beyond the bound are refused at once, those before them are carried out")
    func queueIsBounded() throws {
        let rig = try ReplicaRig.started()
        rig.output.clear()
        let requests = (0..<ReplicaLimits.queuedRequestsMax + 2).map { number in
            ReplicaRequest(
                ticket: CallTicket(loop: 0, slot: UInt32(number), generation: 1),
                body: .put(PutRequest(key: "k")), byteCount: 1)
        }
        rig.replica.enqueue(requests, now: Tick(milliseconds: rig.now))
        let tooMany = Outcome.failure(EtcdError.tooManyRequests.status)
        #expect(
            rig.output.outcomes.map { RequestOrigin.call($0.ticket) }
                == requests.suffix(2).map(\.origin))
        #expect(rig.output.outcomes.allSatisfy { $0.outcome == tooMany })
        // What keeps the cluster alive is still taken.
        rig.output.clear()
        let alarm = ReplicaRequest(
            ticket: CallTicket(loop: 0, slot: 0, generation: 2), body: .alarm(AlarmRequest()),
            byteCount: 1)
        rig.replica.enqueue([alarm], now: Tick(milliseconds: rig.now))
        #expect(rig.output.outcomes.isEmpty)
        #expect(rig.replica.backlog.vitalCount == 1)
    }

    @Test("queue: few large requests are refused as well as many small ones")
    func queueIsBoundedInBytes() throws {
        let rig = try ReplicaRig.started()
        rig.output.clear()
        let size = 1 << 20
        let requests = (0..<ReplicaLimits.queuedBytesMax / size + 3).map { number in
            ReplicaRequest(
                ticket: CallTicket(loop: 0, slot: UInt32(number), generation: 1),
                body: .put(PutRequest(key: "k")), byteCount: size)
        }
        // One by one: as much as fits into the inbox is taken as a whole.
        for request in requests {
            rig.replica.enqueue([request], now: Tick(milliseconds: rig.now))
        }
        let refused = rig.output.outcomes.map { RequestOrigin.call($0.ticket) }
        #expect(refused == requests.suffix(refused.count).map(\.origin))
        #expect((3...5).contains(refused.count))
        #expect(rig.replica.backlog.byteCount <= ReplicaLimits.queuedBytesMax)
    }

    // MARK: watches

    @Test(
        "events: a subscriber gets a batch's events before its answers, and in order"
    )
    func eventsBeforeAnswers() throws {
        // Given two loops of which one has watches
        let rig = try ReplicaRig.started { $0.loopCount = 2 }
        rig.send(.subscribe(true), loop: 1)
        rig.settle()
        #expect(rig.output.subscriptions == [1])
        rig.output.clear()
        // When a transaction and a put are carried out in one batch
        rig.send(
            .txn(
                TxnRequest(success: [
                    .put(PutRequest(key: "a", value: "1")), .put(PutRequest(key: "b", value: "2")),
                ])), loop: 1)
        rig.send(.put("c", "3"), loop: 1)
        rig.settle()
        // Then the loop with watches, and only it, gets the events before the answers
        #expect(rig.output.messages.allSatisfy { $0.loop == 1 })
        guard case .events(let batch)? = rig.output.messages.first?.message else {
            Issue.record("\(rig.output.messages)")
            return
        }
        #expect(batch.events.map(\.key) == ["a", "b", "c"])
        #expect(batch.events.map(\.record.revision.main) == [2, 2, 3])
        #expect(batch.revision == 3)
        #expect(rig.output.outcomes.count == 2)
    }

    @Test(
        "events: a loop hears from which revision on they follow; one that leaves hears none"
    )
    func subscriptions() throws {
        let rig = try ReplicaRig.started()
        _ = rig.ask(.put("a", "1"))
        rig.output.clear()
        // Given a batch on the tip that is not agreed yet, carried out when nobody wanted events
        rig.send(.put("a", "2"))
        rig.turn()
        rig.send(.subscribe(true))
        rig.turn()
        // Then the subscription begins before it, and its events are to be read from the store
        #expect(rig.output.subscriptions == [2])
        rig.settle()
        #expect(rig.output.skips == [3])
        #expect(rig.output.eventRevisions == [])
        // And later ones follow
        _ = rig.ask(.put("a", "3"))
        #expect(rig.output.eventRevisions == [4])
        rig.send(.subscribe(false))
        rig.settle()
        _ = rig.ask(.put("a", "4"))
        #expect(rig.output.eventRevisions == [4])
        #expect(rig.output.skips == [3])
    }

    @Test("events: a loop that does not take its events is told to read them from the store")
    func skipped() throws {
        let rig = try ReplicaRig.started()
        rig.send(.subscribe(true))
        rig.settle()
        rig.output.eventBytes[0] = ReplicaLimits.eventBytesPerLoopMax
        _ = rig.ask(.put("a", "1"))
        #expect(rig.output.eventRevisions == [])
        #expect(rig.output.skips == [2])
        rig.output.eventBytes[0] = 0
        _ = rig.ask(.put("a", "2"))
        #expect(rig.output.eventRevisions == [3])
    }

    @Test("events: a batch that changes no key has none")
    func noEvents() throws {
        let rig = try ReplicaRig.started()
        rig.send(.subscribe(true))
        rig.settle()
        _ = rig.ask(.delete("nothing"))
        _ = rig.ask(.leaseGrant(LeaseGrantRequest(ttl: 100, id: 1)))
        #expect(rig.output.eventRevisions == [])
        #expect(try rig.content().revision == 1)
    }

    // MARK: reads

    @Test("reads: a read index waits for a leader, and is answered with one")
    func readIndex() throws {
        let disk = FaultyDisk()
        try ReplicaRig.prepareLog(disk, segmentBytes: 64 << 10)
        let rig = try ReplicaRig(disk: disk)
        rig.start()
        let early = rig.send(.readIndex)
        rig.turn()
        #expect(rig.output.readable == [])
        rig.settle()
        let late = rig.send(.readIndex)
        rig.settle()
        #expect(rig.output.readable == [early, late])
    }

    @Test(
        "start: a new store is not read before its tables are there, however the log groups its saves"
    )
    func readableWithTables() throws {
        let disk = FaultyDisk()
        try ReplicaRig.prepareLog(disk, segmentBytes: 64 << 10)
        let rig = try ReplicaRig(disk: disk)
        rig.start()
        var reported: UInt64 = 0
        while let saved = try rig.log.flush() {
            for ticket in reported + 1...saved.rawValue {
                rig.replica.saved(through: LogTicket(ticket))
                rig.turn()
                if rig.status.readsLocally { #expect(try rig.content().keys.isEmpty) }
            }
            reported = saved.rawValue
        }
        #expect(rig.status.readsLocally)
    }

    @Test("start: questions about leases wait for a leader, reads for the first commit")
    func beforeLeadership() throws {
        let disk = FaultyDisk()
        try ReplicaRig.prepareLog(disk, segmentBytes: 64 << 10)
        let rig = try ReplicaRig(disk: disk)
        let early = rig.send(.leaseLeases)
        rig.replica.enqueue(
            [ReplicaRequest(ticket: early, body: .leaseLeases, byteCount: 1)],
            now: Tick(milliseconds: rig.now))
        #expect(rig.output.outcome(of: early) == nil)
        rig.start()
        #expect(!rig.status.readsLocally)
        #expect(!rig.output.reports.contains(.readable))
        rig.settle()
        #expect(rig.status.readsLocally)
        #expect(rig.output.outcome(of: early) != nil)
        #expect(rig.output.reports.contains(.becameLeader(term: 1)))
        #expect(rig.output.reports.contains(.readable))
    }

    @Test("idle: a sole leader with nothing to do sleeps until something of its own is due")
    func idle() throws {
        let rig = try ReplicaRig.started()
        rig.settle(after: 1000)
        let wake = try #require(rig.replica.nextWake)
        #expect(wake > Tick(milliseconds: rig.now + 60_000))
        _ = rig.ask(.leaseGrant(LeaseGrantRequest(ttl: 50, id: 1)))
        #expect(rig.replica.nextWake == Tick(milliseconds: rig.now + 50_000))
    }

    @Test(
        "answers: what changes nothing writes nothing, and waits for what it rests on"
    )
    func unchanged() throws {
        let rig = try ReplicaRig.started()
        let last = rig.log.lastIndex
        #expect(rig.ask(.delete("nothing")) != nil)
        #expect(rig.log.lastIndex == last)
        rig.output.clear()
        let first = rig.send(.put("a", "1"))
        rig.turn()
        let second = rig.send(.delete("nothing"))
        rig.turn()
        #expect(rig.output.messages.isEmpty)
        rig.settle()
        #expect(rig.output.outcomes.map(\.ticket) == [first, second])
        #expect(rig.log.lastIndex == last + 1)
    }

    // MARK: failures

    @Test("failure: an error of the log ends everything with 'server stopped'")
    func logFails() throws {
        // Given requests in every place where one can wait
        let rig = try ReplicaRig.started()
        rig.output.clear()
        let inFlight = rig.send(.put("a", "1"))
        rig.turn()
        let read = rig.send(.readIndex)
        rig.turn()
        // When the log cannot be saved
        rig.disk.inject(.ioError, onNext: .sync)
        #expect(!rig.save())
        let late = rig.send(.put("b", "1"))
        let question = rig.send(.leaseLeases)
        rig.turn()
        // Then all of them end with that, nothing is published, and nothing happens any more
        let stopped = Outcome.failure(EtcdError.stopped.status)
        for ticket in [inFlight, late, question] {
            #expect(rig.output.outcome(of: ticket) == stopped)
        }
        #expect(rig.output.outcome(of: read) == stopped || rig.output.readable == [read])
        #expect(rig.output.outcomes.allSatisfy { $0.outcome == stopped })
        #expect(!rig.status.readsLocally)
        #expect(rig.replica.failure != nil)
        #expect(rig.replica.nextWake == nil)
        #expect(try rig.content().keys.isEmpty)
        guard case .stopped? = rig.output.reports.last else {
            Issue.record("\(rig.output.reports)")
            return
        }
    }

    @Test("failure: bug SU3: a physical compaction that waits is answered when the store stops")
    func waitingCompactionIsStopped() throws {
        let rig = try ReplicaRig.started { $0.compactionBatchLimit = 2 }
        for number in 0..<20 { _ = rig.ask(.put("k", "\(number)")) }
        let ticket = rig.send(.compact(CompactionRequest(revision: 20, physical: true)))
        rig.settle()
        #expect(rig.output.outcome(of: ticket) == nil)
        rig.replica.logFailed(.busy(what: "test"))
        #expect(rig.output.outcome(of: ticket) == .failure(EtcdError.stopped.status))
    }

    @Test("disk full: puts are refused, deletions go on, the alarm is raised and clears itself")
    func diskFull() throws {
        // Given a disk with less room than the next checkpoint might need
        let rig = try ReplicaRig.started()
        _ = rig.ask(.put("a", "1"))
        rig.disk.setCapacity(rig.disk.usedBytes + SpaceGuard.reserveBytes - 1)
        rig.settle(after: SpaceGuard.lookMilliseconds)
        // Then what grows the store is refused, and what shrinks it is not
        let noSpace = Outcome.failure(EtcdError.noSpace.status)
        #expect(rig.ask(.put("b", "1")) == noSpace)
        #expect(rig.ask(.leaseGrant(LeaseGrantRequest(ttl: 100, id: 1))) == noSpace)
        let txn = TxnRequest(failure: [.put(PutRequest(key: "c"))])
        #expect(rig.ask(.txn(txn)) == noSpace)
        guard case .answer? = rig.ask(.delete("a")) else {
            Issue.record("a deletion was refused")
            return
        }
        #expect(try rig.content().keys.isEmpty)
        #expect(rig.status.alarmKinds == 1 << 1)
        // When there is space again
        rig.disk.setCapacity(.max)
        rig.settle(after: SpaceGuard.lookMilliseconds)
        // Then puts are taken
        guard case .answer? = rig.ask(.put("b", "1")) else {
            Issue.record("a put was refused")
            return
        }
        #expect(rig.status.alarmKinds == 0)
        #expect(rig.output.reports.suffix(2) == [.diskFull(true), .diskFull(false)])
    }

    @Test("disk full: an alarm that the operator raised outlives it")
    func otherAlarmStays() throws {
        let rig = try ReplicaRig.started()
        let raise = AlarmRequest(action: .activate, memberID: 0xb2, alarm: .noSpace)
        _ = rig.ask(.alarm(raise))
        rig.disk.setCapacity(rig.disk.usedBytes)
        rig.settle(after: SpaceGuard.lookMilliseconds)
        rig.disk.setCapacity(.max)
        rig.settle(after: SpaceGuard.lookMilliseconds)
        #expect(rig.ask(.put("a", "1")) == .failure(EtcdError.noSpace.status))
    }

    @Test("disk full: bug SU5: requests for long do not end the store", arguments: [true, false])
    func diskFullForLong(puts: Bool) throws {
        // Given a log without a next segment, and keys to delete
        let rig = try ReplicaRig.started(segmentBytes: 16 << 10)
        for number in 0..<10 { _ = rig.ask(.put("k\(number)", "1")) }
        rig.disk.setCapacity(rig.disk.usedBytes)
        #expect(throws: StorageError.self) { try rig.log.housekeep() }
        // When clients go on
        for number in 0..<60 {
            _ = rig.ask(puts ? .put("b", "\(number)") : .delete("k\(number)"), after: 50)
        }
        // Then they hear that there is no space, and nothing worse
        #expect(rig.replica.failure == nil)
        #expect(rig.ask(.put("b", "1")) == .failure(EtcdError.noSpace.status))
    }
}

extension ReplicaRig {
    /// The answer to a put.
    func put(_ outcome: Outcome?) throws -> DecodedPut {
        guard case .answer(let bytes)? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return DecodedPut()
        }
        return try DecodedPut(decoding: bytes)
    }
}

extension RecordedOutput {
    /// Revisions at which subscriptions were confirmed.
    var subscriptions: [Int64] {
        messages.compactMap {
            if case .subscribed(let revision) = $0.message { revision } else { nil }
        }
    }

    /// The store's revision with each batch of events.
    var eventRevisions: [Int64] {
        messages.compactMap {
            if case .events(let batch) = $0.message { batch.revision } else { nil }
        }
    }

    /// Revisions up to which events were held back.
    var skips: [Int64] {
        messages.compactMap {
            if case .skipped(let revision) = $0.message { revision } else { nil }
        }
    }

    /// Reads that may go on.
    var readable: [CallTicket] {
        messages.compactMap { if case .readable(let ticket) = $0.message { ticket } else { nil } }
    }
}
