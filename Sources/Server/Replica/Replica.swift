// Replica.swift: Raft and Storage in the one loop that decides.
// Belongs here: the loop's state and its inputs. Elsewhere: +Batch (requests into an entry), +Effects (what Raft
// asks for), +Apply (committed entries), +Forward (requests for the leader), +Reads, +Membership, +Lease.
// Never here: threads, clocks, sockets (Runtime/), which hand in ticks, requests and messages.
// Source: design section 3.
//
//   request --> backlog --(window)--> batch: SQLite transaction on the tip --> entry --> Raft --> log
//   saved, commit --> pages published --> events to watches --> answers to callers
//
// Invariants: published <= committed <= tip; answers leave only after the commit of the batch they belong to, and
// after every batch before it; nothing runs in a transaction between two inputs.

internal import Raft
internal import Storage

/// Where the replica's messages go; posted messages reach each loop in order.
protocol ReplicaOutput: AnyObject {
    /// Hands a message to an event loop.
    func post(_ message: LoopMessage, to loop: Int)
    /// Bytes of events handed to a loop and not yet taken.
    func eventBytesWaiting(on loop: Int) -> Int
    /// Sends a message of the consensus core; it may be lost, and may not be delayed by other traffic.
    func send(_ message: Message)
    /// Passes requests on to the leader, in order; what can't be sent comes back by `forwardRefused`.
    func forward(_ requests: [ForwardedRequest], to member: UInt64)
    /// Answers what another member forwarded.
    func answer(_ answer: ForwardedAnswer, to member: UInt64)
    /// Answers a member that is about to join.
    func answer(_ content: ForwardedAnswer.Content, toNewcomer number: UInt64)
    /// Begins to fetch what is damaged from a member; false if that is under way, or was tried a moment ago.
    func repair(_ damage: Damage, from member: UInt64) -> Bool
    /// Begins to fetch a snapshot from a member, unless one is being fetched.
    func fetchSnapshot(from member: UInt64)
    /// Says something an operator should read.
    func report(_ event: ReplicaEvent)
    /// Says what it does, for whoever measures it.
    func note(_ activity: ReplicaActivity)
}

extension ReplicaOutput {
    /// Nobody measures.
    func note(_ activity: ReplicaActivity) {}
}

/// What the replica does, for its metrics.
enum ReplicaActivity: Sendable {
    /// A request is about to be carried out.
    case executing
    /// It was, or it was refused.
    case executed(ApplyOperation, succeeded: Bool)
    /// Leases have ended by themselves.
    case expiredLeases(Int)
    /// A compaction begins to remove rows.
    case compacting
}

/// Settings of the replica.
struct ReplicaSettings: Sendable {
    var identity: Identity
    var executor = ExecutorSettings()
    var electionTimeoutMilliseconds: UInt64 = 1000
    var heartbeatMilliseconds: UInt64 = 100
    var autoCompaction = AutoCompaction.off
    var compactionBatchLimit = 1000
    var compactionSleepMilliseconds: UInt64 = 10
    var loopCount = 1
    /// Bytes of entries in one message to a member.
    var appendBytesMax = Raft.Limits().appendBytesMax
    /// How long requests are kept that wait for a leader (G8).
    var requestTimeoutMilliseconds: UInt64 = 7000
    /// Seeds election jitter and lease ids; differs between starts.
    var seed: UInt64 = 0
    /// This member, as it is published at the start (K9).
    var member: MemberRow
    /// A founder without data, which must not vote before it knows that the others found the cluster too.
    var isUnconfirmedFounder = false
    /// `--martlet-auto-promote`.
    var promotesLearners = false
    /// All members of a cluster that begins; the first leader writes them down.
    var founders: [MemberRow] = []

    /// The core's clock: finer than heartbeats, so that timeouts drawn at random differ.
    var tickMilliseconds: UInt64 { max(1, heartbeatMilliseconds / UInt64(Self.ticksPerHeartbeat)) }
    static let ticksPerHeartbeat = 4
}

/// Requests that need not wake the replica.
enum Gathering {
    case nothing
    /// Questions for a read index, as long as there are so few: one is under way, or they are about to share the
    /// next.
    case reads(below: Int)
    case everything

    /// - Parameter count: requests that wait.
    func holds(_ count: Int, isForReadsOnly: Bool) -> Bool {
        switch self {
        case .nothing: false
        case .reads(let limit): isForReadsOnly && count < limit
        case .everything: true
        }
    }
}

/// A save that the log was asked for.
struct Save {
    let ticket: LogTicket
    let number: SaveNumber
    /// The size of its entries.
    let byteCount: Int
    let asked: Tick
}

/// Leadership on its way to another member.
struct Handover {
    /// Who waits for it.
    let origin: RequestOrigin
    let target: UInt64
    let began: Tick
}

/// One member: its part in the agreement, its store, and the requests between them.
///
/// Confined to the replica loop: one thread, or the simulator.
final class Replica {
    let settings: ReplicaSettings
    let log: LogStore
    let pages: PageStore
    let status: SharedStatus
    let output: any ReplicaOutput
    var node: RaftNode

    /// The writer and what runs on it; only while this member leads.
    var tip: Tip?
    /// Requests that wait for a place in a batch, or for the way to the leader.
    var backlog = RequestQueue()
    /// Batches that wait for their commit, oldest first.
    var inFlight: [Batch] = []
    /// Saves the log has been asked for, oldest first.
    var saves: [Save] = []
    /// Messages that wait for a save, oldest first.
    var held: [(number: SaveNumber, messages: [Message])] = []
    /// Entries that members lack and the log's disk does not have yet; one request a member at most.
    var lateLoads: [EntriesRequest] = []
    var reads: ReadRequests
    var forwards: ForwardTable
    /// Batches of a leadership that ended, whose fate the log will show; oldest first.
    var orphans: [Batch] = []
    /// Changes of the members that wait for the one before them.
    var postponed: [ReplicaRequest] = []
    /// The members as published; meaningless before `knowsMembers`.
    var members: [MemberRow] = []
    var knowsMembers = false
    /// The members as published have another name or other URLs of this one.
    var isWrongInTable = false
    /// This member is none any more, and has said so.
    var isRemoved = false
    /// This member's name and URLs are on their way into the table.
    var isPublishing = false
    /// Takes no part in elections, nor in anything that others send.
    private var isHeldBack: Bool
    /// What of the database is known to be wrong, until the process begins anew with a good one.
    var damage: Damage?
    /// How often another member was asked for good copies since this process began.
    var repairAttempts = 0
    /// Nothing is applied any more: what would be built on is damaged.
    var isStalled = false
    var nextRepair = Tick(milliseconds: 0)
    /// Members that this leader hears, and since when.
    var contacts: [(member: UInt64, since: Tick)] = []
    /// When a leader looks at the other members next.
    var nextLook = Tick(milliseconds: 0)
    /// Where the entry stands that opened this member's term as leader.
    var termStart = LogIndex.zero
    var handover: Handover?
    /// Whom this member handed leadership to of its own accord, the latest last.
    var successors: [MemberID] = []
    /// The committed state, for what this member reads itself.
    let store: LoopStore
    /// Which loops want events.
    var subscribers: [Bool]
    /// The store's revision as published.
    var publishedRevision: Int64 = 1
    var background: BackgroundWork
    /// Set when the store can't go on; nothing is done any more.
    private(set) var failure: StorageError?
    var now = Tick(milliseconds: 0)
    var nextTick = Tick(milliseconds: 0)
    var space: SpaceGuard
    var isDiskFull = false
    /// When the last batch was begun.
    var lastBatch = Tick(milliseconds: 0)
    /// Whether operators were told that the quota is near.
    var isQuotaNear = false

    init(
        settings: ReplicaSettings, node: RaftNode, log: LogStore, pages: PageStore,
        space: SpaceGuard, status: SharedStatus, output: any ReplicaOutput
    ) {
        self.space = space
        self.settings = settings
        isHeldBack = settings.isUnconfirmedFounder
        self.node = node
        self.log = log
        self.pages = pages
        self.status = status
        self.output = output
        subscribers = Array(repeating: false, count: settings.loopCount)
        reads = ReadRequests(seed: settings.seed)
        forwards = ForwardTable(seed: settings.seed)
        store = LoopStore(pages: pages) { _ in }
        background = BackgroundWork(settings: settings)
    }

    // MARK: inputs

    /// Begins: a sole voter stands for election at once.
    func start(now: Tick) {
        self.now = now
        nextTick = now
        // The first read of all: once it may be served, so may everybody's.
        reads.add(.reader(.replica))
        guarded { () throws(StorageError) in
            try noteRestored()
            if !isHeldBack { try perform(node.step(.tick)) }
        }
        turn(now: now)
    }

    /// Takes requests from event loops and from other members; those that are too many are refused.
    ///
    /// - Parameter now: the time they came; a keep-alive counts from then on.
    func enqueue(_ requests: [ReplicaRequest], now: Tick) {
        self.now = max(self.now, now)
        let isQueuedWhole =
            failure == nil && tip != nil && backlog.isEmpty
            && requests.count <= ReplicaLimits.queuedRequestsMax
            && requests.allSatisfy { $0.body.isLogged }
        if isQueuedWhole {
            for request in requests where request.sent.round > 0 {
                if case .member(let member, _) = request.origin {
                    acknowledged(by: member, request.sent)
                }
            }
            backlog.fill(with: requests)
        } else {
            for request in requests { accept(request) }
        }
    }

    /// A message of another member's core came.
    func received(_ message: Message) {
        guard !isHeldBack else { return }
        // Entries that can't be written down are as good as lost: the leader sends them again.
        if case .append(_, let entries, _) = message.body, !hasRoom(for: entries) { return }
        if case .readIndexRequest = message.body { reads.asked(now: now) }
        guarded { () throws(StorageError) in try perform(node.step(.received(message))) }
    }

    /// A quorum of founders is known: this one may take part.
    func confirmed() { isHeldBack = false }

    /// The connection that carries a member's messages broke: a hint that it is gone.
    func disconnected(_ member: UInt64) {
        // A membership change must not count on it for as long as the core does.
        contacts.removeAll { $0.member == member }
        guarded { () throws(StorageError) in
            try perform(node.step(.peerDisconnected(MemberID(member))))
        }
    }

    /// The log has saved everything up to a ticket.
    func saved(through ticket: LogTicket) {
        var count = 0
        while count < saves.count, saves[count].ticket <= ticket { count += 1 }
        guard count > 0 else { return }
        let number = saves[count - 1].number
        saves.removeFirst(count)
        release(through: number)
        guarded { () throws(StorageError) in try perform(node.step(.saved(number))) }
    }

    /// The log can't save any more: a write or a sync failed, and is never retried.
    func logFailed(_ error: StorageError) {
        stop(error)
    }

    /// The log on disk begins later than before.
    func logReleased(before first: UInt64) {
        guard first > 1, LogIndex(first - 1) <= node.applied else { return }
        guarded { () throws(StorageError) in
            try perform(node.step(.compacted(through: LogIndex(first - 1))))
        }
    }

    /// Passes time on, carries out what waits, and does what is due.
    func turn(now: Tick) {
        self.now = now
        guard failure == nil else { return failBacklog() }
        guarded { () throws(StorageError) in
            try passTime()
            try loadLate()
            try lookAtDisk()
            try lookAtLeadership()
            lookForDamage()
            repair()
            if tip == nil {
                forwardBacklog()
            } else if node.transferTarget == nil {
                try runBatches()
            }
            try askReads()
        }
        status.pendingProposals = inFlight.count + backlog.count
    }

    /// Notes the time before anything that came is dealt with.
    ///
    /// Ticks that only count are made up for here. One that would have an effect comes after the messages that
    /// are waiting (`turn`): a heartbeat that is here already means that the leader lives.
    func begin(now: Tick) {
        self.now = max(self.now, now)
        guarded { () throws(StorageError) in
            while nextTick <= now, !isAlone, !isHeldBack, node.ticksUntilDue > 1 {
                nextTick = nextTick.advanced(milliseconds: settings.tickMilliseconds)
                try perform(node.step(.tick))
            }
        }
    }

    private func passTime() throws(StorageError) {
        // After a pause of the process what came meanwhile is heard first: one tick, not hundreds.
        if now.since(nextTick) > settings.electionTimeoutMilliseconds / 2 { nextTick = now }
        while nextTick <= now {
            nextTick = nextTick.advanced(milliseconds: settings.tickMilliseconds)
            // A sole leader's ticks decide nothing; skipping them keeps an idle member asleep.
            if !isAlone, !isHeldBack { try perform(node.step(.tick)) }
        }
    }

    /// Whether the log has room for what a leader sends, and for what follows from it.
    private func hasRoom(for entries: [Entry]) -> Bool {
        let room = log.space
        guard !entries.isEmpty, room.isFull else { return true }
        let bytes = entries.reduce(0) { $0 + $1.byteCount }
        return room.preparedBytes >= ReplicaLimits.preparedBytesMin + bytes
    }

    /// Whether there is nobody to talk to.
    var isAlone: Bool { status.readsLocally && node.membership.learners.isEmpty }

    private func lookAtDisk() throws(StorageError) {
        try space.look(now: now, pages: pages, log: log)
        guard space.isShort != isDiskFull else { return }
        isDiskFull = space.isShort
        background.diskChanged(isFull: isDiskFull)
        output.report(.diskFull(isDiskFull))
    }

    // MARK: requests

    /// Answers a request that needs no log entry, and lets others wait.
    func accept(_ request: ReplicaRequest) {
        guard failure == nil else { return fail(request.origin, .stopped) }
        if case .member(let member, _) = request.origin, request.sent.term > 0 {
            acknowledged(by: member, request.sent)
        }
        switch request.body {
        case .subscribe(let wants): subscribe(request.origin, wants)
        case .readIndex: reads.add(.reader(request.origin))
        case .moveLeader(let target): handOver(to: target, for: request.origin)
        case .leaseKeepAlive, .leaseTimeToLive, .leaseLeases:
            if tip != nil { answerLeaseQuestion(request) } else { queue(request) }
        case .loginUsed(let login):
            guard let tip else { return queue(request) }
            tip.executor.logins.renew(login.digest.array, now: now)
            deliver(.message([]), to: request.origin)
        case .put, .deleteRange, .txn, .compact, .leaseGrant, .leaseRevoke, .alarm, .memberAdd,
            .memberRemove, .memberUpdate, .memberPromote, .publishMember, .memberReplace, .auth:
            queue(request)
        }
    }

    /// Lets a request wait for a batch, or for the way to the leader.
    func queue(_ request: ReplicaRequest) {
        guard Admission.admits(request, count: backlog.count, bytes: backlog.byteCount) else {
            return fail(request.origin, .tooManyRequests)
        }
        if tip == nil, case .member = request.origin { return refuse(request.origin) }
        var request = request
        request.expires = now.advanced(milliseconds: settings.requestTimeoutMilliseconds)
        backlog.append(request)
    }

    private func subscribe(_ origin: RequestOrigin, _ wants: Bool) {
        guard case .call(let ticket) = origin else { return }
        let loop = Int(ticket.loop)
        subscribers[loop] = wants
        if wants { output.post(.subscribed(revision: publishedRevision), to: loop) }
    }

    /// Tells whoever waits how a request ended.
    func fail(_ origin: RequestOrigin, _ error: EtcdError) {
        post(Batch.Answer(origin: origin, content: .failure(error)))
    }

    /// Hands an answer out; what it rests on is published.
    func post(_ answer: Batch.Answer) {
        switch answer.content {
        case .message(let bytes): deliver(.message(bytes), to: answer.origin)
        case .failure(let error): deliver(.failure(error.status), to: answer.origin)
        }
    }

    func deliver(_ content: ForwardedAnswer.Content, to origin: RequestOrigin) {
        switch origin {
        case .call(let ticket):
            switch content {
            case .message(let bytes): output.post(.answer(ticket, bytes), to: Int(ticket.loop))
            case .failure(let status): output.post(.failure(ticket, status), to: Int(ticket.loop))
            case .notTaken: break
            }
        case .member(let member, let sequence):
            output.answer(
                ForwardedAnswer(
                    sequence: sequence, index: status.applied, content: content, sent: senderState),
                to: member)
        case .newcomer(let number): output.answer(content, toNewcomer: number)
        case .replica: isPublishing = false
        case .nobody: break
        }
    }

    // MARK: errors that end the store

    /// Runs a piece of the loop; an error that gets out of it ends the store.
    func guarded(_ body: () throws(StorageError) -> Void) {
        guard failure == nil else { return }
        do throws(StorageError) {
            try body()
        } catch {
            stop(error)
        }
    }

    private func stop(_ error: StorageError) {
        guard failure == nil else { return }
        failure = error
        status.readsLocally = false
        output.report(.stopped(error))
        for batch in orphans + inFlight { batch.answers.forEach { fail($0.origin, .stopped) } }
        (orphans, inFlight) = ([], [])
        for request in postponed { fail(request.origin, .stopped) }
        postponed = []
        for waiter in reads.removeAll() { fail(waiter.origin, .stopped) }
        for origin in forwards.removeAll() { fail(origin, .stopped) }
        for waiter in background.followed() { fail(waiter.origin, .stopped) }
        failBacklog()
    }

    private func failBacklog() {
        for request in backlog.takeAll() { fail(request.origin, .stopped) }
    }
}
