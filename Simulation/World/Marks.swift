// Marks.swift: what a batch of seeds should have seen at least once.
// Belongs here: the marks and counting. Never here: what must always hold (Invariants.swift).
// A mark that a long batch never reaches tells of faults or load that are too weak, or of dead code.

@testable import Server

/// Something that should sometimes happen.
public enum Mark: Int, CaseIterable, Sendable {
    case leaderElected, leadershipMoved, requestForwarded, checkpointWritten, snapshotFetched
    case snapshotInstalled, snapshotBrokenOff, stagingNotSaved, removedMemberTold, stoppedOnBadDisk
    case openFailed, tornTailCut, diskWasFull, damageFound, compactionDone, membersChanged,
        memberRemovedItself
    case unknownOutcome, definiteFailure, watchResumed, watchCompacted, leaseExpired, leaseKept
    case scrubFoundDamage, snapshotDiscarded, refusedOnDamage, memberReplaced, strangerAdmitted,
        diskLossMended
    case loggedIn, accessGranted, accessRefused
    case txnSucceeded, txnFailed, learnerPromoted, logTruncated

    /// As reports show it.
    public var name: String { "\(self)" }
}

/// Counts marks.
public final class Marks {
    /// How often each was reached, in the order of the marks.
    public private(set) var counts = [Int](repeating: 0, count: Mark.allCases.count)

    /// Nothing counted yet.
    public init() {}

    func reach(_ mark: Mark) { counts[mark.rawValue] += 1 }

    /// Adds another run's counts.
    public func add(_ other: Marks) {
        for place in counts.indices { counts[place] += other.counts[place] }
    }

    func note(_ event: ReplicaEvent) {
        switch event {
        case .becameLeader: reach(.leaderElected)
        case .handingOver: reach(.leadershipMoved)
        case .membersChanged: reach(.membersChanged)
        case .removed: reach(.memberRemovedItself)
        case .compacted: reach(.compactionDone)
        case .diskFull(true): reach(.diskWasFull)
        case .damaged: reach(.damageFound)
        case .leaderChanged, .readable, .requestFailed, .stopped, .diskFull, .quotaNear,
            .quotaReached:
            break
        }
    }
}
