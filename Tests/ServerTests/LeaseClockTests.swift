// LeaseClockTests.swift: deadlines and their order, against a list that is searched from end to
// end.
// Belongs here: LeaseClock alone. Never here: revoking (ReplicaBackgroundTests).
// Source: etcd semantics L3, L5, L6.

import Testing

@testable import Server

@Suite struct LeaseClockTests {
    private static func lease(_ id: Int64, ttl: Int64, at now: UInt64) -> Lease {
        Lease(
            id: id, timeToLive: ttl, deadline: Tick(milliseconds: now + UInt64(ttl) * 1000),
            checkpointed: ttl)
    }

    @Test("clock: a lease is due at its deadline and not a millisecond before")
    func due() {
        var clock = LeaseClock()
        clock.insert(Self.lease(1, ttl: 2, at: 100))
        #expect(clock.expired(now: Tick(milliseconds: 2_099), limit: 10).isEmpty)
        #expect(clock.nextDeadline == Tick(milliseconds: 2_100))
        #expect(clock.expired(now: Tick(milliseconds: 2_100), limit: 10) == [1])
        #expect(clock.count == 1)
        clock.remove(1)
        #expect(clock.count == 0)
        #expect(clock.renew(1, now: Tick(milliseconds: 0)) == nil)
    }

    @Test("clock: the soonest come first, ties by id, no more than asked for, and the rest later")
    func order() {
        var clock = LeaseClock()
        for id in [5, 3, 4, 1, 2] as [Int64] {
            clock.insert(Self.lease(id, ttl: id == 1 ? 9 : 2, at: 0))
        }
        #expect(clock.bySoonestExpiry().map(\.id) == [2, 3, 4, 5, 1])
        let late = Tick(milliseconds: 60_000)
        #expect(clock.expired(now: late, limit: 3) == [2, 3, 4])
        #expect(clock.expired(now: late, limit: 3) == [5, 1])
        #expect(clock.expired(now: late, limit: 3).isEmpty)
        clock.retry([4, 77], at: late)
        #expect(clock.expired(now: late, limit: 3) == [4])
    }

    @Test("clock: a renewed lease is not due at its former deadline, one granted anew at its own")
    func renewed() {
        var clock = LeaseClock()
        clock.insert(Self.lease(1, ttl: 2, at: 0))
        #expect(
            clock.renew(1, now: Tick(milliseconds: 1_500))?.deadline == Tick(milliseconds: 3_500))
        #expect(clock.expired(now: Tick(milliseconds: 3_499), limit: 1).isEmpty)
        #expect(clock.expired(now: Tick(milliseconds: 3_500), limit: 1) == [1])
        clock.remove(1)
        clock.insert(Self.lease(1, ttl: 9, at: 3_500))
        #expect(clock.expired(now: Tick(milliseconds: 12_499), limit: 1).isEmpty)
        #expect(clock.expired(now: Tick(milliseconds: 12_500), limit: 1) == [1])
    }

    @Test("clock: any sequence expires what a plain list would", arguments: 0..<20 as Range<UInt64>)
    func againstList(seed: UInt64) {
        var random = WireRandom(seed: seed)
        var clock = LeaseClock()
        // Looked up by id and sorted before it is walked.
        var model: [Int64: Lease] = [:]
        var now: UInt64 = 0
        for _ in 0..<400 {
            let id = Int64.random(in: 1...12, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0 where model[id] == nil:
                let lease = Self.lease(id, ttl: .random(in: 1...20, using: &random), at: now)
                clock.insert(lease)
                model[id] = lease
            case 1:
                let renewed = clock.renew(id, now: Tick(milliseconds: now))
                if let lease = model[id] {
                    model[id] = Self.lease(id, ttl: lease.timeToLive, at: now)
                }
                #expect(renewed == model[id], "seed \(seed)")
            case 2:
                clock.remove(id)
                model[id] = nil
            default:
                now += UInt64.random(in: 0..<3_000, using: &random)
                let due = model.values.filter { $0.deadline.milliseconds <= now }
                    .sorted { ($0.deadline, $0.id) < ($1.deadline, $1.id) }.map(\.id)
                let found = clock.expired(now: Tick(milliseconds: now), limit: 100)
                #expect(Set(found) == Set(due), "seed \(seed)")
                for id in found {
                    clock.remove(id)
                    model[id] = nil
                }
            }
            #expect(clock.count == model.count)
            let soonest = model.values.map(\.deadline).min()
            if let soonest { #expect(clock.nextDeadline ?? soonest <= soonest) }
            #expect(soonest == nil || clock.nextDeadline != nil, "seed \(seed)")
        }
    }
}
