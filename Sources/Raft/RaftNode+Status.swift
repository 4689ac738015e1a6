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

    /// Everything up to here is agreed for ever.
    public var commit: LogIndex { hard.commit }

    /// The last entry of the log, saved or not.
    public var last: EntryID { log.last }

    /// The last entry that is on this member's disk.
    public var durable: LogIndex { saves.durable }

    /// Everybody who votes, in the order of their IDs.
    public var voters: [MemberID] { quorum.voters }

    /// The last entry that is no longer held in memory.
    public var memoryBase: EntryID { log.base }

    /// The entries of a range held in memory; all that are not applied are.
    public func entries(in range: Range<LogIndex>) -> [Entry] { log.entries(in: range) }

    /// The entry at a place held in memory; every one that is not applied is.
    public func entry(at index: LogIndex) -> Entry { log[index] }

    var isVoter: Bool { quorum.contains(id) }

    /// Whether this member alone decides.
    var isAlone: Bool { quorum.voters.count == 1 && isVoter }

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
