// Batch.swift: many seeds after each other, and what they add up to.
// Belongs here: choosing seeds, reports, the files of a failure. Never here: a run (library Simulation).

import Glibc
import Simulation

/// A batch of seeds over some scenarios.
struct Batch {
    private let options: CommandLineOptions
    private let scenarios: [(path: String, scenario: Scenario)]
    private var totals = BatchTotals()

    init(_ options: CommandLineOptions) throws {
        self.options = options
        var paths = options.scenarios
        if paths.isEmpty {
            paths = System.list(options.folder, ending: ".txt").map { "\(options.folder)/\($0)" }
        }
        guard !paths.isEmpty else {
            throw OptionError(
                description: "no scenario in \(options.folder): name one with --scenario FILE")
        }
        var found: [(path: String, scenario: Scenario)] = []
        for path in paths {
            guard let text = System.read(path) else {
                throw OptionError(description: "\(path): no such file, or it can't be read")
            }
            let scenario = try ScenarioParser.parse(text, file: path)
            found.append((path, options.isShort ? scenario.shortened() : scenario))
        }
        scenarios = found
        if let trace = options.trace, !System.write("", toFile: trace) {
            throw OptionError(description: "--trace \(trace): can't be written")
        }
    }

    /// Runs; true if no rule was broken.
    mutating func run() -> Bool {
        let began = System.seconds
        defer {
            System.say(
                totals.report(seconds: System.seconds - began, coreSeconds: System.coreSeconds))
        }
        if let seed = options.seed {
            for place in scenarios.indices where !runSeed(seed, place) { return false }
            return true
        }
        let first = options.from ?? System.freshSeed
        let files = options.scenarios.map { " --scenario \($0)" }.joined()
        System.say("the first seed is \(first); replay: martlet-sim --from \(first)\(files)")
        var number = 0
        var isClean = true
        while number < options.count ?? .max {
            if System.seconds - began >= options.seconds { break }
            if !runSeed(first &+ UInt64(number), number % scenarios.count) {
                isClean = false
                guard options.keepsGoing else { break }
            }
            number += 1
        }
        return isClean
    }

    private mutating func runSeed(_ seed: UInt64, _ place: Int) -> Bool {
        let (path, scenario) = scenarios[place]
        let replay =
            "martlet-sim --seed \(seed) --scenario \(path)" + (options.isShort ? " --short" : "")
        if options.seed != nil { System.say("seed \(seed); replay: \(replay)") }
        System.onTrap(say: "seed \(seed) trapped; replay: \(replay)")
        let world = SimulationRun.world(
            scenario, seed: seed, keepsLines: options.trace != nil)
        totals.add(world)
        let result = world.result
        if options.isVerbose || options.seed != nil { System.say(result.line(scenario.name)) }
        if let trace = options.trace, !System.write(world.traceText, toFile: trace) {
            System.complain("\(trace): can't be written")
        }
        if options.runsTwice {
            let again = SimulationRun.world(scenario, seed: seed).result
            totals.countDouble(differs: again.traceHash != result.traceHash)
            guard again.traceHash == result.traceHash else {
                System.say("seed \(seed) runs differently the second time; replay: \(replay)")
                return false
            }
        }
        guard let failure = result.failure else { return true }
        System.say("seed \(seed): \(failure.rule): \(failure.text)\nreplay: \(replay)")
        if !options.leavesNoFiles { report(scenario, seed) }
        return false
    }

    /// Writes the files of a failing seed.
    private func report(_ scenario: Scenario, _ seed: UInt64) {
        var smaller = RunChange()
        if !options.keepsFailure {
            smaller = Minimiser.minimise(scenario, seed: seed)
            System.say("still fails with: \(smaller.description)")
        }
        let world = SimulationRun.world(scenario, seed: seed, change: smaller, keepsLines: true)
        let base = "\(options.output)/sim-\(scenario.name)-\(seed)"
        for (file, text) in [
            ("\(base).trace", world.traceText), ("\(base).html", Picture.html(of: world)),
        ] {
            System.say(System.write(text, toFile: file) ? "wrote \(file)" : "can't write \(file)")
        }
    }
}

/// What a batch adds up to.
struct BatchTotals {
    private var seeds = 0
    private var microseconds: UInt64 = 0
    private var steps: UInt64 = 0
    private var operations = 0
    private var failures = 0
    private var doubles = (runs: 0, differences: 0)
    private let faults = FaultCounter()
    private let marks = Marks()
    private let chances = Chances()

    mutating func add(_ world: World) {
        let result = world.result
        seeds += 1
        microseconds += result.microseconds
        steps += result.steps
        operations += result.operations.answered
        if result.failure != nil { failures += 1 }
        faults.add(world.faults)
        marks.add(world.marks)
        chances.add(world.chances)
    }

    mutating func countDouble(differs: Bool) {
        doubles.runs += 1
        if differs { doubles.differences += 1 }
    }

    func report(seconds: Double, coreSeconds: Double) -> String {
        let virtual = Double(microseconds) / 1e6
        let happened = FaultKind.allCases.map { "\($0.name) \(faults.counts[$0.rawValue])" }
        let reached = Mark.allCases.filter { marks.counts[$0.rawValue] > 0 }.map {
            "\($0.name) \(marks.counts[$0.rawValue])"
        }
        let points = ChancePoint.allCases.map {
            "\($0.name) \(chances.strikes[$0.rawValue]) of \(chances.visits[$0.rawValue])"
        }
        let missed = Mark.allCases.filter { marks.counts[$0.rawValue] == 0 }.map(\.name)
        return """
            seeds \(seeds), virtual time \(Int(virtual)) s in \(rounded(seconds)) s: \
            \(Int(virtual / max(seconds, 0.001))) x real time, \
            \(Int(virtual / max(coreSeconds, 0.001))) x on a core of its own
            events \(steps), operations answered \(operations) \
            (\(Int(Double(operations) / max(virtual, 0.001))) for each virtual second)
            faults: \(happened.joined(separator: ", "))
            chance inside the code: \(points.joined(separator: ", "))
            marks: \(reached.joined(separator: ", "))
            marks never reached: \(missed.isEmpty ? "none" : missed.joined(separator: ", "))
            \(failures == 0 ? "no violation" : "\(failures) seeds failed")
            """ + (doubles.runs == 0 ? "" : "\n\(doubleRuns)")
    }

    private var doubleRuns: String {
        "double runs \(doubles.runs), differences \(doubles.differences)"
    }

    private func rounded(_ seconds: Double) -> String {
        let tenths = Int(seconds * 10)
        return "\(tenths / 10).\(tenths % 10)"
    }
}

extension RunResult {
    func line(_ scenario: String) -> String {
        "seed \(seed) \(scenario): hash \(String(traceHash, radix: 16)), \(steps) events, "
            + "\(microseconds / 1_000_000) s, \(operations.answered) of \(operations.begun) answered, "
            + "\(entries) entries: \(failure.map { "\($0.rule)" } ?? "ok")"
    }
}
