// Membership+Change.swift: which configuration may follow which.
// Belongs here: the rules of a single step. Never here: when a step may be taken
// (RaftNode+Membership.swift).
// Source: Raft paper §6 (joint consensus); thesis §4.1 (one server at a time).
//
//   simple ──at most one voter differs──▶ simple
//   simple ──any other change──▶ joint ──left──▶ simple

extension Membership {
    /// Why a configuration can't be the next one.
    public enum Problem: Equatable, Sendable {
        /// Nobody would decide.
        case noVoters
        /// Over `membersMax` members.
        case tooManyMembers
        /// A list is not in ascending order, or names a member twice.
        case notAscending
        /// A learner is a voter too, or a future learner is not one of the outgoing voters alone.
        case rolesOverlap
        /// More than one voter differs: two majorities might not share a member. Go by a joint
        /// configuration, as `next(toward:)` does.
        case tooManyVotersDiffer
        /// The outgoing half of a joint configuration is not the voters in force.
        case outgoingNotInForce
    }

    /// The next step on the way to a configuration that is not joint.
    ///
    /// That is the target itself if at most one voter differs, else the joint configuration that
    /// leads to it. From a joint configuration the only step is out of it.
    public func next(toward target: Membership) -> Membership {
        if isJoint { return left }
        if votersDiffering(from: target) <= 1 { return target }
        var joint = target
        joint.outgoing = voters
        joint.learners = target.learners.filter { !voters.contains($0) }
        joint.learnersNext = target.learners.filter { voters.contains($0) }
        return joint
    }

    /// The configuration that follows a joint one: the incoming voters alone.
    public var left: Membership {
        Membership(voters: voters, learners: learners + learnersNext)
    }

    /// What is wrong with the configuration in itself, if anything.
    public var problem: Problem? {
        if voters.isEmpty { return .noVoters }
        for list in [voters, outgoing, learners, learnersNext]
        where list != Membership.ascending(list) { return .notAscending }
        if members.count > Membership.membersMax { return .tooManyMembers }
        for learner in learners where isVoter(learner) { return .rolesOverlap }
        for learner in learnersNext
        where voters.contains(learner) || !outgoing.contains(learner) { return .rolesOverlap }
        return nil
    }

    /// What forbids `next` to follow this configuration, which is not joint, in one step.
    func problem(withNext next: Membership) -> Problem? {
        if let problem = next.problem { return problem }
        if next.isJoint { return next.outgoing == voters ? nil : .outgoingNotInForce }
        return votersDiffering(from: next) <= 1 ? nil : .tooManyVotersDiffer
    }

    private func votersDiffering(from other: Membership) -> Int {
        voters.filter { !other.voters.contains($0) }.count
            + other.voters.filter { !voters.contains($0) }.count
    }
}
