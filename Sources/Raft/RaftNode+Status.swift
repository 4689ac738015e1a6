// RaftNode+Status.swift: what a caller may look at between steps.
// Belongs here: reading. Never here: anything that changes the node.

extension RaftNode {
    /// This member.
    public var id: MemberID { configuration.id }

    /// The current term.
    public var term: Term { hard.term }

    /// What this member is in the current term.
    public var role: Role { state.role }

    /// Who leads the current term, as far as this member knows.
    public var leader: MemberID? {
        switch state {
        case .follower(let leader): leader
        case .preCandidate, .candidate: nil
        case .leader: id
        }
    }

    /// Whether what a member sent in a term, however it came here, proves that this one led when it was sent.
    ///
    /// The sender was in this leader's term then. Where the two are a quorum, nobody else had been elected
    /// before, and a round of heartbeats would prove nothing more.
    public func isConfirmed(by member: MemberID, sentIn term: Term) -> Bool {
        guard case .leader = state, term == self.term, hasCommittedInTerm else { return false }
        return quorum.isMet { $0 == id || $0 == member }
    }

    /// The round that waits to be acknowledged without heartbeats; zero if none does.
    ///
    /// What goes to other members anyway may carry it, and what comes back from them bring it back, as the
    /// answer to a heartbeat of that round.
    public var quietRound: ReadRound {
        guard case .leader(let leader) = state, leader.reads.isQuiet else { return .zero }
        return leader.reads.latestRound
    }

    /// The newest round that the leader of this term told of; zero if none.
    public var heardRound: ReadRound { heard.round(in: term) }

    /// Everything up to here is agreed for ever.
    public var commit: LogIndex { hard.commit }

    /// The last entry of the log, saved or not.
    public var last: EntryID { log.last }

    /// The last entry that is on this member's disk.
    public var durable: LogIndex { saves.durable }

    /// The configuration in force: the newest in the log, committed or not.
    public var membership: Membership { history.current }

    /// The entry that put `membership` in force, or an applied one that came later.
    public var membershipIndex: LogIndex { history.currentIndex }

    /// Everybody who votes, in the order of their IDs; both halves while joint.
    public var voters: [MemberID] { quorum.voters }

    /// What this member knows of another as a leader; nil if it does not lead, or not the other.
    public func progress(of member: MemberID) -> MemberProgress? {
        guard case .leader(let leader) = state, let position = leader.position(of: member) else {
            return nil
        }
        return leader.peers[position].view
    }

    /// Whether leadership is being handed over, and to whom.
    public var transferTarget: MemberID? {
        guard case .leader(let leader) = state else { return nil }
        return leader.transfer?.target
    }

    /// How many ticks may still pass, at least 1, until one of them can have an effect.
    ///
    /// All before it only count; a caller that wants to sleep may hand them in together, later, as long as
    /// nothing else is handed in before them. Other inputs change the number.
    public var ticksUntilDue: Int {
        switch state {
        case .leader(let leader):
            let heartbeat = configuration.heartbeatTicks - leader.heartbeatElapsed
            return max(1, min(heartbeat, configuration.electionTimeoutTicks - electionElapsed))
        case .follower, .preCandidate, .candidate:
            if isAlone, configuration.soleVoterCampaignsAtFirstTick { return 1 }
            return max(1, electionTimeout - electionElapsed)
        }
    }

    /// The last entry that is no longer held in memory.
    public var memoryBase: EntryID { log.base }

    /// The entries of a range held in memory; all that are not applied are.
    public func entries(in range: Range<LogIndex>) -> [Entry] { log.entries(in: range) }

    /// The entry at a place held in memory; every one that is not applied is.
    public func entry(at index: LogIndex) -> Entry { log[index] }

    var isVoter: Bool { quorum.contains(id) }

    /// Whether this member may stand for election.
    ///
    /// One that is removed does so, without a vote of its own, until it knows that to be committed:
    /// with a log longer than the others' it may be the only one who can win (thesis §4.2.2).
    var mayStand: Bool {
        isVoter || history.membership(asOf: hard.commit).isVoter(id)
    }

    /// Whether this member alone decides.
    var isAlone: Bool { quorum.voters.count == 1 && isVoter }

    /// Whether anybody else may need entries of us, now or as the leader's successor.
    var hasPeers: Bool { !isAlone || !membership.learners.isEmpty }

    var leadershipView: LeadershipView {
        LeadershipView(term: term, leader: leader, isLeader: role == .leader)
    }
}

/// Who leads as seen before or after a step.
struct LeadershipView: Equatable, Sendable {
    var term: Term
    var leader: MemberID?
    var isLeader: Bool

    /// What the caller has to know about the way from `before` to here.
    func change(since before: LeadershipView) -> LeadershipChange? {
        if isLeader { return before.isLeader ? nil : .becameLeader(term) }
        if before.isLeader { return .steppedDown(term: term, leader: leader) }
        let isSame = leader == before.leader && (leader == nil || term == before.term)
        return isSame ? nil : .leaderKnown(term: term, leader: leader)
    }
}
