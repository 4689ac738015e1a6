// ServerBug.swift: mistakes in the replica and the services that the simulator plants, to see whether it finds them.
// Belongs here: their names. Never here: what each does, which stands where it is planted.
// Only simulation builds have any of it.

#if SIMULATION
    /// A mistake in the replica and the services.
    package enum ServerBug: String, CaseIterable, Sendable {
        /// A member forgets at a restart whom it voted for.
        case voteForgotten
        /// Answers leave before their entry is agreed.
        case answeredBeforeCommit
        /// What was forwarded on a connection that broke is forwarded again.
        case forwardedTwice
        /// A read does not wait until the member has applied its read index.
        case readBeforeApplied
        /// A watch on the past is taken for one on the present.
        case watchStartsLive
        /// A watch loses a revision when it has caught up.
        case watchLosesSwitch
        /// A live watch gets events from before its first revision.
        case watchIgnoresStart
        /// A watch that is resumed gets its last revision again.
        case watchBeginsEarly
        /// Events of the past come without what was there before.
        case watchPreviousLost
        /// Progress is told for the revision after the newest.
        case progressTooEarly
        /// Each operation of a transaction makes a revision of its own.
        case txnInTwoRevisions
        /// A lease runs out after half its time.
        case leaseHalved
        /// A renewal is answered and forgotten.
        case leaseRenewalIgnored
        /// A lease ends and its keys stay.
        case leaseKeysForgotten
        /// What lies below the compacted revision is read as if it were whole.
        case compactedServed
        /// A compaction forgets one revision too many.
        case compactsOneMore
        /// A batch of a lost leadership is answered though another took its place.
        case orphanAnswered
        /// A linearizable read asks nobody.
        case localRead
        /// "Greater" lets equal pass.
        case compareOff
        /// A checkpoint that a crash interrupted is not redone.
        case recoveryWithoutIntent
        /// A new leader lets every lease run out at once.
        case leaseEndsWithLeader
        /// A lease lives on for a minute when its time is over.
        case leaseOverstays
        /// A follower hands on the events of the newest revision alone.
        case followerSkipsEvents
        /// A watch gets the kinds of changes that it did not want.
        case watchFilterIgnored
        /// Access is decided by the permissions from before the batch.
        case permissionOfOldRevision
        /// A range that begins within a permission may end anywhere.
        case rangeEndIgnored
        /// What a nested transaction does is not held against permissions.
        case nestedTxnUnchecked

        // Set before a world begins, and read by its one thread.
        nonisolated(unsafe) package static var planted: ServerBug?

        var isPlanted: Bool { Self.planted == self }
    }
#endif
