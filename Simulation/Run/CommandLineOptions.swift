// CommandLineOptions.swift: the flags of `martlet-sim`.
// Belongs here: reading them. Never here: acting on them (Batch.swift).

import Simulation

/// What is wrong with the command line.
struct OptionError: Error, CustomStringConvertible {
    let description: String
}

/// What was asked for.
struct CommandLineOptions {
    /// The one seed to run; nil for a batch of fresh ones.
    var seed: UInt64?
    /// The first seed of a batch; nil for one by the clock.
    var from: UInt64?
    /// Seeds to run at most; nil for as many as fit into the time.
    var count: Int?
    /// Seconds that a batch may take.
    var seconds = 60.0
    /// Scenario files; all of the folder if none are given.
    var scenarios: [String] = []
    var folder = "Simulation/Scenarios"
    /// Where the trace of a single seed goes.
    var trace: String?
    /// Where the files of a failing seed go.
    var output = ".build"
    /// Worlds last a few seconds only.
    var isShort = false
    /// A failing seed does not end the batch.
    var keepsGoing = false
    /// Each seed runs twice, and both runs have to agree.
    var runsTwice = false
    /// Prints one line for each seed.
    var isVerbose = false
    /// A failing seed is reported as it is.
    var keepsFailure = false
    /// A failing seed leaves no files.
    var leavesNoFiles = false
    /// The mistake to plant.
    var plant: PlantedBug?
    /// Where the table of planted bugs goes.
    var ledger: String?
    /// Measures the simulator's own speed.
    var wantsFigures = false
    var wantsHelp = false

    static let help = """
        martlet-sim: runs whole clusters under virtual time, looking for broken promises.
          --seed N          run this seed alone
          --from N          the first seed of a batch (by the clock if left out)
          --count N         run so many seeds at most
          --time SECONDS    how long a batch, or the search for a planted bug, may take (60)
          --scenario FILE   a scenario; may be given more than once (all of --folder if left out)
          --folder DIR      where scenarios are (Simulation/Scenarios)
          --trace FILE      write the trace of the seed, one line for each event
          --output DIR      where the files of a failing seed go (.build)
          --short           worlds of a few seconds, with as many faults
          --keep-going      go on after a failing seed
          --twice           run each seed twice and compare the hashes of the traces
          --verbose         a line for each seed
          --no-minimise     report a failing seed as it is
          --no-files        leave no files of a failing seed
          --plant NAME      plant a mistake, to see it found
          --ledger FILE     look for every planted mistake and write the table
          --figures         measure how fast the simulator and its checkers are
        """

    init(_ arguments: [String]) throws(OptionError) {
        var rest = arguments[...]
        var hasTime = false
        while let flag = rest.popFirst() {
            switch flag {
            case "--seed": seed = try Self.number(flag, &rest)
            case "--from": from = try Self.number(flag, &rest)
            case "--count":
                count = Int(clamping: try Self.number(flag, &rest))
                guard count != 0 else {
                    throw OptionError(description: "--count 0 would run nothing: 1 or more")
                }
                if !hasTime { seconds = .infinity }
            case "--time":
                seconds = Double(try Self.number(flag, &rest))
                hasTime = true
            case "--scenario": scenarios.append(try Self.value(flag, &rest))
            case "--folder": folder = try Self.value(flag, &rest)
            case "--trace": trace = try Self.value(flag, &rest)
            case "--output": output = try Self.value(flag, &rest)
            case "--twice": runsTwice = true
            case "--short": isShort = true
            case "--keep-going": keepsGoing = true
            case "--verbose": isVerbose = true
            case "--no-minimise": keepsFailure = true
            case "--no-files": leavesNoFiles = true
            case "--plant": plant = try Self.bug(try Self.value(flag, &rest))
            case "--ledger": ledger = try Self.value(flag, &rest)
            case "--figures": wantsFigures = true
            case "--help", "-h": wantsHelp = true
            default:
                throw OptionError(description: "unknown flag \(flag): --help lists those there are")
            }
        }
        if seed != nil, from != nil || count != nil {
            throw OptionError(
                description: "--seed runs one seed: --from and --count are for batches")
        }
        if trace != nil, seed == nil {
            throw OptionError(description: "--trace is of one seed: name it with --seed")
        }
    }

    private static func bug(_ name: String) throws(OptionError) -> PlantedBug {
        guard let bug = PlantedBug.all.first(where: { $0.name == name }) else {
            let names = PlantedBug.all.map(\.name).joined(separator: ", ")
            throw OptionError(
                description: "no bug `\(name)` can be planted in this build; there are: \(names)")
        }
        return bug
    }

    private static func value(
        _ flag: String, _ rest: inout ArraySlice<String>
    ) throws(OptionError) -> String {
        guard let value = rest.popFirst() else {
            throw OptionError(description: "\(flag) needs a value")
        }
        return value
    }

    private static func number(
        _ flag: String, _ rest: inout ArraySlice<String>
    ) throws(OptionError) -> UInt64 {
        let text = try value(flag, &rest)
        guard let number = UInt64(text) else {
            throw OptionError(
                description: "\(flag) needs a whole number from 0 to \(UInt64.max), not `\(text)`")
        }
        return number
    }
}
