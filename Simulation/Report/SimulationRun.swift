// SimulationRun.swift: one seed of one scenario, run to its end.
// Belongs here: the entry for harnesses. Never here: batches and files (Run/).

/// What came out of a seed.
public struct RunResult {
    /// The seed.
    public let seed: UInt64
    /// The rule that was broken; nil if all held.
    public let failure: Failure?
    /// The hash of all events: equal for equal runs.
    public let traceHash: UInt64
    /// Events that happened.
    public let steps: UInt64
    /// Virtual time that passed, in microseconds.
    public let microseconds: UInt64
    /// Operations of clients: begun, and answered.
    public let operations: (begun: Int, answered: Int)
    /// The newest entry that was agreed.
    public let entries: UInt64
}

/// Runs seeds.
public enum SimulationRun {
    /// Runs one seed and returns its world for a closer look.
    ///
    /// - Parameters:
    ///   - change: what is left out of the run.
    ///   - keepsLines: keep the trace as text, too; slow.
    ///   - prepare: adds clients and checks to the world before it begins.
    public static func world(
        _ scenario: Scenario, seed: UInt64, change: RunChange = RunChange(),
        keepsLines: Bool = false, prepare: (World) -> Void = { _ in }
    ) -> World {
        var setup = Swarm.setup(scenario, seed: seed)
        change.apply(to: &setup)
        let world = World(setup: setup, keepsLines: keepsLines)
        world.found()
        prepare(world)
        world.runAll()
        return world
    }
}

extension World {
    /// What came out of it.
    public var result: RunResult {
        RunResult(
            seed: setup.seed, failure: failure, traceHash: trace.hash, steps: steps,
            microseconds: now.microseconds,
            operations: (clients.history.operations.count, clients.answered),
            entries: invariants.newest)
    }
}
