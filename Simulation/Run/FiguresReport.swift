// FiguresReport.swift: measures the simulator's speed and prints it as a table.
// Belongs here: the time each load takes, its memory. Never here: the loads (library Simulation).

import Simulation

/// Prints the figures.
enum FiguresReport {
    private static let serverSeeds: UInt64 = 10
    private static let idleSeconds: UInt64 = 500_000
    private static let checkedOperations = 1_000_000

    /// Prints the table; false if a load broke a rule.
    static func run() throws -> Bool {
        System.say(
            """
            | what | measured | target |
            |---|---|---|
            """)
        guard try wholeServer(), raftAlone() else { return false }
        return checkers()
    }

    private static func wholeServer() throws -> Bool {
        var microseconds: UInt64 = 0
        var answered = 0
        let began = System.coreSeconds
        for seed in 1...serverSeeds {
            let result = try Figures.wholeServer(seed: seed)
            if let failure = result.failure {
                System.complain("seed \(seed): \(failure.rule): \(failure.text)")
                return false
            }
            microseconds += result.microseconds
            answered += result.operations.answered
        }
        let virtual = Double(microseconds) / 1e6
        let speed = Int(virtual / (System.coreSeconds - began))
        System.say(
            "| whole server, 3 members, faults, \(Int(Double(answered) / virtual)) answers a virtual second "
                + "| \(speed) x real time | 1,000 x |")
        return true
    }

    private static func raftAlone() -> Bool {
        let began = System.coreSeconds
        guard let steps = Figures.raftAlone(virtualSeconds: idleSeconds) else {
            System.complain("three idle cores have no leader")
            return false
        }
        let seconds = System.coreSeconds - began
        System.say(
            "| Raft alone, 3 idle members, heartbeats each 100 ms | \(Int(Double(idleSeconds) / seconds)) x "
                + "real time, \(Int(Double(steps) / seconds / 1000)) thousand steps a second | 20,000 x |"
        )
        return true
    }

    private static func checkers() -> Bool {
        let history = Figures.history(operations: checkedOperations)
        let made = System.peakMegabytes
        let began = System.coreSeconds
        let found = history.check()
        guard found.isEmpty else {
            System.complain("a true history is refused: \(found[0])")
            return false
        }
        System.say(
            "| checkers, \(checkedOperations) operations | \(tenths(System.coreSeconds - began)) s, "
                + "\(System.peakMegabytes) MB at most, \(made) MB of it before | 60 s, 2,000 MB |")
        return true
    }

    private static func tenths(_ seconds: Double) -> String {
        let tenths = Int(seconds * 10)
        return "\(tenths / 10).\(tenths % 10)"
    }
}
