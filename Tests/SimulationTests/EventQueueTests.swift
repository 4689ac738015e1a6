// EventQueueTests.swift: the order in which things happen, and what clocks show.
// Belongs here: time. Never here: what events do.

import Testing

@testable import Server
@testable import Simulation

@Suite("event queue")
struct EventQueueTests {
    @Test("queue: events come by time, and in the order of adding at the same time")
    func order() {
        let queue = EventQueue()
        var dice = Dice(seed: 3, .swarm)
        var expected: [(UInt64, Int)] = []
        var seen: [Int] = []
        // More than a queue has room for when it is new.
        for number in 0..<5000 {
            let time = UInt64(dice.below(50))
            expected.append((time, number))
            queue.add(at: Moment(microseconds: time), .anything { seen.append(number) })
        }
        while queue.nextTime != nil {
            if case .anything(let body) = queue.removeFirst() { body() }
        }
        #expect(seen == expected.sorted { $0 < $1 }.map { $0.1 })
        #expect(queue.nextTime == nil)
    }

    @Test(
        "clock: the moment of a time is the first at which the clock shows it",
        arguments: [
            -50_000, 0, 1, 50_000,
        ])
    func drift(_ drift: Int) {
        var clock = NodeClock(startMicroseconds: 12_345, driftPerMillion: Int64(drift))
        clock.jump(microseconds: 777, at: Moment(microseconds: 5_000_000))
        let now = Moment(microseconds: 6_000_000)
        let tick = clock.tick(at: now).advanced(milliseconds: 1234)
        let moment = clock.moment(of: tick, now: now)
        #expect(clock.tick(at: moment) == tick)
        #expect(clock.tick(at: Moment(microseconds: moment.microseconds - 1)) < tick)
    }

    @Test("dice: one stream is not disturbed by another")
    func streams() {
        var first = Dice(seed: 9, .network)
        var other = Dice(seed: 9, .disk)
        let alone = (0..<5).map { _ in first.next() }
        var again = Dice(seed: 9, .network)
        let mixed = (0..<5).map { _ in
            _ = other.next()
            return again.next()
        }
        #expect(alone == mixed)
    }
}
