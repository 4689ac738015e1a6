// Membership.swift: who takes part in the agreement, and in which role.
// Belongs here: the record and questions about it. Never here: which change may follow
// (Membership+Change.swift), bytes (Membership+Bytes.swift), when it takes effect
// (MembershipHistory.swift).
// Source: Raft paper §6; thesis §4.2.1 (learners), §4.3 (joint consensus).

/// Who takes part in the agreement, and in which role.
///
/// While `outgoing` is not empty the configuration is joint: every decision needs a majority of
/// `voters` and one of `outgoing`.
public struct Membership: Equatable, Sendable {
    /// The most members a configuration has, all roles together.
    ///
    /// More than any cluster that commits in reasonable time; it bounds what is read from a wire.
    public static let membersMax = 64

    /// Who decides, in ascending order; the incoming half while joint.
    public var voters: [MemberID]

    /// The voters before the change, in ascending order, while joint; empty otherwise.
    public var outgoing: [MemberID]

    /// Who gets every entry without deciding, in ascending order; none of them in another list.
    public var learners: [MemberID]

    /// Members of `outgoing`, in ascending order, that become learners when the joint phase ends.
    public var learnersNext: [MemberID]

    /// A configuration that is not joint; the lists are put in order, and doubles dropped.
    public init(voters: [MemberID], learners: [MemberID] = []) {
        self.voters = Membership.ascending(voters)
        self.learners = Membership.ascending(learners)
        outgoing = []
        learnersNext = []
    }

    /// Whether two majorities decide.
    public var isJoint: Bool { !outgoing.isEmpty }

    /// Everybody who takes part, in ascending order, each once.
    public var members: [MemberID] { Membership.ascending(voters + outgoing + learners) }

    /// Whether a member has a say in decisions, in either half while joint.
    public func isVoter(_ member: MemberID) -> Bool {
        voters.contains(member) || outgoing.contains(member)
    }

    /// Whether a member takes part in any role.
    public func contains(_ member: MemberID) -> Bool {
        isVoter(member) || learners.contains(member)
    }

    static func ascending(_ members: [MemberID]) -> [MemberID] {
        var result: [MemberID] = []
        for member in members.sorted() where result.last != member { result.append(member) }
        return result
    }
}
