// Term.swift: the number of an election period.
// Belongs here: the type and its order. Never here: when a term begins (RaftNode+Candidate.swift).
// Source: Raft paper §5.1.

/// The number of an election period; at most one leader exists in each.
///
/// Real terms start at 1; 0 is the time before the first election.
public struct Term: Hashable, Comparable, Sendable {
    /// The number as it is stored and sent.
    public let rawValue: UInt64

    /// The term before the first election.
    public static let zero = Term(0)

    /// Makes a term from its stored number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The term after this one; traps on overflow, which 2^64 elections would take.
    public var next: Term { Term(rawValue + 1) }

    /// Orders terms by time.
    public static func < (left: Term, right: Term) -> Bool { left.rawValue < right.rawValue }
}
