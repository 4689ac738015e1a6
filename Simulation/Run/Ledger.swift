// Ledger.swift: which planted bugs are found, and after how many seeds.
// Belongs here: running a batch for each bug, the table. Never here: the bugs (library Simulation).
// Each bug has a process of its own, for some are found by a precondition that ends the process.

import Glibc
import Simulation

/// One line of the ledger.
private struct LedgerLine {
    let bug: PlantedBug
    /// Seeds it took; nil if it was not found.
    let seeds: UInt64?
    /// Which rule was broken.
    let rule: String

    /// The scenarios that were searched.
    var place: String { bug.scenarios.isEmpty ? "all" : bug.scenarios.joined(separator: ", ") }
}

/// Runs the ledger.
struct Ledger {
    private let options: CommandLineOptions
    private static let firstSeed: UInt64 = 1

    init(_ options: CommandLineOptions) throws(OptionError) {
        guard !PlantedBug.all.isEmpty else {
            throw OptionError(
                description: "this build has no planted bugs: build with `make sim-build`")
        }
        self.options = options
    }

    /// Writes the table; true if every bug was found.
    func run(to path: String) -> Bool {
        var lines: [LedgerLine] = []
        for bug in PlantedBug.all {
            let line = look(for: bug)
            lines.append(line)
            System.say(
                "\(bug.name): \(line.seeds.map { "seed \($0), \(line.rule)" } ?? "not found")")
        }
        guard
            System.write(
                Self.table(lines, seconds: Int(options.seconds)), toFile: path)
        else {
            System.complain("\(path): can't be written")
            return false
        }
        System.say("wrote \(path)")
        return lines.allSatisfy { $0.seeds != nil }
    }

    private func look(for bug: PlantedBug) -> LedgerLine {
        let file = "\(options.output)/ledger.txt"
        var arguments = [
            "--plant", bug.name, "--from", "\(Self.firstSeed)", "--count", "1000000", "--time",
            "\(Int(options.seconds))", "--folder", options.folder, "--no-minimise", "--no-files",
        ]
        let focus = bug.scenarios.map { "\(options.folder)/\($0).txt" }
        for scenario in options.scenarios.isEmpty ? focus : options.scenarios {
            arguments += ["--scenario", scenario]
        }
        _ = System.runSelf(arguments, output: file)
        for line in (System.read(file) ?? "").split(separator: "\n") where line.hasPrefix("seed ") {
            let words = line.split(separator: " ", maxSplits: 2)
            guard let seed = UInt64(words[1].prefix { $0 != ":" }) else { continue }
            let rest = words.count > 2 ? words[2] : ""
            let rule = rest.hasPrefix("trapped") ? "precondition" : rest.prefix { $0 != ":" }
            return LedgerLine(bug: bug, seeds: seed - Self.firstSeed + 1, rule: String(rule))
        }
        return LedgerLine(bug: bug, seeds: nil, rule: "")
    }

    private static func table(_ lines: [LedgerLine], seconds: Int) -> String {
        let found = lines.compactMap(\.seeds).sorted()
        let median = found.isEmpty ? 0 : found[found.count / 2]
        let rows = lines.map { line in
            "| `\(line.bug.name)` | \(line.bug.summary) | \(line.seeds.map(String.init) ?? "not found") "
                + "| \(line.rule) | \(line.place) |"
        }
        return """
            # The ledger of planted bugs

            Each line is a mistake that a simulation build can switch on (`martlet-sim --plant NAME`), the
            number of seeds until the simulator noticed, the rule by which it did, and the scenarios that were
            searched. Seeds begin with \(firstSeed) and go round these. `make sim-ledger` writes this file; TIME is
            what each bug may take, and a bug not found needs more seeds than that, or a moment that no fault waits
            for yet. What no checker can see is in Simulation.md.

            With at most \(seconds) seconds for each bug: \(found.count) of \(lines.count) found; the median is \
            \(median) seeds.

            | bug | what goes wrong | seeds | noticed by | scenarios |
            |---|---|---|---|---|
            \(rows.joined(separator: "\n"))

            """
    }
}
