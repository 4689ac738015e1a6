// Minimiser.swift: leaves out of a failing run whatever the failure does not need.
// Belongs here: the search. Never here: what can be left out (RunChange.swift).
// Source: delta debugging (Zeller, Hildebrandt 2002), one part at a time: runs are cheap.

/// Makes failing runs smaller.
public enum Minimiser {
    /// Runs that are tried at most.
    private static let runsMax = 60

    /// The smallest change found under which the seed still breaks the same rule.
    public static func minimise(_ scenario: Scenario, seed: UInt64) -> RunChange {
        let setup = Swarm.setup(scenario, seed: seed)
        let first = SimulationRun.world(scenario, seed: seed)
        guard let rule = first.failure?.rule else { return RunChange() }
        var search = Search(scenario: scenario, seed: seed, rule: rule)
        search.shorten(from: min(setup.safetyMicroseconds, first.now.microseconds))
        search.reduce(setup.rules.count, \.rules)
        search.reduce(setup.workloads.count, \.workloads)
        search.attempt { $0.clientsMax = 1 }
        search.attempt { $0.hasCalmNetwork = true }
        return search.best
    }

    private struct Search {
        let scenario: Scenario
        let seed: UInt64
        let rule: String
        var best = RunChange()
        var runs = 0

        /// Keeps a change if the failure stays.
        @discardableResult
        mutating func attempt(_ edit: (inout RunChange) -> Void) -> Bool {
            guard runs < Minimiser.runsMax else { return false }
            runs += 1
            var changed = best
            edit(&changed)
            let world = SimulationRun.world(scenario, seed: seed, change: changed)
            guard world.failure?.rule == rule else { return false }
            best = changed
            return true
        }

        mutating func shorten(from length: UInt64) {
            guard attempt({ $0.safetyMicroseconds = length }) else { return }
            var step = length / 2
            while step > .milliseconds(200) {
                let now = best.safetyMicroseconds ?? length
                if now > step { attempt { $0.safetyMicroseconds = now - step } }
                step /= 2
            }
        }

        mutating func reduce(_ count: Int, _ path: WritableKeyPath<RunChange, [Int]?>) {
            var kept = Array(0..<count)
            for place in 0..<count {
                let fewer = kept.filter { $0 != place }
                // Without any workload nothing is asked, and nothing can be wrong.
                if path == \.workloads, fewer.isEmpty { continue }
                if attempt({ $0[keyPath: path] = fewer }) { kept = fewer }
            }
        }
    }
}
