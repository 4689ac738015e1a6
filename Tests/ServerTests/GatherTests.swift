// GatherTests.swift: reads that wait for others to share their question, and for how long.
// Belongs here: the rule and the batcher by themselves. Never here: replicas (ReplicaTests.swift).

import Storage
import Testing
import Transport

@testable import Server

@Suite("gathering of reads")
struct GatherTests {
    private func tick(_ milliseconds: UInt64) -> Tick { Tick(milliseconds: milliseconds) }

    @Test("few readers never wait for others")
    func few() {
        var gather = Gather()
        gather.sent(ReplicaLimits.gatheringMin - 1)
        gather.answered(now: tick(10))
        #expect(!gather.holds(1, now: tick(10)))
    }

    @Test("many are waited for until three quarters are there, or the time is over")
    func many() {
        var gather = Gather()
        gather.sent(20)
        #expect(!gather.holds(1, now: tick(10)), "nothing was answered yet")
        gather.answered(now: tick(10))
        #expect(gather.holds(14, now: tick(10)))
        #expect(!gather.holds(15, now: tick(10)))
        #expect(!gather.holds(1, now: tick(10 + ReplicaLimits.gatheringMilliseconds)))
    }

    @Test("a group that waited in vain is small, and the next one does not wait")
    func fewer() {
        var gather = Gather()
        gather.sent(20)
        gather.answered(now: tick(10))
        gather.sent(1)
        gather.answered(now: tick(12))
        #expect(!gather.holds(1, now: tick(12)))
    }

    @Test("a round that was asked with many readers holds the next until they are back")
    func rounds() throws {
        var reads = ReadRequests(seed: 1)
        for _ in 0..<8 { reads.add(.reader(.replica)) }
        let asked = reads.ask(now: tick(5))
        let first = try #require(asked)
        reads.add(.reader(.replica))
        #expect(reads.ask(now: tick(5)) == nil, "one round at a time")
        reads.resolve(first, index: 3, now: tick(6))
        #expect(reads.ask(now: tick(6)) == nil, "those of the first round will be back")
        for _ in 0..<5 { reads.add(.reader(.replica)) }
        #expect(reads.ask(now: tick(6)) != nil)
        #expect(reads.release(applied: 3).count == 8)
    }

    /// The batch's acknowledgements may be older than the question: that it is agreed proves nothing.
    @Test("L12: an answer that rests on a batch in flight needs a round of its own and that batch")
    func restingAnswer() throws {
        var reads = ReadRequests(seed: 1)
        let answer = Batch.Answer(origin: .nobody, content: .message([]))
        reads.add(.answer(answer, after: 9))
        reads.add(.reader(.replica))
        #expect(reads.release(applied: 9).isEmpty)
        let asked = reads.ask(now: tick(5))
        let context = try #require(asked)
        #expect(reads.release(applied: 9).isEmpty)
        reads.resolve(context, index: 3, now: tick(6))
        #expect(reads.release(applied: 8).count == 1, "the read, which rests on no batch")
        #expect(reads.release(applied: 9).count == 1)
    }

    @Test("a round that waits goes when its time is over, however few are there")
    func late() throws {
        var reads = ReadRequests(seed: 1)
        for _ in 0..<8 { reads.add(.reader(.replica)) }
        let asked = reads.ask(now: tick(5))
        reads.resolve(try #require(asked), index: 3, now: tick(6))
        reads.add(.reader(.replica))
        #expect(reads.ask(now: tick(6)) == nil)
        #expect(reads.ask(now: reads.gather.until) != nil)
    }

    @Test("reads of one turn share a question, and those of the next have their own")
    func batcher() throws {
        var batcher = ReadBatcher(loop: 3)
        func read() -> ReadBatcher.Read {
            ReadBatcher.Read(call: FakeCall(), run: {}, deadline: tick(100))
        }
        let asked = batcher.add(read(), turn: 1)
        let first = try #require(asked)
        #expect(batcher.add(read(), turn: 1) == nil)
        let next = batcher.add(read(), turn: 2)
        let second = try #require(next)
        #expect(batcher.count == 3)
        #expect(batcher.take(second).count == 1)
        #expect(batcher.take(first).count == 2)
        #expect(batcher.take(first).isEmpty, "an answer counts once")
        #expect(batcher.count == 0)
    }

    @Test("an overdue read is given up, and a late answer to its question finds nobody")
    func overdue() throws {
        var batcher = ReadBatcher(loop: 3)
        let asked = batcher.add(
            ReadBatcher.Read(call: FakeCall(), run: {}, deadline: tick(100)), turn: 1)
        let ticket = try #require(asked)
        #expect(batcher.takeOverdue(now: tick(99)).isEmpty)
        #expect(batcher.takeOverdue(now: tick(100)).count == 1)
        #expect(batcher.count == 0)
        #expect(batcher.take(ticket).isEmpty)
        #expect(
            batcher.add(
                ReadBatcher.Read(call: FakeCall(), run: {}, deadline: tick(200)), turn: 1) != nil)
    }

    @Test("without answers a loop asks some questions only, and later reads share the next one")
    func bound() throws {
        var batcher = ReadBatcher(loop: 3)
        var asked: [CallTicket] = []
        for turn in 1...200 {
            let read = ReadBatcher.Read(
                call: FakeCall(), run: {}, deadline: tick(UInt64(turn)))
            if let ticket = batcher.add(read, turn: UInt64(turn)) { asked.append(ticket) }
        }
        #expect(asked.count == ReadBatcher.questionsMax)
        // That nobody waits for a question any more does not make room for another: the replica still has it.
        #expect(batcher.takeOverdue(now: tick(100)).count == 100)
        #expect(batcher.next(turn: 201) == nil)
        #expect(batcher.take(asked[0]).isEmpty)
        let next = batcher.next(turn: 201)
        let last = try #require(next)
        #expect(batcher.next(turn: 201) == nil)
        #expect(batcher.take(last).count == 100)
        #expect(batcher.count == 0)
    }

    @Test("reads that were to share the next question and have all gone are not asked for")
    func nobodyLeft() throws {
        var batcher = ReadBatcher(loop: 3)
        var asked: [CallTicket] = []
        for turn in 1...100 {
            let read = ReadBatcher.Read(call: FakeCall(), run: {}, deadline: tick(1))
            if let ticket = batcher.add(read, turn: UInt64(turn)) { asked.append(ticket) }
        }
        #expect(batcher.takeOverdue(now: tick(1)).count == 100)
        #expect(batcher.take(asked[0]).isEmpty)
        #expect(batcher.next(turn: 101) == nil)
        let read = ReadBatcher.Read(call: FakeCall(), run: {}, deadline: tick(9))
        #expect(batcher.add(read, turn: 102) != nil)
    }
}
