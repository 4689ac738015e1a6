// BackgroundWork.swift: what a leader does on its own: expiring leases, compacting, giving space back.
// Belongs here: when, and how much at once. Never here: how (Executor, Compactor).
// Source: etcd semantics C4, C6, L6, L11; design section 5 (small paced transactions).

internal import Storage

/// The part of the background work that goes into one batch.
struct DueWork {
    var expired: [Int64] = []
    /// Logins that nobody has used for too long, by digest.
    var endedLogins: [[UInt8]] = []
    var checkpoints: [(id: Int64, remaining: Int64)] = []
    /// Answers that wait for the checkpoints.
    var renewed: [Batch.Answer] = []
    var compactTo: Int64?
    var compacts = false
    var givesBack = false
    /// Raise, or clear, the alarm that the disk is full.
    var diskAlarm: Bool?
    /// Clear the alarm that the quota raised.
    var clearsQuotaAlarm = false
    /// Raise the alarm that this member's data is damaged.
    var raisesCorrupt = false

    var isEmpty: Bool {
        expired.isEmpty && endedLogins.isEmpty && checkpoints.isEmpty && renewed.isEmpty
            && compactTo == nil && !compacts && !givesBack && diskAlarm == nil
            && !clearsQuotaAlarm && !raisesCorrupt
    }
}

/// The timetable of a leader's own work; part of the replica loop.
struct BackgroundWork {
    /// Answers that wait until rows are removed (C4).
    var compactionWaiters: [Batch.Answer] = []
    private(set) var nextLeaseCheck = Tick(milliseconds: 0)
    private(set) var nextLoginCheck = Tick(milliseconds: 0)
    private var nextLeaseCheckpoint = Tick(milliseconds: 0)
    private var urgentCheckpoints: [Int64] = []
    /// Answers that leave with the checkpoints above.
    private var renewalWaiters: [Batch.Answer] = []
    private var nextCompactionStep: Tick?
    private var nextGiveBack: Tick?
    private var autoCompactor: AutoCompactor
    private let stepLimit: Int
    private let sleepMilliseconds: UInt64
    private var isLeading = false
    private var diskAlarm: Bool?
    private var corruptAlarm = CorruptAlarm.none
    /// Nothing is due before this.
    private var pausedUntil = Tick(milliseconds: 0)

    /// Damage that nobody can repair is told once; the alarm stays until an operator ends it.
    private enum CorruptAlarm {
        case none, due, raised
    }

    init(settings: ReplicaSettings) {
        autoCompactor = AutoCompactor(settings.autoCompaction)
        stepLimit = settings.compactionBatchLimit
        sleepMilliseconds = settings.compactionSleepMilliseconds
    }

    /// This member leads from now on.
    mutating func leading(isCompacting: Bool, compacted: Int64, now: Tick) {
        isLeading = true
        nextCompactionStep = isCompacting ? now : nil
        nextGiveBack = now
        nextLeaseCheckpoint = now.advanced(
            milliseconds: ReplicaLimits.leaseCheckpointMilliseconds)
        autoCompactor.start(now: now)
    }

    /// Another member leads from now on, or nobody; returns the answers that will not come.
    mutating func followed() -> [Batch.Answer] {
        defer { (compactionWaiters, renewalWaiters) = ([], []) }
        isLeading = false
        urgentCheckpoints = []
        nextCompactionStep = nil
        nextGiveBack = nil
        return compactionWaiters + renewalWaiters
    }

    /// Writes a renewed lease down as full again (L11), and then answers.
    mutating func checkpointSoon(_ id: Int64, answering answer: Batch.Answer) {
        urgentCheckpoints.append(id)
        renewalWaiters.append(answer)
    }

    /// The disk is full, or has space again: the alarm follows.
    mutating func diskChanged(isFull: Bool) {
        diskAlarm = isFull
    }

    /// This member's data is damaged and there is no healthy copy.
    mutating func raiseCorrupt() {
        if corruptAlarm == .none { corruptAlarm = .due }
    }

    /// When there will be something to do, leases apart.
    var nextWake: Tick? {
        guard isLeading else { return nil }
        var wake = Earliest()
        wake.add(nextCompactionStep)
        wake.add(nextGiveBack)
        wake.add(autoCompactor.nextDue)
        wake.add(nextLeaseCheckpoint)
        return wake.tick.map { max($0, pausedUntil) }
    }

    /// Takes what is due now.
    mutating func takeDue(now: Tick, executor: Executor, bytesInUse: Int64) -> DueWork {
        var due = DueWork()
        guard now >= pausedUntil else { return due }
        due.clearsQuotaAlarm = executor.isQuotaAlarmOver(bytesInUse: bytesInUse)
        if nextLeaseCheck <= now, let deadline = executor.leases.nextDeadline, deadline <= now {
            due.expired = executor.leases.expired(
                now: now, limit: ReplicaLimits.expiredLeasesPerBatchMax)
            nextLeaseCheck = now.advanced(milliseconds: ReplicaLimits.leaseCheckMilliseconds)
        }
        if nextLoginCheck <= now, let deadline = executor.logins.nextDeadline, deadline <= now {
            due.endedLogins = executor.logins.expired(
                now: now, limit: AuthLimits.expiredLoginsPerBatchMax)
            nextLoginCheck = now.advanced(milliseconds: ReplicaLimits.leaseCheckMilliseconds)
        }
        if !urgentCheckpoints.isEmpty || nextLeaseCheckpoint <= now {
            due.checkpoints = takeCheckpoints(now: now, leases: &executor.leases)
            swap(&due.renewed, &renewalWaiters)
        }
        if let step = nextCompactionStep, step <= now {
            due.compacts = true
            nextCompactionStep = nil
        }
        if let tick = nextGiveBack, tick <= now {
            due.givesBack = true
            nextGiveBack = nil
        }
        if corruptAlarm == .due {
            due.raisesCorrupt = true
            corruptAlarm = .raised
        }
        due.diskAlarm = diskAlarm
        diskAlarm = nil
        due.compactTo = autoCompactor.due(
            now: now, revision: executor.keys.revision, compacted: executor.compacted)
        return due
    }

    /// A batch with this work came to nothing: it is due again, but not at once, for it may fail again.
    mutating func failed(_ due: DueWork, now: Tick) {
        guard !due.isEmpty else { return }
        pausedUntil = now.advanced(milliseconds: ReplicaLimits.failedWorkPauseMilliseconds)
        nextLeaseCheck = max(nextLeaseCheck, pausedUntil)
        if due.raisesCorrupt { corruptAlarm = .due }
        if diskAlarm == nil { diskAlarm = due.diskAlarm }
    }

    private mutating func takeCheckpoints(
        now: Tick, leases: inout LeaseClock
    ) -> [(id: Int64, remaining: Int64)] {
        var ids = urgentCheckpoints
        urgentCheckpoints = []
        if nextLeaseCheckpoint <= now {
            nextLeaseCheckpoint = now.advanced(
                milliseconds: ReplicaLimits.leaseCheckpointMilliseconds)
            ids += leases.bySoonestExpiry()
                .filter { $0.timeToLive > ReplicaLimits.leaseCheckpointTTLMin }
                .prefix(ReplicaLimits.leaseCheckpointsPerBatchMax).map { $0.id }
        }
        var checkpoints: [(id: Int64, remaining: Int64)] = []
        for id in ids {
            // A renewal from here on comes by the replica, which writes it down.
            leases.settle(id)
            guard let lease = leases[id] else { continue }
            checkpoints.append((id, Int64(lease.deadline.since(now) / 1000)))
        }
        return checkpoints
    }

    /// Does what was due, inside the batch's transaction.
    mutating func run(
        _ due: DueWork, on executor: Executor, answers: inout [Batch.Answer],
        output: any ReplicaOutput
    ) throws(RequestFailure) {
        for id in due.expired { try executor.expire(id) }
        if !due.endedLogins.isEmpty { try executor.endLogins(due.endedLogins) }
        if !due.expired.isEmpty { output.note(.expiredLeases(due.expired.count)) }
        answers += due.renewed
        for item in due.checkpoints { try executor.checkpoint(item.id, remaining: item.remaining) }
        if due.raisesCorrupt { try executor.raiseCorrupt() }
        if let isFull = due.diskAlarm {
            try isFull ? executor.raiseNoSpace(.disk) : executor.clearNoSpace(.disk)
        }
        if due.clearsQuotaAlarm { try executor.clearNoSpace(.quota) }
        if let revision = due.compactTo {
            try executor.beginCompaction(at: revision)
        }
        if due.compacts { try compact(on: executor, answers: &answers, output: output) }
        if due.givesBack { try giveBack(on: executor) }
        guard executor.takeNewCompaction() else { return }
        nextCompactionStep = executor.now
        output.note(.compacting)
    }

    private mutating func compact(
        on executor: Executor, answers: inout [Batch.Answer], output: any ReplicaOutput
    ) throws(RequestFailure) {
        let isMore = try storing { () throws(StorageError) in
            try executor.compactor.step(limit: stepLimit)
        }
        if isMore {
            nextCompactionStep = executor.now.advanced(milliseconds: sleepMilliseconds)
            return
        }
        answers += compactionWaiters
        compactionWaiters = []
        nextGiveBack = executor.now
        output.report(.compacted(revision: executor.compacted))
    }

    private mutating func giveBack(on executor: Executor) throws(RequestFailure) {
        let isMore = try storing { () throws(StorageError) -> Bool in
            let free = try executor.compactor.freePages()
            let kept = try max(
                ReplicaLimits.freePagesKept,
                executor.compactor.pages() / ReplicaLimits.freePagesKeptDivisor)
            guard free > kept else { return false }
            try executor.compactor.giveBack(pages: ReplicaLimits.pagesGivenBackPerStep)
            return true
        }
        if isMore {
            nextGiveBack = executor.now.advanced(milliseconds: sleepMilliseconds)
        }
    }
}
