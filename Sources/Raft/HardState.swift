// HardState.swift: what a member must still know after a crash, besides its log.
// Belongs here: the record. Never here: when it changes (RaftNode+Candidate.swift, +Follower.swift).
// Source: Raft paper figure 2, "Persistent state on all servers".

/// What a member must still know after a crash, besides its log.
public struct HardState: Equatable, Sendable {
    /// The latest term the member has seen; never falls.
    public var term: Term

    /// The candidate the member voted for in `term`, if any; set once in a term.
    public var vote: MemberID?

    /// A place known to be committed; may lag behind the truth, never ahead of it.
    ///
    /// It lets a restarted member serve what it knew to be agreed; safety does not need it.
    public var commit: LogIndex

    /// Makes a record; the default is that of a member which never ran.
    public init(term: Term = .zero, vote: MemberID? = nil, commit: LogIndex = .zero) {
        self.term = term
        self.vote = vote
        self.commit = commit
    }
}
