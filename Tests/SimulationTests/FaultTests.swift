// FaultTests.swift: faults that scenarios name happen, are counted, and end.
// Belongs here: that a word has its effect. Never here: what a cluster makes of it (SeedTests.swift).

import Raft
import Testing

@testable import Server
@testable import Simulation

@Suite("faults")
struct FaultTests {
    private func world(_ lines: String, seed: UInt64 = 1) throws -> World {
        let scenario = try ScenarioParser.parse(
            "faults all\nduration 6s\nworkload kv think=30ms\n" + lines, file: "faults.txt")
        let world = SimulationRun.world(scenario, seed: seed)
        #expect(world.failure == nil, "\(world.failure?.text ?? "")")
        return world
    }

    @Test(
        "fault: each word makes its fault happen",
        arguments: [
            ("deaf", FaultKind.deafness), ("loop", .restartLoop), ("slow", .slowTurns),
            ("freeze", .clockFrozen), ("rush", .changesAtOnce),
        ])
    func words(_ word: String, _ kind: FaultKind) throws {
        let world = try world("members 3\nfault \(word) every 500ms..1s last 100ms..1s")
        #expect(world.faults.counts[kind.rawValue] > 0)
    }

    @Test("fault: a restart loop starts its process over and over")
    func loop() throws {
        let world = try world("fault loop every 1s..2s last 1s..2s")
        #expect(world.nodes.contains { $0.starts > 5 })
    }

    @Test("fault: the network loses, doubles and overtakes as much as the scenario says")
    func network() throws {
        var kinds = [0, 0, 0, 0]
        for seed in UInt64(1)...4 {
            let world = try world(
                "network delay=5ms loss=30% duplicate=50% reorder=30%", seed: seed)
            kinds[0] += world.faults.counts[FaultKind.messageLost.rawValue]
            kinds[1] += world.faults.counts[FaultKind.messageDuplicated.rawValue]
            kinds[2] += world.faults.counts[FaultKind.messageReordered.rawValue]
            kinds[3] += world.faults.counts[FaultKind.pathFull.rawValue]
        }
        #expect(kinds.allSatisfy { $0 > 0 }, "\(kinds)")
    }

    @Test("fault: what is switched on strikes, what is not is not even visited")
    func chance() throws {
        let all = Chances()
        for seed in UInt64(1)...4 {
            let world = try world("chance 20%\nfault power every 1s..2s last 10ms..1s", seed: seed)
            #expect(world.setup.chancePoints.count < ChancePoint.allCases.count)
            for point in ChancePoint.allCases where !world.setup.chancePoints.contains(point) {
                #expect(world.chances.visits[point.rawValue] == 0)
            }
            all.add(world.chances)
        }
        // Each seed switches on others.
        let often = ChancePoint.allCases.filter { all.visits[$0.rawValue] > 100 }
        #expect(often.count > 2, "\(all.visits)")
        for point in often {
            let (visits, strikes) = (all.visits[point.rawValue], all.strikes[point.rawValue])
            #expect(strikes > 0 && strikes < visits, "\(point): \(strikes) of \(visits)")
        }
        let calm = try world("")
        #expect(calm.chances.visits.allSatisfy { $0 == 0 })
    }

    @Test("fault: a healed quorum serves while the others stay broken, and all agree in the end")
    func forGood() throws {
        for seed in UInt64(1)...8 {
            let world = try world("members 3", seed: seed)
            #expect(world.faults.counts[FaultKind.brokenForGood.rawValue] == 1, "seed \(seed)")
        }
    }

    @Test("clock: one that stands still shows no time, and goes on from where it stood")
    func frozenClock() {
        func at(_ seconds: UInt64) -> Moment { Moment(microseconds: .seconds(seconds)) }
        var clock = NodeClock(startMicroseconds: 0, driftPerMillion: 100_000)
        clock.freeze(microseconds: .seconds(5), at: at(10))
        #expect(clock.tick(at: at(10)).milliseconds == 11_000)
        #expect(clock.tick(at: at(15)).milliseconds == 11_000)
        #expect(clock.tick(at: at(25)).milliseconds == 22_000)
        #expect(clock.moment(of: Tick(milliseconds: 22_000), now: at(12)) == at(25))
        clock.thaw(at: at(12))
        #expect(clock.tick(at: at(22)).milliseconds == 22_000)
        clock.jump(microseconds: .seconds(1), at: at(22))
        #expect(clock.tick(at: at(22)).milliseconds == 23_000)
    }

    @Test("timeouts: those that never differ are found, others are not")
    func timeouts() {
        var same = TimeoutSample()
        let verdicts = (0..<UInt64(40)).map { same.take(12, term: Term($0)) }
        #expect(verdicts.filter { !$0 }.count == 40 - TimeoutSample.electionsMax)
        var drawn = TimeoutSample()
        for term in UInt64(0)..<40 {
            let isDrawn = drawn.take(term == 3 ? 11 : 12, term: Term(term))
            #expect(isDrawn)
        }
    }
}
