// main.swift: `martlet-sim`: runs seeds and says what came out.
// Belongs here: what is run in which order, exit statuses. Elsewhere: CommandLineOptions.swift (the flags),
// System.swift (files, the wall clock). Never here: the world (library Simulation).
// Exit status: 0 no violation, 1 a violation, 2 the command line or a scenario can't be used.

import Glibc
import Simulation

do {
    let options = try CommandLineOptions(Array(CommandLine.arguments.dropFirst()))
    if options.wantsHelp {
        System.say(CommandLineOptions.help)
        exit(0)
    }
    if options.wantsFigures { exit(try FiguresReport.run() ? 0 : 1) }
    if let path = options.ledger { exit(try Ledger(options).run(to: path) ? 0 : 1) }
    PlantedBug.plant(options.plant)
    var batch = try Batch(options)
    exit(batch.run() ? 0 : 1)
} catch {
    System.complain("martlet-sim: \(error)")
    exit(2)
}
