// ScenarioUnit.swift: the units that numbers of scenarios have, and how great they may be.
// Belongs here: suffixes and bounds. Never here: which word takes which unit (ScenarioParser.swift).

/// What a number of a scenario counts.
enum ScenarioUnit {
    /// Microseconds.
    case time
    /// Millionths.
    case share
    /// Bytes.
    case size
    /// A plain number.
    case count

    /// What a number may end with, and what that multiplies it by; the longest first.
    var suffixes: [(text: String, factor: Double)] {
        switch self {
        case .time: [("us", 1), ("ms", 1000), ("s", 1_000_000), ("m", 60_000_000)]
        case .share: [("%", 10_000)]
        case .size: [("k", 1024), ("M", 1_048_576)]
        case .count: []
        }
    }

    /// The greatest number that makes sense.
    var greatest: UInt64 {
        switch self {
        case .time: .seconds(86_400)
        case .share: 1_000_000
        case .size: 1 << 30
        case .count: 100_000
        }
    }

    /// What to write, for complaints.
    var advice: String {
        switch self {
        case .time: "a time such as 100us, 5ms, 2s or 3m, a day at most"
        case .share: "a share such as 0.5%, 100% at most"
        case .size: "a size such as 1500, 64k or 1M, 1024M at most"
        case .count: "a number up to 100000"
        }
    }

    /// The number that a text stands for; nil if it has another unit, or none where one is wanted.
    func value(of text: Substring) -> UInt64? {
        for (suffix, factor) in suffixes where text.hasSuffix(suffix) {
            guard let value = Double(text.dropLast(suffix.utf8.count)) else { continue }
            let result = value * factor
            return result >= 0 && result <= Double(greatest) ? UInt64(result) : nil
        }
        guard let value = UInt64(text) else { return nil }
        switch self {
        // Nothing is nothing in every unit.
        case .time, .share: return value == 0 ? 0 : nil
        case .size, .count: return value <= greatest ? value : nil
        }
    }
}
