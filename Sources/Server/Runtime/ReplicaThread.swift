// ReplicaThread.swift: the replica's thread: collects what comes in, turns the loop, hands out what it says.
// Belongs here: locking, waking, the clock. Never here: any decision (Replica).

internal import Atomics
internal import Glibc
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
    // @unchecked Sendable: `monitor` guards every var.
    private let monitor = Monitor()
    private let arrived = MonitorCondition()
    private var requests: [ReplicaRequest] = []
    private var requestBytes = 0
    private var news: [ReplicaNews] = []
    private var messageBytes = 0
    private var isStopping = false
    /// Which requests do not wake the replica.
    private var gathering = Gathering.nothing
    /// Whether a request waits that does wake it.
    private var isUrgent = false

    /// Takes requests of one event loop; false, and none is taken, if too many wait.
    func add(_ batch: inout [ReplicaRequest]) -> Bool {
        let bytes = batch.reduce(0) { $0 + $1.byteCount }
        let isForReadsOnly = batch.allSatisfy {
            if case .readIndex = $0.body { true } else { false }
        }
        monitor.lock()
        let isFull =
            requests.count + batch.count > ReplicaLimits.queuedRequestsMax
            || requestBytes + bytes > ReplicaLimits.queuedBytesMax
        guard !isFull || requests.isEmpty else {
            monitor.unlock()
            return false
        }
        if requests.isEmpty {
            swap(&requests, &batch)
        } else {
            requests.append(contentsOf: batch)
        }
        requestBytes += bytes
        let wakes = !gathering.holds(isForReadsOnly: isForReadsOnly)
        if wakes { isUrgent = true }
        monitor.unlock()
        // Afterwards: the thread must not wake only to wait for the monitor.
        if wakes { arrived.signal() }
        return true
    }

    /// Adds a message of another member; it is dropped if too many bytes wait, and will be sent again.
    func add(_ message: Message, byteCount: Int) {
        monitor.lock()
        defer { monitor.unlock() }
        guard messageBytes == 0 || messageBytes + byteCount <= ReplicaLimits.messageBytesMax else {
            return
        }
        messageBytes += byteCount
        news.append(.message(message))
        arrived.signal()
    }

    func add(_ item: ReplicaNews) {
        monitor.lock()
        news.append(item)
        monitor.unlock()
        arrived.signal()
    }

    func stop() {
        monitor.lock()
        defer { monitor.unlock() }
        isStopping = true
        arrived.signal()
    }

    /// Waits until something came or `wake` has passed; false when the thread has to end.
    ///
    /// The arrays given are handed over empty and come back full: two buffers take turns.
    ///
    /// - Parameter gathering: requests that wait for news, which the caller knows will come.
    func wait(
        until wake: Tick?, gathering: Gathering, _ requests: inout [ReplicaRequest],
        _ news: inout [ReplicaNews]
    ) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        self.gathering = gathering
        // What came during the turn is judged by what that turn led to.
        isUrgent = self.requests.contains { request in
            if case .readIndex = request.body {
                return !gathering.holds(isForReadsOnly: true)
            }
            return !gathering.holds(isForReadsOnly: false)
        }
        while !isUrgent, self.news.isEmpty, !isStopping {
            guard let wake else {
                arrived.wait(monitor)
                continue
            }
            guard MonotonicClock.now < wake else { break }
            arrived.wait(monitor, untilNanoseconds: wake.milliseconds * 1_000_000)
        }
        swap(&self.requests, &requests)
        swap(&self.news, &news)
        requestBytes = 0
        messageBytes = 0
        return !isStopping
    }
}

/// Runs the replica until stopped.
final class ReplicaThread: @unchecked Sendable {
    // @unchecked Sendable: `replica` is touched by this thread alone once started; `thread` by the owner.
    private let replica: Replica
    private let inbox: ReplicaInbox
    private let dispatcher: LoopDispatcher
    private var thread: SystemThread?

    init(replica: Replica, inbox: ReplicaInbox, dispatcher: LoopDispatcher) {
        self.replica = replica
        self.inbox = inbox
        self.dispatcher = dispatcher
    }

    func start() {
        thread = SystemThread { [self] in run() }
    }

    /// Ends the thread after what is in hand.
    func stop() {
        inbox.stop()
        thread?.join()
        thread = nil
    }

    private func run() {
        replica.start(now: MonotonicClock.now)
        dispatcher.flush()
        var requests: [ReplicaRequest] = []
        var news: [ReplicaNews] = []
        while inbox.wait(
            until: replica.nextWake, gathering: replica.gathering, &requests, &news)
        {
            let now = MonotonicClock.now
            replica.begin(now: now)
            for item in news { replica.take(item, now: now) }
            replica.enqueue(requests, now: now)
            replica.turn(now: now)
            dispatcher.flush()
            requests.removeAll(keepingCapacity: true)
            news.removeAll(keepingCapacity: true)
        }
    }
}

/// A thread that runs one piece of code.
///
/// Its memory is given back when it was waited for, or when nobody can wait for it any more.
final class SystemThread: @unchecked Sendable {
    // @unchecked Sendable: `handle` is written once in the initialiser.
    private let handle: pthread_t
    private let isJoined = ManagedAtomic(false)

    private final class Body: Sendable {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) {
            self.run = run
        }
    }

    init(_ run: @escaping @Sendable () -> Void) {
        var handle = pthread_t()
        let body = Unmanaged.passRetained(Body(run)).toOpaque()
        let code = pthread_create(
            &handle, nil,
            { raw in
                guard let raw else { return nil }
                Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run()
                return nil
            }, body)
        precondition(code == 0, "pthread_create: \(code)")
        self.handle = handle
    }

    /// Waits until it has ended; only the first to ask does.
    func join() {
        guard !isJoined.exchange(true, ordering: .relaxed) else { return }
        pthread_join(handle, nil)
    }

    deinit {
        if !isJoined.load(ordering: .relaxed) { pthread_detach(handle) }
    }
}
