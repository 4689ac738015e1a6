// Effects.swift: everything a step asks of its caller.
// Belongs here: the duties, and what each may wait for. Never here: how they come about (RaftNode).
// Source: Docs.docc/Raft.md is the contract in full; thesis §10.2.1 for the two lists of messages.

/// Everything a step asks of its caller.
///
/// What to write (`truncateAfter`, then `append`, with `save`) belongs to one atomic write.
public struct Effects: Equatable, Sendable {
    /// Term, vote and commit to write with this save, when they changed.
    ///
    /// A change of the commit index alone never asks for a save.
    public var save: HardState?

    /// Entries after this place are to be removed from the log on disk, before `append` is written.
    public var truncateAfter: LogIndex?

    /// Entries to write at the end of the log on disk.
    public var append: [Entry] = []

    /// The newest save asked for so far; that of this step when `needsSave`.
    ///
    /// Hand it to `.saved` when that save, and all before it, have reached the disk.
    public var saveNumber = SaveNumber.restored

    /// Messages that may leave at once, without waiting for any save.
    public var sendNow: [Message] = []

    /// Messages that may leave only once `saveNumber` has reached the disk.
    ///
    /// It may be an earlier step's save: then this step itself has nothing to write.
    public var sendAfterSave: [Message] = []

    /// Entries newly known to be committed, to be applied in order.
    ///
    /// Need not be on this member's own disk yet; a checkpoint has to wait for that.
    public var committed: Range<LogIndex>?

    /// Reads that may be answered once their index is applied.
    public var readStates: [ReadState] = []

    /// Reads that got no index; to be asked again with a fresh context.
    public var readsFailed: [ReadContext] = []

    /// Who leads has changed.
    public var leadership: LeadershipChange?

    /// What became of the `.propose` or `.proposeMembership` of this step.
    public var proposal: ProposalOutcome?

    /// Entries to be read from the log on disk for members that lag; answered by `.loaded`.
    public var needEntries: [EntriesRequest] = []

    /// Members that need older entries than the log on disk has; they are told so by message.
    ///
    /// Repeated once per heartbeat as long as it is so.
    public var needSnapshot: [MemberID] = []

    /// The leader's word that this member can catch up by a snapshot only.
    ///
    /// Repeated once per heartbeat as long as it is so; answered by `.installed`.
    public var snapshotOffered: SnapshotOffer?

    /// The configuration now in force, when it is another than before the step.
    ///
    /// In force as soon as it is in the log, committed or not; a cut of the log takes it back.
    public var membership: Membership?

    /// A leader may propose to leave the joint configuration: `.proposeMembership` of
    /// `RaftNode.membership.left`.
    ///
    /// Repeated once per heartbeat until that is in the log.
    public var mayLeaveJoint = false

    /// Why leadership was not handed over; that it was is seen by `leadership`.
    public var transfer: TransferOutcome?

    /// Asks for nothing.
    public init() {}

    /// Whether this step asks for a save of its own, `saveNumber`.
    public var needsSave: Bool { save != nil || truncateAfter != nil || !append.isEmpty }
}

/// What became of a proposal.
public enum ProposalOutcome: Equatable, Sendable {
    /// In the leader's log from `first` on; committed only if the entry committed there has this ID.
    case accepted(first: EntryID)
    /// Not in the log, and never will be.
    case rejected(ProposalRejection)
}

/// Why a proposal was not taken.
public enum ProposalRejection: Equatable, Sendable {
    /// This member does not lead; `leader` does, if known.
    case notLeader(leader: MemberID?)
    /// Too many bytes wait for a quorum (`Limits.uncommittedBytesMax`).
    case tooMuchUncommitted
    /// Too many bytes wait for the state machine (`Limits.unappliedBytesMax`).
    case tooMuchUnapplied
    /// Leadership is being handed over; ask the new leader, or again after `.aborted`.
    case transferUnderway(to: MemberID)
    /// A change of the members is not committed yet, or has to leave its joint phase first.
    case membershipChangeUnderway
    /// The configuration can't follow the one in force.
    case invalidMembership(Membership.Problem)
    /// No entry of the leader's own term is committed yet: a change might overlap an older one.
    case leaderHasNotCommitted
}

/// Why leadership was not handed over.
public enum TransferOutcome: Equatable, Sendable {
    /// Not even tried.
    case refused(TransferRefusal)
    /// The member did not take over in time; proposals are taken again.
    case aborted(to: MemberID)
}

/// Why leadership can't be handed to a member.
public enum TransferRefusal: Equatable, Sendable {
    /// This member does not lead; `leader` does, if known.
    case notLeader(leader: MemberID?)
    /// The member leads already.
    case leadsAlready
    /// The member is not a voter, or will not be one when the joint phase ends.
    case notVoter
    /// The member was not heard from lately.
    case notActive
    /// Leadership is being handed to another member.
    case transferUnderway(to: MemberID)
}

/// A change of who leads, as this member knows it.
public enum LeadershipChange: Equatable, Sendable {
    /// This member leads from now on; its no-op is in the log.
    case becameLeader(Term)
    /// This member no longer leads; what it proposed and is not committed may yet be, or be lost.
    case steppedDown(term: Term, leader: MemberID?)
    /// Another member leads in this term, or nobody is known to.
    case leaderKnown(term: Term, leader: MemberID?)
}

/// An index that a linearizable read must wait for.
public struct ReadState: Equatable, Sendable {
    /// The context of `.readIndex`.
    public var context: ReadContext
    /// The read sees everything it must once this index is applied.
    public var index: LogIndex

    /// Pairs a context with its index.
    public init(context: ReadContext, index: LogIndex) {
        self.context = context
        self.index = index
    }
}

/// What a member that lags has to fetch by other means than the log.
public struct SnapshotOffer: Equatable, Sendable {
    /// The leader, which may be asked for the snapshot as well as any other member.
    public var from: MemberID
    /// The least entry that the snapshot must include for the log to go on behind it.
    public var reaching: LogIndex

    /// Makes an offer.
    public init(from: MemberID, reaching: LogIndex) {
        self.from = from
        self.reaching = reaching
    }
}

/// Entries that a lagging member needs and the core no longer holds.
public struct EntriesRequest: Equatable, Sendable {
    /// The member that needs them.
    public var member: MemberID
    /// The first entry needed; the ID of the one before it goes into `.loaded(_, after:, for:)`,
    /// also where the log on disk has the ID only.
    public var from: LogIndex
    /// The last entry that may be sent: from the next on, the core has them itself.
    public var through: LogIndex
    /// Stop before more than this many bytes, but send one entry at least.
    public var bytesMax: Int

    /// Makes a request.
    public init(member: MemberID, from: LogIndex, through: LogIndex, bytesMax: Int) {
        self.member = member
        self.from = from
        self.through = through
        self.bytesMax = bytesMax
    }
}
