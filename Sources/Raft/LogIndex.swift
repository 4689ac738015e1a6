// LogIndex.swift: the place of an entry in the log.
// Belongs here: the type and the few operations that have a meaning. Never here: terms (Term.swift).
// Source: Raft paper §5.3.

/// The place of an entry in the log.
///
/// Real entries start at 1; 0 is the place before the first.
public struct LogIndex: Hashable, Comparable, Sendable {
    /// The number as it is stored and sent.
    public let rawValue: UInt64

    /// The place before the first entry.
    public static let zero = LogIndex(0)

    /// Makes an index from its stored number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The place after this one; traps on overflow, since 2^64 entries are a bug.
    public var next: LogIndex { LogIndex(rawValue + 1) }

    /// The place before this one; traps at zero.
    public var previous: LogIndex { LogIndex(rawValue - 1) }

    /// The place `count` entries further on; `count` is not negative.
    public func advanced(by count: Int) -> LogIndex { LogIndex(rawValue + UInt64(count)) }

    /// How many entries lie after `start` up to and including this one; traps if `start` is later.
    public func distance(from start: LogIndex) -> Int { Int(rawValue - start.rawValue) }

    /// Orders places from the start of the log to its end.
    public static func < (left: LogIndex, right: LogIndex) -> Bool {
        left.rawValue < right.rawValue
    }
}
