// RaftNode.swift: the consensus core: one input in, the duties out.
// Belongs here: the node's state and the one `step`. Never here: I/O, time, chance from outside.
// Source: Raft paper figure 2; the contract with the caller is Docs.docc/Raft.md.
//
//   +Election   timeouts, campaigns, votes          +Follower   appends and heartbeats received
//   +Leader     proposals, commit, heartbeats       +Replication   what goes to each member
//   +Reads      read index                          +Membership    who takes part
//   +Transfer   handing leadership over             +Snapshot      what the log no longer has
//   +Status     what a caller may look at           +Invariants    what holds after each step

/// One member's part in the agreement on a log.
///
/// A value: it does nothing but turn an input into effects. The same state and the same input give
/// the same effects. Copies are independent, and may be kept to compare or to go back.
public struct RaftNode: Sendable {
    let configuration: Configuration

    /// The configurations in the log; `quorum` is always that of the newest.
    var history: MembershipHistory
    var quorum: JointQuorum

    /// Term, vote and commit as they are now; `saved` is what they were in the newest save.
    var hard: HardState
    var savedHard: HardState

    var state = RoleState.follower(leader: nil)
    var log: RaftLog
    var saves: SaveTracker

    /// What the state machine has taken in; never past the commit index.
    public internal(set) var applied: LogIndex

    /// The last entry that effects have reported as committed.
    var reported: LogIndex

    /// The last entry that the caller's log on disk no longer has.
    ///
    /// Its term is not known if memory begins later, until the disk was asked for it.
    var compacted: LogIndex
    var compactedTerm: Term?

    /// Bytes of entries after the commit index, and of those committed and not applied.
    var uncommittedBytes = 0
    var unappliedBytes = 0

    /// Ticks since the timer was reset, and the count at which a follower stands for election.
    var electionElapsed = 0
    var electionTimeout = 0
    var generator: SeededGenerator

    /// The newest round that a leader spoke of, and in which term.
    var heard = HeardRound()

    /// What the step underway asks for; empty between steps.
    var effects = Effects()

    /// Who led, and which configuration was in force, at the end of the last step.
    private var knownLeadership: LeadershipView
    private var knownMembership: Membership

    /// Restores a node; an empty `Restored` makes a new one.
    public init(configuration: Configuration, restoring restored: Restored) {
        configuration.check()
        self.configuration = configuration
        history = MembershipHistory(asOf: restored.applied, restored.membership)
        quorum = JointQuorum(restored.membership)
        knownMembership = restored.membership
        hard = restored.hardState
        knownLeadership = LeadershipView(term: hard.term, leader: nil, isLeader: false)
        log = RaftLog(base: restored.base)
        for entry in restored.entries { log.append(entry) }
        applied = restored.applied
        precondition(
            restored.compactedThrough <= restored.base.index,
            "compacted \(restored.compactedThrough.rawValue) is past the base "
                + "\(restored.base.index.rawValue)")
        precondition(
            applied >= restored.base.index && applied <= log.last.index,
            "applied \(applied.rawValue) is not in the restored log, "
                + "\(restored.base.index.rawValue) to \(log.last.index.rawValue)")
        hard.commit = max(min(hard.commit, log.last.index), applied)
        savedHard = hard
        if hard.term < restored.base.term {
            // A snapshot was installed, and a crash came before the term it raised was saved. We
            // can't have voted since. The first step saves it.
            hard.term = restored.base.term
            hard.vote = nil
        }
        reported = applied
        compacted = restored.compactedThrough
        compactedTerm = compacted == .zero ? .zero : log.term(at: compacted)
        saves = SaveTracker(durable: log.last.index)
        generator = SeededGenerator(seed: configuration.seed)
        var index = applied
        while index < log.last.index {
            index = index.next
            if log[index].kind == .membership { adopt(log[index]) }
            if index <= hard.commit {
                unappliedBytes += log[index].byteCount
            } else {
                uncommittedBytes += log[index].byteCount
            }
        }
        knownMembership = membership
        effects.membership = nil
        resetElectionTimer()
        checkInvariants()
    }

    /// Takes one event and returns everything the caller must now do.
    public mutating func step(_ input: Input) -> Effects {
        switch input {
        case .tick: tick()
        case .campaign: campaignAtOnce()
        case .received(let message): receive(message)
        case .propose(let payloads): propose(payloads)
        case .proposeMembership(let next, let payload): proposeMembership(next, payload: payload)
        case .transferLeadership(let target): transferLeadership(to: target)
        case .saved(let number): finishSave(number)
        case .readIndex(let context, let mayWait): readIndex(context, mayWait: mayWait)
        case .hurryReads: hurryReads()
        case .heard(let round, let term): if term == self.term { heard.note(round, in: term) }
        case .applied(let index): apply(through: index)
        case .compacted(let index): compact(through: index)
        case .loaded(let entries, let base, let member): load(entries, after: base, for: member)
        case .installed(let snapshot, let membership): install(snapshot, membership)
        case .peerDisconnected(let member): disconnect(member)
        }
        return finishStep()
    }

    private mutating func apply(through index: LogIndex) {
        precondition(
            index <= reported,
            "applied \(index.rawValue) is past committed \(reported.rawValue)")
        guard index > applied else { return }
        while applied < index {
            applied = applied.next
            unappliedBytes -= log[applied].byteCount
        }
        history.forget(through: applied)
        log.drop(through: applied, toFit: hasPeers ? configuration.limits.retainedBytesMax : 0)
        effects.mayLeaveJoint = mayLeaveJoint
    }

    private mutating func compact(through index: LogIndex) {
        precondition(
            index <= applied, "compacted \(index.rawValue) is past applied \(applied.rawValue)")
        guard index > compacted else { return }
        compacted = index
        compactedTerm = log.term(at: index)
    }

    private mutating func finishSave(_ number: SaveNumber) {
        saves.complete(number)
        switch state {
        case .candidate: countOwnVote()
        case .leader: advanceCommit()
        case .follower, .preCandidate: break
        }
    }

    /// Turns what changed during the step into effects.
    private mutating func finishStep() -> Effects {
        let mustSaveHard = hard.term != savedHard.term || hard.vote != savedHard.vote
        if mustSaveHard || (effects.needsSave && hard.commit != savedHard.commit) {
            effects.save = hard
            #if SIMULATION
                if RaftBug.voteNotSaved.isPlanted { effects.save?.vote = nil }
            #endif
            savedHard = hard
        }
        if effects.needsSave { _ = saves.issue(through: log.last.index) }
        effects.saveNumber = saves.issued
        if saves.completed == saves.issued, !effects.sendAfterSave.isEmpty {
            effects.sendNow += effects.sendAfterSave
            effects.sendAfterSave = []
        }
        if hard.commit > reported {
            effects.committed = reported.next..<hard.commit.next
            reported = hard.commit
        }
        let view = leadershipView
        if view != knownLeadership {
            effects.leadership = view.change(since: knownLeadership)
            knownLeadership = view
        }
        if let membership = effects.membership {
            if membership == knownMembership { effects.membership = nil }
            knownMembership = membership
        }
        checkInvariants()
        var result = Effects()
        swap(&result, &effects)
        return result
    }
}
