// PauseTests.swift: what comes to a paused process reaches it in its order when it goes on.
// Belongs here: pauses that end in time, or early. Never here: what a pause does to a cluster (SeedTests.swift).

import Testing

@testable import Simulation

@Suite("pause")
struct PauseTests {
    /// A world with one machine, and what its process was given.
    private final class Mailbox {
        let world: World
        let node: SimulatedNode
        var taken: [Int] = []

        init(pausedFor seconds: UInt64) {
            world = World(setup: Swarm.setup(Scenario(), seed: 1), keepsLines: false)
            world.found()
            node = world.nodes[0]
            node.pausedUntil = Moment(microseconds: .seconds(seconds))
        }

        deinit { world.release() }

        /// Something comes at a moment.
        func come(_ number: Int, at microseconds: UInt64) {
            world.schedule(at: Moment(microseconds: microseconds)) { [unowned self] in
                guard !world.isPaused(node) else {
                    return node.parked.append { self.taken.append(number) }
                }
                taken.append(number)
            }
        }
    }

    /// Of scenarios compaction, seed 4002909, and single, seed 4008678: a pause was cut short, and what had come
    /// during it was handed over when it would have ended, after what came later.
    @Test("regression: what comes after a pause cut short is behind what came in it")
    func cutShort() {
        let box = Mailbox(pausedFor: 10)
        box.come(1, at: .seconds(1))
        box.come(2, at: .seconds(2))
        box.world.schedule(at: Moment(microseconds: .seconds(4))) { box.world.plan.heal() }
        box.come(3, at: .seconds(4))
        box.come(4, at: .seconds(5))
        box.world.run(until: Moment(microseconds: .seconds(3)))
        #expect(box.taken == [])
        box.world.run(until: Moment(microseconds: .seconds(4)))
        #expect(box.taken == [1, 2, 3])
        box.world.run(until: Moment(microseconds: .seconds(20)))
        #expect(box.taken == [1, 2, 3, 4])
    }

    @Test("pause: what comes at the moment at which it ends is behind what came before")
    func atTheEnd() {
        let box = Mailbox(pausedFor: 10)
        // It was under way before the other came.
        box.come(2, at: .seconds(10))
        box.come(1, at: .seconds(9))
        box.world.run(until: Moment(microseconds: .seconds(11)))
        #expect(box.taken == [1, 2])
    }
}
