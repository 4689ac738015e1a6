// JointQuorum.swift: what the voters of a configuration have decided, two halves of them if joint.
// Belongs here: putting two majorities together. Never here: counting (Majority.swift), who the
// voters are (Membership/).
// Source: Raft paper §6: agreement requires separate majorities of old and new configuration.

/// The voters of a configuration, of which more than half decide: of both halves while joint.
package struct JointQuorum: Equatable, Sendable {
    private let incoming: Majority

    /// Nil unless joint.
    private let outgoing: Majority?

    /// The voters of both halves, in order, each once.
    package let voters: [MemberID]

    package init(_ membership: Membership) {
        incoming = Majority(voters: membership.voters)
        outgoing = membership.isJoint ? Majority(voters: membership.outgoing) : nil
        voters = Membership.ascending(membership.voters + membership.outgoing)
    }

    package var isJoint: Bool { outgoing != nil }

    package func contains(_ member: MemberID) -> Bool { voters.contains(member) }

    /// The greatest value that a majority of each half has reached.
    package func greatest<Value: Comparable>(
        reached: (MemberID) -> Value, nobody: Value
    ) -> Value {
        let value = incoming.greatest(reached: reached, nobody: nobody)
        guard let outgoing else { return value }
        return min(value, outgoing.greatest(reached: reached, nobody: nobody))
    }

    /// Whether a majority of each half fulfils a condition.
    package func isMet(by condition: (MemberID) -> Bool) -> Bool {
        incoming.isMet(by: condition) && (outgoing?.isMet(by: condition) ?? true)
    }

    /// What a vote has come to: both halves have to grant it, and either can refuse.
    package func result(of vote: (MemberID) -> Bool?) -> Majority.VoteResult {
        let first = incoming.result(of: vote)
        guard let second = outgoing?.result(of: vote) else { return first }
        if first == .lost || second == .lost { return .lost }
        return first == .won && second == .won ? .won : .pending
    }
}
