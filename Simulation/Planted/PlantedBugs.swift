// PlantedBugs.swift: every mistake that can be planted, by name, with what it is.
// Belongs here: the list of all modules. Never here: the mistakes, which stand where they are planted.

#if SIMULATION
    import Raft
    import Storage

    @testable import Server
#endif

/// A mistake that simulation builds can switch on; other builds have none.
public struct PlantedBug: Sendable {
    /// The name, as `--plant` takes it.
    public let name: String
    /// What goes wrong.
    public let summary: String
    /// The scenarios in which it can show soonest; empty for any.
    public let scenarios: [String]

    /// Every mistake there is.
    public static var all: [PlantedBug] {
        #if SIMULATION
            return summaries.map { item in
                let found = focus.first { $0.names.contains(item.name) }?.scenarios ?? []
                return PlantedBug(name: item.name, summary: item.summary, scenarios: found)
            }
        #else
            return []
        #endif
    }

    /// Plants a mistake, or none, for the worlds that begin from now on.
    public static func plant(_ bug: PlantedBug?) {
        #if SIMULATION
            let name = bug?.name ?? ""
            RaftBug.planted = RaftBug(rawValue: name)
            StorageBug.planted = StorageBug(rawValue: name)
            ServerBug.planted = ServerBug(rawValue: name)
        #endif
    }

    #if SIMULATION
        private static let focus: [(names: [String], scenarios: [String])] = [
            (
                [
                    "oldTermCommit", "votesTwice", "votesForShorterLog", "commitPastMatch",
                    "heartbeatCommitsUnproven", "leadsBeforeOwnVote", "durableNotLowered",
                    "voteNotSaved", "timeoutDrawnOnce", "voteForgotten",
                ], ["elections"]
            ),
            (["quorumOfOldMembers", "learnerCounts"], ["members"]),
            (["changeUnderway"], ["changes"]),
            (["pageChecksumIgnored"], ["corruption"]),
            (["snapshotNotProved"], ["corruption", "snapshot"]),
            (["recoveryWithoutIntent"], ["single"]),
            (["tipNotCut"], ["kv", "snapshot", "elections"]),
            (["orphanAnswered"], ["kv", "elections"]),
            (["readJoinsRound"], ["elections"]),
            (["forwardedTwice"], ["kv"]),
            (
                ["permissionOfOldRevision", "rangeEndIgnored", "nestedTxnUnchecked"], ["auth"]
            ),
            (
                [
                    "leaseHalved", "leaseRenewalIgnored", "leaseKeysForgotten",
                    "leaseEndsWithLeader", "leaseOverstays",
                ],
                ["lease"]
            ),
        ]

        private static let summaries: [(name: String, summary: String)] = [
            (
                "oldTermCommit",
                "An entry of an older term commits by counting copies alone (paper figure 8)."
            ),
            ("commitByMinority", "One voter fewer than a quorum is enough to commit."),
            ("electedByMinority", "One voter fewer than a quorum is enough to be elected."),
            (
                "readWithoutQuorum",
                "A leader answers a read index without asking whether it still leads."
            ),
            ("votesTwice", "A member votes for whoever asks, as often as they ask."),
            ("votesForShorterLog", "A member votes without comparing logs (paper section 5.4.1)."),
            (
                "acknowledgedBeforeSave",
                "A follower acknowledges entries before they are on its disk."
            ),
            (
                "commitPastMatch",
                "A follower takes over the commit index of an append before it compares the logs."
            ),
            ("conflictKept", "An entry that conflicts with the leader's stays."),
            (
                "heartbeatCommitsUnproven",
                "A heartbeat commits what the follower has not proved to have."
            ),
            ("quorumOfOldMembers", "A leader goes on counting the members from before a change."),
            ("leadsBeforeOwnVote", "A candidate leads before its own vote is on its disk."),
            ("durableNotLowered", "Entries that were cut off still count as being on the disk."),
            ("voteNotSaved", "The vote is left out of what is saved."),
            ("timeoutDrawnOnce", "Election timeouts are the same for all and for ever."),
            (
                "readJoinsRound",
                "A read joins a round of heartbeats that began before the read came."
            ),
            ("learnerCounts", "A learner's copies and votes count as a voter's do."),
            (
                "changeUnderway",
                "A change of the members begins before the one before is agreed."
            ),
            ("logNotSynced", "The log is written and never synced."),
            (
                "pageChecksumIgnored",
                "Pages are not compared with their checksums when they are read."
            ),
            ("tipNotCut", "Speculative pages stay when leadership is lost."),
            ("versionNotReset", "A key that was deleted goes on counting its versions."),
            ("createRevisionMoves", "Each put gives the key a new create revision."),
            ("snapshotNotProved", "A snapshot is installed without asking whether it fits."),
            ("logReleasedEarly", "The log is let go beyond the checkpoint."),
            ("voteForgotten", "A member forgets at a restart whom it voted for."),
            ("answeredBeforeCommit", "Answers leave before their entry is agreed."),
            ("forwardedTwice", "What was forwarded on a connection that broke is forwarded again."),
            (
                "readBeforeApplied",
                "A read does not wait until the member has applied its read index."
            ),
            ("watchStartsLive", "A watch on the past is taken for one on the present."),
            ("watchLosesSwitch", "A watch loses a revision when it has caught up."),
            ("watchIgnoresStart", "A live watch gets events from before its first revision."),
            ("watchBeginsEarly", "A watch that is resumed gets its last revision again."),
            ("watchPreviousLost", "Events of the past come without what was there before."),
            ("progressTooEarly", "Progress is told for the revision after the newest."),
            ("txnInTwoRevisions", "Each operation of a transaction makes a revision of its own."),
            ("leaseHalved", "A lease runs out after half its time."),
            ("leaseRenewalIgnored", "A renewal is answered and forgotten."),
            ("leaseKeysForgotten", "A lease ends and its keys stay."),
            (
                "compactedServed",
                "What lies below the compacted revision is read as if it were whole."
            ),
            ("compactsOneMore", "A compaction forgets one revision too many."),
            (
                "orphanAnswered",
                "Batches of a lost leadership are answered though others took their place."
            ),
            ("localRead", "A linearizable read asks nobody."),
            ("compareOff", "\"Greater\" lets equal pass."),
            ("recoveryWithoutIntent", "A checkpoint that a crash interrupted is not redone."),
            ("leaseEndsWithLeader", "A new leader lets every lease run out at once."),
            ("leaseOverstays", "A lease lives on for a minute when its time is over."),
            ("followerSkipsEvents", "A follower hands on the events of the newest revision alone."),
            ("watchFilterIgnored", "A watch gets the kinds of changes that it did not want."),
            (
                "permissionOfOldRevision",
                "Access is decided by the permissions from before the batch."
            ),
            ("rangeEndIgnored", "A range that begins within a permission may end anywhere."),
            (
                "nestedTxnUnchecked",
                "What a nested transaction does is not held against permissions."
            ),
        ]
    #endif
}
