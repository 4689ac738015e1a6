// AutoCompactorTests.swift: when the leader compacts on its own, and to which revision.
// Belongs here: AutoCompactor alone. Never here: compacting (ReplicaBackgroundTests).
// Source: etcd semantics C6.

import Testing

@testable import Server

@Suite struct AutoCompactorTests {
    private static let minute: UInt64 = 60_000
    private static let hour: UInt64 = 3_600_000

    private static func started(_ mode: AutoCompaction) -> AutoCompactor {
        var compactor = AutoCompactor(mode)
        compactor.start(now: Tick(milliseconds: 0))
        return compactor
    }

    /// Every compaction while time goes on in steps and each step writes one revision.
    private static func run(
        _ mode: AutoCompaction, hours: UInt64, step: UInt64 = minute
    ) -> [(time: UInt64, revision: Int64)] {
        var compactor = started(mode)
        var compacted: Int64 = -1
        var done: [(UInt64, Int64)] = []
        var now: UInt64 = 0
        while now < hours * hour {
            now += step
            let revision = Int64(now / step) + 1
            let target = compactor.due(
                now: Tick(milliseconds: now), revision: revision, compacted: compacted)
            guard let target else { continue }
            compacted = target
            done.append((now, target))
        }
        return done
    }

    @Test("off: nothing is ever due")
    func off() {
        var compactor = Self.started(.off)
        #expect(compactor.nextDue == nil)
        #expect(compactor.due(now: Tick(milliseconds: .max), revision: 9, compacted: -1) == nil)
    }

    @Test("revisions: every five minutes all but the last so many go")
    func revisions() {
        let done = Self.run(.revisions(7), hours: 1)
        let minutes: [Int64] = [10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60]
        #expect(done.map { Int64($0.time / Self.minute) } == minutes)
        let revisions = minutes.map { $0 + 1 - 7 }
        #expect(done.map(\.revision) == revisions)
    }

    @Test("revisions: nothing is compacted twice, and not while there are no more than are kept")
    func nothingNew() {
        var compactor = Self.started(.revisions(10))
        func due(_ minutes: UInt64, _ revision: Int64, _ compacted: Int64) -> Int64? {
            compactor.due(
                now: Tick(milliseconds: minutes * Self.minute), revision: revision,
                compacted: compacted)
        }
        #expect(due(4, 100, -1) == nil)
        #expect(due(5, 10, -1) == nil)
        #expect(due(10, 30, -1) == 20)
        #expect(due(15, 30, 20) == nil)
        #expect(due(20, 31, 20) == 21)
    }

    @Test(
        "periodic: history of the retention is kept, and not much more",
        arguments: [(10, 10), (60, 60), (600, 60)] as [(Int64, UInt64)])
    func periodic(retentionMinutes: Int64, everyMinutes: UInt64) throws {
        // Given a revision a minute
        let done = Self.run(.periodic(.seconds(retentionMinutes * 60)), hours: 20)
        // Then what goes is older than the retention, at every moment
        for item in done {
            let age = Int64(item.time / Self.minute) + 1 - item.revision
            #expect(age >= retentionMinutes, "\(item)")
            #expect(age <= retentionMinutes + Int64(everyMinutes) / 10 + 1, "\(item)")
        }
        // And it goes in the pace that etcd has
        let first = try #require(done.first)
        #expect(first.time >= UInt64(retentionMinutes) * Self.minute)
        let gaps = zip(done, done.dropFirst()).map { ($1.time - $0.time) / Self.minute }
        #expect(gaps.count > 8)
        #expect(gaps.allSatisfy { $0 == everyMinutes }, "\(gaps)")
    }

    @Test("periodic: a new leader begins to count anew")
    func restarted() {
        var compactor = Self.started(.periodic(.seconds(600)))
        for minute in 1...9 as ClosedRange<UInt64> {
            let tick = Tick(milliseconds: minute * Self.minute)
            #expect(compactor.due(now: tick, revision: 50, compacted: -1) == nil)
        }
        compactor.start(now: Tick(milliseconds: 9 * Self.minute))
        for minute in 10...18 as ClosedRange<UInt64> {
            let tick = Tick(milliseconds: minute * Self.minute)
            #expect(compactor.due(now: tick, revision: 50, compacted: -1) == nil)
        }
    }
}
