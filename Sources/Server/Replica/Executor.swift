// Executor.swift: carries out requests on the writer's tip, inside the open transaction of a batch.
// Belongs here: state shared by all requests, dispatch. Never here: Raft, durability, threads (Replica.swift).
// Source: design section 3, steps 3 and 4; etcd semantics G2-G4.

internal import Raft
internal import Storage

/// Who this member is, in every header.
struct Identity: Equatable, Sendable {
    let clusterID: UInt64
    let memberID: UInt64
}

/// Settings that decide what requests may do.
struct ExecutorSettings: Equatable, Sendable {
    /// The least time to live of a lease in seconds (L1).
    var minimumLeaseTTL: Int64 = 2
    /// The greatest number of bytes in use; nil for none (M3).
    var quotaBytes: Int64?
    /// Whether membership changes that could lose the quorum are refused (K3).
    var strictReconfigCheck = true
    /// The most learners at a time (K2).
    var maxLearners = 1
    /// Seconds that a login lives after its last use (A4).
    var tokenTTLSeconds: UInt64 = 300

    /// How long the leader keeps a login of which it hears nothing, in milliseconds.
    var loginLifetimeMilliseconds: UInt64 {
        tokenTTLSeconds * 1000 + tokenTTLSeconds * 1000 / AuthLimits.renewalsPerLifetime
    }
}

/// What became of a request.
enum Execution: Sendable {
    /// Answer with these bytes once the batch is committed.
    case answer([UInt8])
    /// Answer with these bytes once the running compaction has removed its rows too (C4).
    case answerWhenCompacted([UInt8])
    /// Answer with these bytes once the batch is committed; it has changed the table `member`.
    ///
    /// `Executor.members` says who they are from this batch on.
    case memberChange(bytes: [UInt8])
}

/// Carries out requests one after another; confined to the replica loop.
///
/// Each request validates before it writes, so that one which is refused has written nothing. What it
/// changes is on the tip at once and visible to the next request; answers are kept until the commit.
final class Executor {
    let settings: ExecutorSettings
    let identity: Identity
    let keys: KeyWriter
    let compactor: Compactor
    let leaseTable: LeaseTable
    let alarmTable: AlarmTable
    let memberTable: MemberTable
    let removedMemberTable: RemovedMemberTable
    let meta: MetaTable
    let authTable: AuthTable
    let loginTable: AuthTokenTable
    /// Users, roles and permissions as stored.
    var auth: AuthState
    #if SIMULATION
        /// The same as it was when the open batch began.
        private(set) var authOfBatch: AuthState?
    #endif
    var logins: LoginClock
    var leases: LeaseClock
    var leaseIDs: LeaseIDGenerator
    /// The alarms that are raised, as stored.
    var alarms: [AlarmRow]
    /// Whether NOSPACE is raised because of the quota, and goes by itself.
    var hasQuotaAlarm: Bool
    /// The members as stored, by ascending id.
    var members: [MemberRow]
    /// What is known of the other members now; asked for by membership changes only.
    ///
    /// Until somebody sets it nobody can be heard, so that changes are refused rather than dared.
    var clusterView: () -> ClusterView = { ClusterView() }
    /// The compacted revision; -1 on a store never compacted (C2).
    var compacted: Int64
    /// Changes of the open batch, in order; nil where no loop wants them.
    var events: [ChangeEvent]? = []
    /// Whether the last request changed keys.
    private(set) var hasChangedKeys = false
    /// Who answers the client: the member that it asked (G4).
    var answeringMember: UInt64
    /// Whether a compaction began since `takeNewCompaction`.
    var hasNewCompaction = false
    /// Time, term and space of the open batch.
    private(set) var now = Tick(milliseconds: 0)
    private(set) var term: UInt64 = 0
    private(set) var bytesInUse: Int64 = 0
    private(set) var isDiskFull = false
    /// The log index that the open batch will have.
    private(set) var logIndex: UInt64 = 0

    /// Reads the tables of the tip.
    ///
    /// - Parameter now: leases get their remaining time from here on (L7).
    init(
        connection: Connection, identity: Identity, settings: ExecutorSettings,
        leaseIDs: LeaseIDGenerator, now: Tick, leaseGrace: UInt64
    ) throws(StorageError) {
        self.identity = identity
        answeringMember = identity.memberID
        self.settings = settings
        self.leaseIDs = leaseIDs
        keys = try KeyWriter(connection: connection)
        compactor = try Compactor(connection: connection)
        leaseTable = try LeaseTable(connection: connection)
        alarmTable = try AlarmTable(connection: connection)
        memberTable = try MemberTable(connection: connection)
        removedMemberTable = try RemovedMemberTable(connection: connection)
        meta = try MetaTable(connection: connection)
        authTable = try AuthTable(connection: connection)
        loginTable = try AuthTokenTable(connection: connection)
        auth = try AuthState(authTable)
        // Whoever led before knew when they were used; now all have their full time again, as leases do.
        logins = LoginClock(lifetimeMilliseconds: settings.loginLifetimeMilliseconds)
        for row in try loginTable.all() { logins.add(row.digest, of: row.user, now: now) }
        alarms = try alarmTable.all()
        hasQuotaAlarm = try meta.value(.quotaAlarm) != nil
        members = try memberTable.all()
        compacted = try compactor.compacted() ?? -1
        leases = LeaseClock()
        for row in try leaseTable.all() {
            let remaining = UInt64(max(row.remaining, 0)) * 1000
            #if SIMULATION
                if ServerBug.leaseEndsWithLeader.isPlanted {
                    leases.insert(
                        Lease(
                            id: row.id, timeToLive: row.timeToLive, deadline: now,
                            checkpointed: row.remaining))
                    continue
                }
            #endif
            leases.insert(
                Lease(
                    id: row.id, timeToLive: row.timeToLive,
                    deadline: now.advanced(milliseconds: remaining + leaseGrace),
                    checkpointed: row.remaining))
        }
    }

    /// Begins a batch.
    func beginBatch(
        now: Tick, term: UInt64, bytesInUse: Int64, isDiskFull: Bool, recordsEvents: Bool = true,
        logIndex: UInt64 = 0
    ) {
        self.logIndex = logIndex
        #if SIMULATION
            authOfBatch = auth
        #endif
        events = recordsEvents ? [] : nil
        self.now = now
        self.term = term
        self.bytesInUse = bytesInUse
        self.isDiskFull = isDiskFull
    }

    /// Whether a compaction began since this was asked last.
    func takeNewCompaction() -> Bool {
        defer { hasNewCompaction = false }
        return hasNewCompaction
    }

    /// What readers of the tip will find in its header.
    var stateHeader: StateHeader {
        StateHeader(
            revision: keys.revision, compactedRevision: compacted,
            spare: auth.mark.spare(alarmKinds: alarmKinds))
    }

    /// The kinds of alarm that are raised, one bit each.
    var alarmKinds: UInt8 {
        alarms.reduce(0) { $0 | 1 << UInt8(clamping: $1.kind) }
    }

    /// Hands over the batch's changes.
    func takeEvents() -> [ChangeEvent]? {
        defer { events = [] }
        return events
    }

    /// A header at a revision (G4).
    func header(revision: Int64) -> ResponseHeader {
        ResponseHeader(
            clusterID: identity.clusterID, memberID: answeringMember, revision: revision,
            raftTerm: term)
    }

    /// The revision an answer inside a transaction shows: one more as soon as something changed (T2).
    var visibleRevision: Int64 { keys.hasChanges ? keys.nextRevision : keys.revision }

    /// Carries out one request that changes the store, or reads it in the order of the log.
    ///
    /// Whether its caller may ask for it comes first: who may not write causes no alarm either.
    func execute(
        _ body: ReplicaRequest.Body, by authority: Authority = .nobody
    ) throws(RequestFailure) -> Execution {
        defer {
            hasChangedKeys = keys.hasChanges
            keys.finishRequest()
        }
        if auth.isEnabled { try authorize(body, by: authority) }
        switch body {
        case .put(let request): return .answer(try put(request))
        case .deleteRange(let request): return .answer(try deleteRange(request))
        case .txn(let request): return .answer(try txn(request))
        case .compact(let request): return try compact(request)
        case .leaseGrant(let request): return .answer(try grant(request))
        case .leaseRevoke(let request): return .answer(try revoke(request))
        case .alarm(let request): return .answer(try alarm(request))
        case .memberAdd(let request, let nonce): return try addMember(request, nonce: nonce)
        case .memberRemove(let request): return try removeMember(request)
        case .memberUpdate(let request): return try updateMember(request)
        case .memberPromote(let request): return try promoteMember(request)
        case .publishMember(let request): return try publishMember(request)
        case .memberReplace(let request, let nonce):
            return try replaceMember(request, nonce: nonce)
        case .auth(let command): return .answer(try change(command))
        case .leaseKeepAlive, .leaseTimeToLive, .leaseLeases, .moveLeader, .loginUsed, .readIndex,
            .subscribe:
            preconditionFailure("\(body) does not go through the log")
        }
    }
}

/// Picks ids for leases whose client left the choice to the server (L1).
struct LeaseIDGenerator: Sendable {
    private var generator: SeededGenerator

    /// - Parameter seed: differs between starts and members, so that ids do.
    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    /// A positive number, well spread.
    mutating func next() -> Int64 {
        max(1, Int64(generator.next() & UInt64(Int64.max)))
    }
}
