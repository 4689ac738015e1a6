// Progress.swift: tells on standard error how far a long command is.
// Belongs here: a bar for terminals, a line now and then for everything else. Never here: results, which go
// to standard output.

internal import Glibc

/// What a command says of one of its steps; confined to its thread.
final class Progress {
    private let label: String
    private let total: UInt64
    private let isTerminal: Bool
    private let isQuiet: Bool
    private let began = MonotonicClock.nanoseconds
    private var nextLook: UInt64
    private var lastTenth = 0

    private static let barWidth = 30
    private static let lookNanoseconds: UInt64 = 100_000_000
    /// Without a terminal, steps shorter than this say nothing before their end.
    private static let lineNanoseconds: UInt64 = 2_000_000_000

    /// - Parameters:
    ///   - label: what is being done, "reading keys".
    ///   - total: the amount that is all of it.
    init(_ label: String, total: UInt64, isQuiet: Bool = false) {
        self.label = label
        self.total = max(1, total)
        self.isQuiet = isQuiet
        isTerminal = isatty(STDERR_FILENO) == 1
        nextLook = began
    }

    /// So much is done.
    func update(_ done: UInt64, _ detail: @autoclosure () -> String = "") {
        guard !isQuiet else { return }
        let now = MonotonicClock.nanoseconds
        guard now >= nextLook else { return }
        nextLook = now + Self.lookNanoseconds
        let share = min(1, Double(done) / Double(total))
        if isTerminal {
            let filled = Int(share * Double(Self.barWidth))
            let bar =
                String(repeating: "#", count: filled)
                + String(repeating: ".", count: Self.barWidth - filled)
            tell("\r\(label) [\(bar)] \(Int(share * 100)) % \(detail())\u{1b}[K")
        } else if now - began > Self.lineNanoseconds, Int(share * 10) > lastTenth {
            lastTenth = Int(share * 10)
            tell("\(label): \(Int(share * 100)) % \(detail())\n")
        }
    }

    /// All is done.
    func finish(_ detail: String = "") {
        guard !isQuiet else { return }
        let seconds = Double(MonotonicClock.nanoseconds - began) / 1e9
        let tenths = Int((seconds * 10).rounded())
        let suffix = detail.isEmpty ? "" : ": \(detail)"
        tell(
            "\(isTerminal ? "\r" : "")\(label)\(suffix) (\(tenths / 10).\(tenths % 10) s)"
                + "\(isTerminal ? "\u{1b}[K" : "")\n")
    }

    private func tell(_ text: String) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
