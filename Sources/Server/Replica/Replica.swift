// Replica.swift: Raft and Storage in the one loop that decides.
// Belongs here: the loop's state and its inputs. Elsewhere: +Batch (requests into an entry), +Effects (what Raft
// asks for), +Lease, +Background. Never here: threads, clocks, sockets (Runtime/), which hand in ticks and requests.
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
    /// Says something an operator should read.
    func report(_ event: ReplicaEvent)
}

/// What the replica tells operators.
enum ReplicaEvent: Equatable, Sendable {
    /// This member leads.
    case becameLeader(term: UInt64)
    /// The published state may be read.
    case readable
    /// A request met an error of the store; it was refused, and so was its batch.
    case requestFailed(StorageError)
    /// The store cannot go on; the process has to stop.
    case stopped(StorageError)
    /// A compaction has removed its last row.
    case compacted(revision: Int64)
    /// The disk is full, or has space again.
    case diskFull(Bool)
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
    /// Seeds election jitter and lease ids; differs between starts.
    var seed: UInt64 = 0
    /// This member, as it is published at the start (K9).
    var member: MemberRow
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
    /// Requests that wait for a place in a batch, oldest first; consumed from `backlogStart`.
    var backlog: [ReplicaRequest] = []
    var backlogStart = 0
    /// Batches that wait for their commit, oldest first.
    var inFlight: [Batch] = []
    /// Saves the log has been asked for, oldest first.
    var saves: [(ticket: LogTicket, number: SaveNumber)] = []
    /// Reads that wait for an index, and those that wait for it to be applied.
    var readsAsked: [(context: ReadContext, ticket: CallTicket)] = []
    var readsWaiting: [(index: UInt64, ticket: CallTicket)] = []
    var readCounter: UInt64
    /// Which loops want events.
    var subscribers: [Bool]
    /// The store's revision as published.
    var publishedRevision: Int64 = 1
    var background: BackgroundWork
    /// Set when the store can't go on; nothing is done any more.
    private(set) var failure: StorageError?
    var now = Tick(milliseconds: 0)
    private var nextTick = Tick(milliseconds: 0)
    var space: SpaceGuard
    private var isDiskFull = false

    init(
        settings: ReplicaSettings, node: RaftNode, log: LogStore, pages: PageStore,
        space: SpaceGuard, status: SharedStatus, output: any ReplicaOutput
    ) {
        self.space = space
        self.settings = settings
        self.node = node
        self.log = log
        self.pages = pages
        self.status = status
        self.output = output
        subscribers = Array(repeating: false, count: settings.loopCount)
        readCounter = settings.seed & ~0xffff_ffff
        background = BackgroundWork(settings: settings)
    }

    // MARK: inputs

    /// Begins: a sole voter stands for election at once.
    func start(now: Tick) {
        self.now = now
        nextTick = now
        guarded { () throws(StorageError) in try perform(node.step(.tick)) }
        turn(now: now)
    }

    /// Takes requests from event loops; those that are too many are refused.
    ///
    /// - Parameter now: the time they came; a keep-alive counts from then on.
    func enqueue(_ requests: [ReplicaRequest], now: Tick) {
        self.now = max(self.now, now)
        for request in requests { accept(request) }
    }

    /// The log has saved everything up to a ticket.
    func saved(through ticket: LogTicket) {
        var count = 0
        while count < saves.count, saves[count].ticket <= ticket { count += 1 }
        guard count > 0 else { return }
        let number = saves[count - 1].number
        saves.removeFirst(count)
        guarded { () throws(StorageError) in try perform(node.step(.saved(number))) }
    }

    /// The log can't save any more: a write or a sync failed, and is never retried.
    func logFailed(_ error: StorageError) {
        stop(error)
    }

    /// Passes time on, carries out what waits, and does what is due.
    func turn(now: Tick) {
        self.now = now
        guard failure == nil else { return failBacklog() }
        guarded { () throws(StorageError) in
            while nextTick <= now {
                nextTick = nextTick.advanced(milliseconds: settings.heartbeatMilliseconds)
                // A sole leader's ticks decide nothing; skipping them keeps an idle member asleep.
                if !status.readsLocally { try perform(node.step(.tick)) }
            }
            try lookAtDisk()
            try runBatches()
        }
        status.pendingProposals = inFlight.count + backlog.count - backlogStart
    }

    private func lookAtDisk() throws(StorageError) {
        try space.look(now: now, pages: pages, log: log)
        guard space.isShort != isDiskFull else { return }
        isDiskFull = space.isShort
        background.diskChanged(isFull: isDiskFull)
        output.report(.diskFull(isDiskFull))
    }

    /// When `turn` has to be called next even if nothing comes in; nil for never.
    var nextWake: Tick? {
        guard failure == nil else { return nil }
        guard let tip else { return nextTick }
        return [
            tip.executor.leases.nextDeadline.map { max($0, background.nextLeaseCheck) },
            background.nextWake, status.readsLocally ? nil : nextTick,
            isDiskFull ? now.advanced(milliseconds: SpaceGuard.lookMilliseconds) : nil,
        ].compactMap { $0 }.min()
    }

    // MARK: requests that do not go through the log

    private func accept(_ request: ReplicaRequest) {
        guard failure == nil else { return fail(request.ticket, .stopped) }
        switch request.body {
        case .subscribe(let wants):
            let loop = Int(request.ticket.loop)
            subscribers[loop] = wants
            if wants { output.post(.subscribed(revision: publishedRevision), to: loop) }
        case .readIndex:
            readCounter += 1
            let context = ReadContext(readCounter)
            readsAsked.append((context, request.ticket))
            guarded { () throws(StorageError) in try perform(node.step(.readIndex(context))) }
        case .leaseKeepAlive, .leaseTimeToLive, .leaseLeases:
            answerLeaseQuestion(request)
        case .put, .deleteRange, .txn, .compact, .leaseGrant, .leaseRevoke, .alarm:
            guard backlog.count - backlogStart < ReplicaLimits.queuedRequestsMax else {
                return fail(request.ticket, .tooManyRequests)
            }
            backlog.append(request)
        }
    }

    func fail(_ ticket: CallTicket, _ error: EtcdError) {
        output.post(.failure(ticket, error.status), to: Int(ticket.loop))
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
        for batch in inFlight { batch.answers.forEach { fail($0.ticket, .stopped) } }
        inFlight = []
        for read in readsAsked { fail(read.ticket, .stopped) }
        for read in readsWaiting { fail(read.ticket, .stopped) }
        for waiter in background.compactionWaiters { fail(waiter.ticket, .stopped) }
        background.compactionWaiters = []
        failBacklog()
    }

    private func failBacklog() {
        for request in backlog[backlogStart...] { fail(request.ticket, .stopped) }
        backlog = []
        backlogStart = 0
    }
}
