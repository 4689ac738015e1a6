// ReplicaThread.swift: the replica's thread: collects what comes in, turns the loop, hands out what it says.
// Belongs here: locking, waking, the clock. Never here: any decision (Replica).

internal import Glibc
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
}

/// Requests and news on their way to the replica; bounded.
final class ReplicaInbox: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var.
    private let monitor = Monitor()
    private let arrived = MonitorCondition()
    private var requests: [ReplicaRequest] = []
    private var requestBytes = 0
    private var news: [ReplicaNews] = []
    private var isStopping = false

    /// Adds requests of one event loop; false, and none is added, if too many wait.
    func add(_ batch: [ReplicaRequest]) -> Bool {
        let bytes = batch.reduce(0) { $0 + $1.byteCount }
        monitor.lock()
        defer { monitor.unlock() }
        let isFull =
            requests.count + batch.count > ReplicaLimits.queuedRequestsMax
            || requestBytes + bytes > ReplicaLimits.queuedBytesMax
        guard !isFull || requests.isEmpty else { return false }
        requests.append(contentsOf: batch)
        requestBytes += bytes
        arrived.signal()
        return true
    }

    func add(_ item: ReplicaNews) {
        monitor.lock()
        defer { monitor.unlock() }
        news.append(item)
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
    func wait(
        until wake: Tick?, _ requests: inout [ReplicaRequest], _ news: inout [ReplicaNews]
    ) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while self.requests.isEmpty, self.news.isEmpty, !isStopping {
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
        while inbox.wait(until: replica.nextWake, &requests, &news) {
            for item in news {
                switch item {
                case .saved(let ticket): replica.saved(through: ticket)
                case .logFailed(let error): replica.logFailed(error)
                }
            }
            let now = MonotonicClock.now
            replica.enqueue(requests, now: now)
            replica.turn(now: now)
            dispatcher.flush()
            requests.removeAll(keepingCapacity: true)
            news.removeAll(keepingCapacity: true)
        }
    }
}

/// A thread that runs one piece of code.
final class SystemThread: @unchecked Sendable {
    // @unchecked Sendable: written once in the initialiser.
    private let handle: pthread_t

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

    /// Waits until it has ended.
    func join() {
        pthread_join(handle, nil)
    }
}
