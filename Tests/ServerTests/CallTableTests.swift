// CallTableTests.swift: tickets of calls: an answer reaches its own call or nobody.
// Belongs here: CallTable alone. Never here: what an answer does (Front).

import Testing

@testable import Server

@Suite struct CallTableTests {
    private static func tick(_ milliseconds: UInt64) -> Tick { Tick(milliseconds: milliseconds) }

    @Test("tickets: an answer finds its call once")
    func once() {
        var table = CallTable(loop: 3)
        let (first, second) = (FakeCall(), FakeCall())
        let one = table.insert(first, .unary, deadline: Self.tick(1))
        let two = table.insert(
            second, .stream(KeepAliveStream(call: second)), deadline: Self.tick(1))
        #expect(one.loop == 3 && one != two)
        #expect(table.count == 2)
        let found = table.take(two)
        #expect(found?.call === second)
        guard case .stream? = found?.purpose else {
            Issue.record("\(String(describing: found))")
            return
        }
        #expect(table.take(two) == nil)
        #expect(table.take(one)?.call === first)
        #expect(table.count == 0)
    }

    @Test("tickets: a late answer does not reach the next call in the same place")
    func generations() {
        var table = CallTable(loop: 0)
        let (first, second) = (FakeCall(), FakeCall())
        let old = table.insert(first, .unary, deadline: Self.tick(1))
        #expect(table.takeOverdue(now: Self.tick(1)).map { $0.call === first } == [true])
        let new = table.insert(second, .unary, deadline: Self.tick(9))
        #expect(new.slot == old.slot && new.generation != old.generation)
        #expect(table.take(old) == nil)
        #expect(table.take(new)?.call === second)
    }

    @Test("tickets: one of a place that never was reaches nobody")
    func unknown() {
        var table = CallTable(loop: 0)
        #expect(table.take(CallTicket(loop: 0, slot: 0, generation: 0)) == nil)
    }

    @Test("time: only calls whose deadline has come are overdue, and all of those")
    func overdue() {
        var table = CallTable(loop: 0)
        let calls = (0..<6).map { _ in FakeCall() }
        let tickets = calls.enumerated().map { place, call in
            table.insert(call, .unary, deadline: Self.tick(UInt64(place * 10)))
        }
        #expect(table.take(tickets[1])?.call === calls[1])
        let overdue = table.takeOverdue(now: Self.tick(30))
        #expect(overdue.map { found in calls.firstIndex { $0 === found.call } } == [0, 2, 3])
        #expect(table.count == 2)
        #expect(table.takeOverdue(now: Self.tick(39)).isEmpty)
    }
}
