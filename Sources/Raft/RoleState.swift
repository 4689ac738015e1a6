// RoleState.swift: what a member is, each role with the data that exists only in it.
// Belongs here: the roles. Never here: how one becomes another (RaftNode+Election.swift).
// Source: Raft paper figure 4, with the pre-candidate of thesis §9.6.

/// What a member is at the moment.
public enum Role: Equatable, Sendable {
    /// Follows a leader, or waits for one.
    case follower
    /// Asks whether it could win an election.
    case preCandidate
    /// Stands for election.
    case candidate
    /// Leads.
    case leader
}

/// A role with its data.
enum RoleState: Sendable {
    case follower(leader: MemberID?)
    /// `isHinted` if a broken connection and not a timeout led here.
    case preCandidate(Ballot, isHinted: Bool)
    /// `ownVote` is the save that makes the member's vote for itself count.
    case candidate(Ballot, ownVote: SaveNumber)
    case leader(LeaderState)

    var role: Role {
        switch self {
        case .follower: .follower
        case .preCandidate: .preCandidate
        case .candidate: .candidate
        case .leader: .leader
        }
    }
}

/// The answers to a request for votes.
struct Ballot: Sendable {
    /// In the order they came, one for each member.
    private var answers: [(member: MemberID, granted: Bool)] = []

    /// Notes an answer; only the first of each member counts.
    mutating func note(_ member: MemberID, granted: Bool) {
        if answer(of: member) == nil { answers.append((member, granted)) }
    }

    func answer(of member: MemberID) -> Bool? {
        for answer in answers where answer.member == member { return answer.granted }
        return nil
    }
}

/// What exists only while a member leads.
struct LeaderState: Sendable {
    /// The other members, and those removed that still have to hear of it, in order.
    var peers: [Progress]

    /// Reads not yet confirmed.
    var reads = ReadQueue()

    /// Ticks since the last round of heartbeats.
    var heartbeatElapsed = 0

    /// Heartbeats sent by the clock so far.
    var heartbeatCount = 0

    /// Set while leadership is being handed over.
    var transfer: LeadershipTransfer?

    func position(of member: MemberID) -> Int? {
        peers.firstIndex { $0.member == member }
    }

    /// Begins a new period in which every member has to be heard from.
    mutating func endActivityPeriod() {
        for position in peers.indices {
            peers[position].wasActive = peers[position].isActive
            peers[position].isActive = false
        }
    }

    /// Lets go of members whose removal is committed by `commit` and was told to them.
    mutating func forgetDeparted(by commit: LogIndex, evenIfUntold: Bool) {
        peers.removeAll { peer in
            guard let departure = peer.departure, departure <= commit else { return false }
            return evenIfUntold || (peer.sentCommit >= departure && peer.next > departure)
        }
    }
}

/// Leadership on its way to another member.
struct LeadershipTransfer: Sendable {
    let target: MemberID
    var elapsedTicks = 0
}
