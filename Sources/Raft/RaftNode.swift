// RaftNode.swift: the consensus core: one input in, the duties out.
// Belongs here: the node's state and the one `step`. Never here: I/O, time, chance from outside.
// Source: Raft paper figure 2; the contract with the caller is Docs.docc/Raft.md.
//
//   +Election   timeouts, campaigns, votes          +Follower   appends and heartbeats received
//   +Leader     proposals, commit, heartbeats       +Replication   what goes to each member
//   +Reads      read index                          +Invariants    what holds after each step

/// One member's part in the agreement on a log.
///
/// A value: it does nothing but turn an input into effects. The same state and the same input give
/// the same effects. Copies are independent, and may be kept to compare or to go back.
public struct RaftNode: Sendable {
    let configuration: Configuration
    let quorum: Majority

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
    var compacted: LogIndex

    /// Bytes of entries after the commit index, and of those committed and not applied.
    var uncommittedBytes = 0
    var unappliedBytes = 0

    /// Ticks since the timer was reset, and the count at which a follower stands for election.
    var electionElapsed = 0
    var electionTimeout = 0
    var generator: SeededGenerator

    /// What the step underway asks for; empty between steps.
    var effects = Effects()

    /// Who led at the end of the last step.
    private var knownLeadership: LeadershipView

    /// Restores a node; an empty `Restored` makes a new one.
    public init(configuration: Configuration, restoring restored: Restored) {
        configuration.check()
        self.configuration = configuration
        quorum = Majority(voters: restored.voters)
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
        reported = applied
        compacted = restored.compactedThrough
        saves = SaveTracker(durable: log.last.index)
        generator = SeededGenerator(seed: configuration.seed)
        var index = applied
        while index < log.last.index {
            index = index.next
            if index <= hard.commit {
                unappliedBytes += log[index].byteCount
            } else {
                uncommittedBytes += log[index].byteCount
            }
        }
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
        case .saved(let number): finishSave(number)
        case .readIndex(let context): readIndex(context)
        case .applied(let index): apply(through: index)
        case .compacted(let index): compact(through: index)
        case .loaded(let entries, let base, let member): load(entries, after: base, for: member)
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
        log.drop(
            through: applied, toFit: isAlone ? 0 : configuration.limits.retainedBytesMax)
    }

    private mutating func compact(through index: LogIndex) {
        precondition(
            index <= applied, "compacted \(index.rawValue) is past applied \(applied.rawValue)")
        compacted = max(compacted, index)
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
        checkInvariants()
        var result = Effects()
        swap(&result, &effects)
        return result
    }
}
