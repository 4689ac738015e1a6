// ReplicaLoop.swift: the replica's event loop: collects what comes in, turns the replica, hands out what it says.
// Belongs here: locking, waking, the clock. Never here: any decision (Replica).
// The loop is that of the connections between members: what one of them says is read, decided on and answered
// by one wake-up of one thread. Waking costs more than most of what is done then.

internal import Glibc
internal import NIOCore
internal import Raft
internal import Storage

/// Milliseconds of the system's monotonic clock.
enum MonotonicClock {
    static var now: Tick {
        Tick(milliseconds: nanoseconds / 1_000_000)
    }

    static var nanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// What reaches the replica from other threads than the event loops.
enum ReplicaNews: Sendable {
    case saved(LogTicket)
    case logFailed(StorageError)
    /// The log begins with this entry now.
    case logReleased(before: UInt64)
    /// What another member's core says.
    case message(Message)
    /// The leader's answers to what was forwarded.
    case answers([ForwardedAnswer])
    /// A connection for a member's messages broke.
    case disconnected(UInt64)
    /// The connection for requests to a member stands, broke, or did not take these requests.
    case forwardReady
    case forwardLost(UInt64)
    case forwardRefused([UInt64])
    /// The other founders are founding too.
    case confirmed
    /// Reading found something of the database damaged.
    case damaged(StorageError)
    /// The process is about to stop: somebody else should lead.
    case leave
}

extension Replica {
    /// Takes one piece of news.
    func take(_ item: ReplicaNews, now: Tick) {
        self.now = max(self.now, now)
        switch item {
        case .saved(let ticket): saved(through: ticket)
        case .logFailed(let error): logFailed(error)
        case .logReleased(let first): logReleased(before: first)
        case .message(let message): received(message)
        case .answers(let answers): answers.forEach(answered)
        case .disconnected(let member): disconnected(member)
        case .forwardReady: forwardReady()
        case .forwardLost(let member): forwardLost(to: member)
        case .forwardRefused(let sequences): forwardRefused(sequences)
        case .damaged(let error):
            if let damage = Damage(error) { found(damage, because: error) }
        case .confirmed: confirmed()
        case .leave: handOverToBest(reason: "this member is about to stop")
        }
    }
}

/// Requests and news on their way to the replica; bounded.
final class ReplicaInbox: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var but `wake`, which is written before anything comes.
    private let monitor = Monitor()
    /// Has the replica turned once more.
    private var wake: @Sendable () -> Void = {}
    private var requests: [ReplicaRequest] = []
    private var requestBytes = 0
    private var news: [ReplicaNews] = []
    private var messageBytes = 0
    /// A turn is under way or will come: nobody need ask for one.
    private var isTurning = false
    /// Which requests do not wake the replica.
    private var gathering = Gathering.nothing

    /// Names what has the replica turned; before anything is added.
    func setWake(_ wake: @escaping @Sendable () -> Void) {
        self.wake = wake
    }

    /// Takes requests of one event loop, or of a member; those that are too many stay in `batch`.
    func add(_ batch: inout [ReplicaRequest]) {
        let bytes = batch.reduce(0) { $0 + $1.cost }
        let isForReadsOnly = batch.allSatisfy(\.isReadIndex)
        monitor.lock()
        let isFull =
            requests.count + batch.count > ReplicaLimits.queuedRequestsMax
            || requestBytes + bytes > ReplicaLimits.queuedBytesMax
        if isFull {
            batch.removeAll { request in
                let isTaken = Admission.admits(
                    request, count: requests.count, bytes: requestBytes)
                guard isTaken else { return false }
                requests.append(request)
                requestBytes += request.cost
                return true
            }
        } else {
            if requests.isEmpty {
                swap(&requests, &batch)
            } else {
                requests.append(contentsOf: batch)
                batch.removeAll(keepingCapacity: true)
            }
            requestBytes += bytes
        }
        unlockAndWake(
            unless: gathering.holds(requests.count, isForReadsOnly: isForReadsOnly))
    }

    /// Adds a message of another member; it is dropped if too many bytes wait, and will be sent again.
    func add(_ message: Message, byteCount: Int) {
        monitor.lock()
        guard messageBytes == 0 || messageBytes + byteCount <= ReplicaLimits.messageBytesMax else {
            return monitor.unlock()
        }
        messageBytes += byteCount
        news.append(.message(message))
        unlockAndWake()
    }

    func add(_ item: ReplicaNews) {
        monitor.lock()
        news.append(item)
        unlockAndWake()
    }

    /// Gives the monitor up, and has the replica turned unless it does so anyway.
    private func unlockAndWake(unless isHeld: Bool = false) {
        let wakes = !isHeld && !isTurning
        if wakes { isTurning = true }
        monitor.unlock()
        if wakes { wake() }
    }

    /// Begins a turn: takes everything that came.
    ///
    /// The arrays given are handed over empty and come back full: two buffers take turns.
    func take(_ requests: inout [ReplicaRequest], _ news: inout [ReplicaNews]) {
        monitor.lock()
        isTurning = true
        swap(&self.requests, &requests)
        swap(&self.news, &news)
        requestBytes = 0
        messageBytes = 0
        monitor.unlock()
    }

    /// Ends a turn; true if another has to follow at once.
    ///
    /// - Parameter gathering: requests that wait for news, which the caller knows will come. What came
    ///   during the turn is judged by it too.
    func endTurn(gathering: Gathering) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        self.gathering = gathering
        isTurning =
            !news.isEmpty
            || requests.contains {
                !gathering.holds(requests.count, isForReadsOnly: $0.isReadIndex)
            }
        return isTurning
    }
}

/// The time of day.
enum WallClock {
    static var secondsSince1970: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec)
    }
}

/// Runs the replica on an event loop until stopped.
final class ReplicaLoop: @unchecked Sendable {
    // @unchecked Sendable: everything but the constants is touched on `loop` alone.
    private let replica: Replica
    private let inbox: ReplicaInbox
    private let dispatcher: LoopDispatcher
    private let loop: any EventLoop
    private var slowTurns: SlowTurns
    private var requests: [ReplicaRequest] = []
    private var news: [ReplicaNews] = []
    private var timer: Scheduled<Void>?
    /// When `timer` fires.
    private var armed = Tick(milliseconds: .max)
    private var isStopped = false

    init(
        replica: Replica, inbox: ReplicaInbox, dispatcher: LoopDispatcher, slowTurns: SlowTurns,
        loop: any EventLoop
    ) {
        self.replica = replica
        self.inbox = inbox
        self.dispatcher = dispatcher
        self.slowTurns = slowTurns
        self.loop = loop
    }

    /// Begins; what was added before waits for it.
    func start() {
        loop.execute { [self] in
            replica.start(now: MonotonicClock.now)
            dispatcher.flush()
            turn()
        }
    }

    /// Ends it after what is in hand; from another thread.
    func stop() {
        do {
            try loop.submit { [self] in
                isStopped = true
                timer?.cancel()
                timer = nil
            }.wait()
        } catch {
            preconditionFailure("the loop ended before its replica: \(error)")
        }
    }

    /// What `ReplicaInbox` calls when something came.
    func wake() {
        loop.execute { [self] in turn() }
    }

    private func turn() {
        guard !isStopped else { return }
        inbox.take(&requests, &news)
        let now = MonotonicClock.now
        dispatcher.meter.woke(due: replica.nextWake, now: now, isLeading: replica.isLeading)
        replica.begin(now: now)
        for item in news { replica.take(item, now: now) }
        replica.enqueue(requests, now: now)
        replica.turn(now: now)
        dispatcher.flush()
        slowTurns.look(since: now, requests: requests)
        requests.removeAll(keepingCapacity: true)
        news.removeAll(keepingCapacity: true)
        // The connections have their turn in between.
        if inbox.endTurn(gathering: replica.gathering) { return wake() }
        arm()
    }

    /// Sees to it that time passes if nothing comes.
    ///
    /// A timer that would fire early stays: mostly the moment moves on with every message that comes.
    private func arm() {
        guard let moment = replica.nextWake, moment < armed else { return }
        timer?.cancel()
        armed = moment
        timer = loop.scheduleTask(
            deadline: .uptimeNanoseconds(moment.milliseconds * 1_000_000)
        ) { [self] in
            armed = Tick(milliseconds: .max)
            guard let moment = replica.nextWake, MonotonicClock.now < moment else {
                return turn()
            }
            arm()
        }
    }
}
