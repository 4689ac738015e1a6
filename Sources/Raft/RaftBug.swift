// RaftBug.swift: mistakes in the consensus core that the simulator plants, to see whether it finds them.
// Belongs here: their names. Never here: what each does, which stands where it is planted.
// Only simulation builds have any of it.

#if SIMULATION
    /// A mistake in the consensus core.
    package enum RaftBug: String, CaseIterable, Sendable {
        /// An entry of an older term commits by counting copies alone (paper figure 8).
        case oldTermCommit
        /// One voter fewer than a quorum is enough to commit.
        case commitByMinority
        /// One voter fewer than a quorum is enough to be elected.
        case electedByMinority
        /// A leader answers a read index without asking whether it still leads.
        case readWithoutQuorum
        /// A member votes for whoever asks, as often as they ask.
        case votesTwice
        /// A member votes without comparing logs (paper section 5.4.1).
        case votesForShorterLog
        /// A follower acknowledges entries before they are on its disk.
        case acknowledgedBeforeSave
        /// A follower commits its own entries that the leader has not matched.
        case commitPastMatch
        /// An entry that conflicts with the leader's stays.
        case conflictKept
        /// A heartbeat commits what the follower has not proved to have.
        case heartbeatCommitsUnproven
        /// A leader goes on counting the members from before a change.
        case quorumOfOldMembers
        /// A candidate leads before its own vote is on its disk.
        case leadsBeforeOwnVote
        /// Entries that were cut off still count as being on the disk.
        case durableNotLowered
        /// The vote is left out of what is saved.
        case voteNotSaved
        /// Election timeouts are the same for all and for ever.
        case timeoutDrawnOnce
        /// A read joins a round of heartbeats that began before the read came.
        case readJoinsRound
        /// A learner's copies and votes count as a voter's do.
        case learnerCounts
        /// A change of the members begins before the one before is agreed.
        case changeUnderway

        // Set before a world begins, and read by its one thread.
        nonisolated(unsafe) package static var planted: RaftBug?

        var isPlanted: Bool { Self.planted == self }
    }
#endif
