// GoDuration.swift: durations in the notation of etcd's flags: "100ms", "1h30m", "0".
// Belongs here: text to Duration. Never here: what a flag allows (FlagValue.swift).
// Source: the documentation of Go's time.ParseDuration.

/// Durations as Go writes them.
enum GoDuration {
    private static let nanosecondsPerUnit: [(name: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6),
        ("s", 1e9), ("m", 60e9), ("h", 3600e9),
    ]

    /// Reads a non-negative duration; nil when the text is none, or is longer than 292 years.
    static func parse(_ text: String) -> Duration? {
        guard text != "0" else { return .zero }
        guard !text.isEmpty else { return nil }
        var rest = Substring(text)
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let amount = number(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { !($0.isASCII && ($0.isNumber || $0 == ".")) }
            guard let scale = nanosecondsPerUnit.first(where: { $0.name == unit }) else {
                return nil
            }
            rest = rest.dropFirst(unit.count)
            total += amount * scale.nanoseconds
        }
        guard let nanoseconds = Int64(exactly: total.rounded()) else { return nil }
        return .nanoseconds(nanoseconds)
    }

    /// "5", "1.5", ".5" and "5." are numbers, "." and "1.2.3" are not.
    private static func number(_ digits: Substring) -> Double? {
        guard digits.contains(where: \.isNumber) else { return nil }
        guard digits.filter({ $0 == "." }).count <= 1 else { return nil }
        return Double(digits.hasSuffix(".") ? "\(digits)0" : "0\(digits)")
    }
}

extension Duration {
    /// The whole nanoseconds, cut to what 64 bits hold.
    var nanosecondsClamped: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, overflowed) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflowed ? (seconds < 0 ? .min : .max) : sum
    }

    /// The whole milliseconds, cut to what 64 bits hold.
    var millisecondsClamped: Int64 { nanosecondsClamped / 1_000_000 }
}
