// Message.swift: what members say to each other.
// Belongs here: the messages and what each promises. Never here: bytes on wires (Transport).
// Source: Raft paper figure 2; thesis §3.10 (transfer), §6.4 (reads) and §9.6 (pre-vote).

/// One message from a member to another.
public struct Message: Equatable, Sendable {
    /// Who says it.
    public var from: MemberID

    /// Whom it is for.
    public var to: MemberID

    /// The sender's term; for a pre-vote request, and the grant of one, the term it would begin.
    public var term: Term

    /// What is said.
    public var body: Body

    /// Makes a message.
    public init(from: MemberID, to: MemberID, term: Term, body: Body) {
        self.from = from
        self.to = to
        self.term = term
        self.body = body
    }

    /// What is said.
    public enum Body: Equatable, Sendable {
        /// Would you vote for me? Binds nobody. `last` is the end of the sender's log.
        case preVoteRequest(last: EntryID)
        /// The answer to a pre-vote request.
        case preVoteAnswer(granted: Bool)
        /// Vote for me. `last` is the end of the sender's log.
        ///
        /// `isTransfer` if the leader itself asked the sender to stand, so that holding to a live
        /// leader is no reason to refuse.
        case voteRequest(last: EntryID, isTransfer: Bool = false)
        /// The answer to a vote request, sent when the vote is on the disk.
        case voteAnswer(granted: Bool)
        /// The leader's entries after `previous`, and how far the log is committed.
        case append(previous: EntryID, entries: [Entry], commit: LogIndex)
        /// The sender's log equals the leader's through `match`, and is on the disk that far.
        case appendAccepted(match: LogIndex)
        /// The sender has no entry like `previous`.
        ///
        /// `hint` is its last entry that is neither later nor of a higher term: nothing above it can
        /// match, so the leader need not try it.
        case appendRejected(previous: LogIndex, hint: EntryID)
        /// I am the leader. `commit` is committed and within what the receiver acknowledged.
        ///
        /// One whose round is zero wants no answer.
        case heartbeat(commit: LogIndex, round: ReadRound)
        /// You were the leader to me when I got the heartbeat of `round`.
        case heartbeatAnswer(round: ReadRound)
        /// A member asks the leader for a read index.
        ///
        /// `heard` is the newest round it has heard of in this term: to the leader, an acknowledgement of it.
        case readIndexRequest(context: ReadContext, heard: ReadRound = .zero)
        /// The leader's answer; nil when it could not confirm that it leads.
        ///
        /// `round` is one that waits to be heard of, if any.
        case readIndexAnswer(context: ReadContext, index: LogIndex?, round: ReadRound = .zero)
        /// The leader asks the receiver, which has its whole log, to stand for election at once.
        case timeoutNow
        /// The leader's log on disk begins after `last`, which is committed: unless the receiver
        /// has that entry, it needs a snapshot that reaches it.
        case snapshotOffer(last: EntryID)
    }
}
