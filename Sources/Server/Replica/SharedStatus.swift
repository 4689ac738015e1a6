// SharedStatus.swift: the few numbers of the replica that every thread may read.
// Belongs here: atomics. Never here: anything two of which must agree (that is a read transaction).

internal import Storage
internal import Synchronization

/// Where the replica stands; written by its loop, read by any thread.
final class SharedStatus: Sendable {
    private let atomicTerm = Atomic<UInt64>(0)
    private let atomicLeader = Atomic<UInt64>(0)
    private let atomicCommitted = Atomic<UInt64>(0)
    private let atomicApplied = Atomic<UInt64>(0)
    private let atomicReadsLocally = Atomic<Bool>(false)
    private let atomicLearner = Atomic<Bool>(false)
    private let atomicDamaged = Atomic<Bool>(false)
    private let atomicPending = Atomic<Int>(0)
    private let atomicFailed = Atomic<Int>(0)
    private let atomicLeases = Atomic<Int>(0)
    private let atomicAlarms = Atomic<UInt8>(0)
    private let atomicAuthMark = Atomic<UInt64>(0)
    private let atomicPages = Atomic<UInt64>(0)
    private let atomicHash = Atomic<UInt64>(0)
    private let atomicRevision = Atomic<Int64>(1)
    private let atomicCompacted = Atomic<Int64>(-1)

    /// The current term.
    var term: UInt64 {
        get { atomicTerm.load(ordering: .relaxed) }
        set { atomicTerm.store(newValue, ordering: .relaxed) }
    }

    /// The leader's member id; 0 if none is known.
    var leader: UInt64 {
        get { atomicLeader.load(ordering: .relaxed) }
        set { atomicLeader.store(newValue, ordering: .relaxed) }
    }

    /// The last index known to be committed.
    var committed: UInt64 {
        get { atomicCommitted.load(ordering: .relaxed) }
        set { atomicCommitted.store(newValue, ordering: .relaxed) }
    }

    /// The last index whose pages are published.
    var applied: UInt64 {
        get { atomicApplied.load(ordering: .acquiring) }
        set { atomicApplied.store(newValue, ordering: .releasing) }
    }

    /// Whether the published state is linearizable as it stands: a sole voter that leads (G7).
    ///
    /// Nobody else can acknowledge a write, and its own are published before they are acknowledged.
    var readsLocally: Bool {
        get { atomicReadsLocally.load(ordering: .acquiring) }
        set {
            atomicReadsLocally.store(newValue, ordering: .releasing)
            if !newValue { leaseBoard.clear() }
        }
    }

    /// Whether this member does not vote.
    var isLearner: Bool {
        get { atomicLearner.load(ordering: .relaxed) }
        set { atomicLearner.store(newValue, ordering: .relaxed) }
    }

    /// Whether something of this member's database is known to be damaged.
    var isDamaged: Bool {
        get { atomicDamaged.load(ordering: .relaxed) }
        set { atomicDamaged.store(newValue, ordering: .relaxed) }
    }

    /// What event loops count.
    let counts = LoopCounts()

    /// What event loops may renew without the replica.
    let leaseBoard = LeaseBoard()

    /// Requests that wait for their commit.
    var pendingProposals: Int {
        get { atomicPending.load(ordering: .relaxed) }
        set { atomicPending.store(newValue, ordering: .relaxed) }
    }

    /// Requests that the store failed since the start.
    var failedProposals: Int { atomicFailed.load(ordering: .relaxed) }

    func countFailedProposals(_ count: Int) {
        atomicFailed.wrappingAdd(count, ordering: .relaxed)
    }

    /// Leases on this member.
    var leases: Int {
        get { atomicLeases.load(ordering: .relaxed) }
        set { atomicLeases.store(newValue, ordering: .relaxed) }
    }

    /// Which kinds of alarm are raised, one bit each.
    var alarmKinds: UInt8 {
        get { atomicAlarms.load(ordering: .relaxed) }
        set { atomicAlarms.store(newValue, ordering: .relaxed) }
    }

    /// Which auth tables the published state has: where it changes, they have to be read anew.
    var authMark: AuthMark { AuthMark(rawValue: atomicAuthMark.load(ordering: .acquiring)) }

    /// Bytes of the database.
    var totalBytes: Int64 { Int64(atomicPages.load(ordering: .relaxed) >> 32) * Self.pageBytes }

    /// Bytes of it that hold data: what quotas count (S4).
    var bytesInUse: Int64 {
        Int64(atomicPages.load(ordering: .relaxed) & 0xffff_ffff) * Self.pageBytes
    }

    private static let pageBytes = Int64(PageLimits.pageBytes)

    /// The hash of all pages.
    var databaseHash: UInt64 { atomicHash.load(ordering: .relaxed) }

    /// The published revision and the compacted one, for metrics.
    var revision: Int64 { atomicRevision.load(ordering: .relaxed) }
    var compactedRevision: Int64 { atomicCompacted.load(ordering: .relaxed) }

    /// Notes what the published state looks like.
    func publish(_ state: StoreState, freePages: UInt32) {
        let inUse = state.pageCount - min(freePages, state.pageCount)
        atomicPages.store(UInt64(state.pageCount) << 32 | UInt64(inUse), ordering: .relaxed)
        atomicHash.store(state.databaseHash, ordering: .relaxed)
        atomicRevision.store(max(1, state.header.revision), ordering: .relaxed)
        atomicCompacted.store(
            state.header.revision == 0 ? -1 : state.header.compactedRevision, ordering: .relaxed)
        alarmKinds = UInt8(truncatingIfNeeded: state.header.spare)
        atomicAuthMark.store(AuthMark(header: state.header).rawValue, ordering: .releasing)
        applied = state.index
    }
}
