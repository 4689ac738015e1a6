// MemberID.swift: who takes part.
// Belongs here: the type. Never here: addresses (Transport), who votes (Quorum/).
// Source: Raft paper §5.2.

/// The number of a member of the cluster; never used again for another one.
public struct MemberID: Hashable, Comparable, Sendable {
    /// The number as it is stored and sent.
    public let rawValue: UInt64

    /// Makes an ID from its stored number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Any fixed order, so that members are always visited in the same one.
    public static func < (left: MemberID, right: MemberID) -> Bool {
        left.rawValue < right.rawValue
    }
}
