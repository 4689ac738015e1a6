// Input.swift: everything that can happen to a node.
// Belongs here: the events. Never here: what they cause (RaftNode.swift), what is owed (Effects.swift).

/// Everything that can happen to a node.
public enum Input: Equatable, Sendable {
    /// One tick of the caller's clock passed; timeouts are counted in these.
    case tick
    /// Stand for election at once instead of when the timeout ends.
    case campaign
    /// A message came; the caller has checked who sent it.
    case received(Message)
    /// Put these payloads into the log, in this order and without anything between them.
    case propose([[UInt8]])
    /// Change the members to this configuration, the next one that may follow the one in force.
    ///
    /// The payload is the caller's own: it goes into the same entry, behind the configuration.
    case proposeMembership(Membership, payload: [UInt8])
    /// Hand leadership to a voter, which has first to be brought up to date.
    case transferLeadership(to: MemberID)
    /// The disk has finished this save and every earlier one.
    case saved(SaveNumber)
    /// Ask which index a linearizable read must wait for.
    ///
    /// `mayWait` if other members are about to ask a leader too: it then sends no heartbeats for the read,
    /// but takes their next questions for the acknowledgement. The caller hands in `.hurryReads` if that
    /// takes too long.
    case readIndex(ReadContext, mayWait: Bool = false)
    /// Send heartbeats for the reads that wait for other members' questions.
    case hurryReads
    /// The leader of a term told of a round by another way than a message of the core.
    case heard(ReadRound, in: Term)
    /// The state machine has taken in every entry up to here.
    case applied(through: LogIndex)
    /// The caller's log on disk no longer has the entries up to here; they were applied before.
    case compacted(through: LogIndex)
    /// The answer to `Effects.needEntries`: entries following `after`; empty if they can't be had.
    case loaded([Entry], after: EntryID, for: MemberID)
    /// State machine and log on disk were replaced by a snapshot and an empty log behind it.
    ///
    /// Only if `RaftNode.needsSnapshot` of it was true, with no other input since.
    case installed(snapshot: EntryID, membership: Membership)
    /// The connection to this member broke: a hint that it may be gone.
    case peerDisconnected(MemberID)
}
