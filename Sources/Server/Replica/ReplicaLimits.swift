// ReplicaLimits.swift: the bounds of the replica and of what it hands to event loops.
// Belongs here: numbers with the sum that justifies them. Never here: user settings (Configuration).

internal import Storage

enum ReplicaLimits {
    /// Changes one request may make: the room for sub-revisions.
    static let changesPerRequestMax = PackedRevision.changesPerRequestMax

    /// Requests carried out in one batch: at about 6 us each, a batch holds the loop for 3 ms at most.
    static let requestsPerBatchMax = 512
    /// Request bytes in one batch: one entry stays below a few MiB, whatever its requests hold.
    static let bytesPerBatchMax = 4 << 20
    /// Batches that may wait for their commit where others vote.
    ///
    /// Few, so that under load batches grow and each costs less: of 512 requests each, that many in one round
    /// trip of 10 ms are 200,000 a second.
    static let batchesInFlightMax = 2
    /// The same for a sole voter, who waits for its own disk alone: one is being synced, one is next, and
    /// what comes meanwhile gathers, since a batch costs more than the requests in it.
    static let batchesInFlightAloneMax = 2

    /// Entry bytes that wait for their commit, above which no batch is begun.
    static let bytesInFlightMax = 32 << 20
    /// What log and consensus core take on: the above, and one more batch of the largest kind.
    static let logQueueBytesMax = 128 << 20

    /// Bytes of changed pages that no checkpoint has written yet, above which batches are begun only so often.
    ///
    /// In milliseconds: 4 MiB each then are less than a disk takes. They are never stopped, as a reader of
    /// an old state can hold checkpoints up for long.
    static let overlayBytesMax = 160 << 20
    static let overlayPauseMilliseconds: UInt64 = 100

    /// Room in the log that is kept for a batch and what follows from it, once the disk is full.
    static let preparedBytesMin = 8 << 20

    /// Requests that may wait to be carried out; beyond, they are refused as too many (G14).
    static let queuedRequestsMax = 20_000
    /// What requests that wait may cost in bytes, in the inbox and in the replica each.
    static let queuedBytesMax = 64 << 20
    /// Places beyond both for requests that keep the cluster alive; see `isVital`.
    static let vitalRequestsReserve = 4_000
    static let vitalBytesReserve = 16 << 20
    /// What a request takes in memory beside its encoded bytes.
    static let requestOverheadBytes = 256
    /// Changes of the members that may wait for the one before them.
    static let postponedRequestsMax = 64

    /// Bytes of other members' messages that may wait; beyond, they are dropped as if lost on the way.
    static let messageBytesMax = 64 << 20
    /// Requests forwarded to the leader and not answered; the rest waits here, under the bound above.
    static let forwardedRequestsMax = 8192
    /// What they may cost in bytes.
    static let forwardedBytesMax = 64 << 20
    /// Places beyond both for requests that keep the cluster alive.
    static let forwardedVitalReserve = 1024
    /// Rounds of read indexes under way at once; what comes meanwhile shares the next one.
    static let readRoundsMax = 1
    /// Frames of forwarded requests without any answer; what comes meanwhile shares the next one.
    static let forwardedFramesMax = 2
    /// A frame without any answer for so long holds up the next no more, in milliseconds.
    static let forwardedFramePatienceMilliseconds: UInt64 = 25
    /// A leader's own reads wait so long for the questions of other members, if there was one within that time; in
    /// milliseconds.
    static let questionWaitMilliseconds: UInt64 = 4
    /// If that was in vain they ask by heartbeats for so long.
    static let questionPauseMilliseconds: UInt64 = 100
    /// After this a read index is asked for anew, as its question or answer was lost; in milliseconds.
    static let readRetryMilliseconds: UInt64 = 500

    /// Groups of fewer requests never wait for more (`Gather`).
    static let gatheringMin = 4
    /// The longest that a group waits for more, in milliseconds; on average half of it.
    static let gatheringMilliseconds: UInt64 = 1

    /// Bytes of events handed to one event loop and not yet taken; beyond, it reads them from the store.
    static let eventBytesPerLoopMax = 32 << 20

    /// Expired leases revoked in one batch, and batches' worth of them a second (L6).
    static let expiredLeasesPerBatchMax = 500
    /// How often leases are looked at while some are due, in milliseconds (L6).
    static let leaseCheckMilliseconds: UInt64 = 500
    /// The pause after a batch with the leader's own work that failed, in milliseconds: it may be the work.
    static let failedWorkPauseMilliseconds: UInt64 = 200
    /// Keys of one lease deleted in one revision: their entry, some hundred bytes each, fits into the log.
    static let leaseKeysPerBatchMax = 50_000
    /// Leases longer than this have their remaining time written down (L11), in seconds.
    static let leaseCheckpointTTLMin: Int64 = 300
    /// How often remaining times are written down (L11), in milliseconds.
    static let leaseCheckpointMilliseconds: UInt64 = 300_000
    /// Leases written down in one batch.
    static let leaseCheckpointsPerBatchMax = 1000

    /// Free pages of the database that are always left for reuse.
    static let freePagesKept: Int64 = 1024
    /// The part of the file that may be free: a store that shrinks and grows in turn would move pages
    /// for nothing.
    static let freePagesKeptDivisor: Int64 = 4
    /// Pages given back in one step.
    static let pagesGivenBackPerStep = 256
}
