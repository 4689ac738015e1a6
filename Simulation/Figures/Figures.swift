// Figures.swift: what the simulator's speed is measured by.
// Belongs here: the three loads. Never here: clocks and tables (Run/FiguresReport.swift).
// Source: the figures that Documentation/Simulation.md promises.

/// Loads of which somebody takes the time.
public enum Figures {
    /// Three members, 200 operations asked a virtual second, and faults: one scenario for all machines.
    static let text = """
        members 3
        duration 60s
        election 1s
        network delay=300us loss=0%..1%
        workload kv clients=4 keys=16 put=40 get=40 txn=12 delete=8 think=15ms
        fault isolate every 5s..15s last 1s..3s
        fault crash every 5s..15s last 100ms..3s
        fault power every 5s..15s last 100ms..3s
        fault pause every 5s..15s last 500ms..2s
        fault clog every 5s..15s last 500ms..2s
        fault move every 10s..20s
        faults all
        """

    /// Runs a seed of the whole server.
    public static func wholeServer(seed: UInt64) throws(ScenarioError) -> RunResult {
        SimulationRun.world(try ScenarioParser.parse(text, file: "figures"), seed: seed).result
    }

    /// Lets three idle cores run; the inputs that they took, or nil if none of them leads at the end.
    public static func raftAlone(virtualSeconds: UInt64) -> Int? {
        var cluster = RaftAlone(seed: 1)
        return cluster.run(seconds: virtualSeconds) ? cluster.steps : nil
    }

    /// A true history of so many operations with three watches, to be checked.
    public static func history(operations: Int) -> FigureHistory {
        var odds = HistoryGenerator.Odds()
        odds.operations = operations
        odds.clients = 10
        odds.keys = 100
        odds.unknown = 1
        odds.hasLeases = false
        odds.window = 100
        var generator = HistoryGenerator(seed: 7, odds: odds)
        generator.run()
        generator.addLiveWatches(3)
        return FigureHistory(
            history: generator.history, terms: generator.terms, contents: generator.contents)
    }
}

/// A history with all that checking it needs.
public struct FigureHistory {
    let history: History
    let terms: LeaseTerms
    let contents: [FinalContent]

    /// Checks it; what is broken, as text.
    public func check() -> [String] {
        HistoryChecker.check(history, terms: terms, contents: contents).map { "\($0)" }
    }
}
