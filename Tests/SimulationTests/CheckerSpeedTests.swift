// CheckerSpeedTests.swift: how long the checkers take for a long history, and how much memory.
// Belongs here: measuring. Never here: a bound on time, which depends on the machine.
// CHECKER_OPERATIONS sets the size: 1000000 is the target of 60 s and 2 GB on one core, in release.
import Foundation
import Simulation
import Testing

@Suite("checkers: speed")
struct CheckerSpeedTests {
    @Test("checkers: a long history with lost answers and watches is accepted")
    func longHistory() {
        var odds = HistoryGenerator.Odds()
        let size = ProcessInfo.processInfo.environment["CHECKER_OPERATIONS"].flatMap { Int($0) }
        odds.operations = size ?? 5_000
        odds.clients = 10
        odds.keys = 100
        odds.unknown = 1
        odds.hasLeases = false
        odds.window = 100
        var generator = HistoryGenerator(seed: 7, odds: odds)
        generator.run()
        generator.addLiveWatches(3)
        let history = generator.history
        let made = Self.peakMegabytes()
        let clock = ContinuousClock()
        var found: [Violation] = []
        let time = clock.measure {
            found = HistoryChecker.check(
                history, terms: generator.terms, contents: generator.contents)
        }
        #expect(found.isEmpty, "\(found)")
        let text =
            "checkers: \(history.operations.count) calls, revision \(generator.store.revision),"
            + " 3 watches: \(time); peak \(made) MB when made, \(Self.peakMegabytes()) MB after\n"
        FileHandle.standardError.write(Data(text.utf8))
    }

    /// The most memory that the process ever held; 0 where the system does not tell.
    private static func peakMegabytes() -> Int {
        guard let status = FileManager.default.contents(atPath: "/proc/self/status") else {
            return 0
        }
        let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first {
            $0.hasPrefix("VmHWM:")
        }
        let kilobytes = line.flatMap { $0.split(separator: " ").dropFirst().first }.flatMap {
            Int($0)
        }
        return (kilobytes ?? 0) / 1024
    }
}
