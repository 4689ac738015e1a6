// LogWriter.swift: the two threads of a log: one saves what is queued, one prepares segments.
// Belongs here: threads, waiting, reporting. Never here: the work itself (LogStore).
// The writer sleeps on a condition; while a sync runs, new work gathers and is the next group.

import Glibc

/// Runs `flush` and `housekeep` of a log on threads of its own until stopped.
///
/// Owned by whoever started it, who calls `stop` before letting it go.
public final class LogWriter: @unchecked Sendable {
    // @unchecked Sendable: `threads` is touched by the owner alone; all else is constant.
    /// What the owner is told, on a thread of the log: it must only pass the news on.
    public enum Report: Equatable, Sendable {
        /// Everything up to this ticket is durable.
        case saved(through: LogTicket)
        /// There is no space; nothing is lost, and `LogStore.retry` makes it try again.
        case full(DiskError)
        /// The log is shut, and this is the last report.
        case failed(StorageError)
    }

    private let store: LogStore
    private let report: @Sendable (Report) -> Void
    private var threads: [pthread_t] = []

    /// Starts the threads.
    ///
    /// - Parameter report: called on the log's threads, in order for the saves; it must not wait
    ///   for long.
    public init(store: LogStore, report: @escaping @Sendable (Report) -> Void) {
        self.store = store
        self.report = report
        start { [store, report] in Self.write(store, report) }
        start { [store, report] in Self.keepHouse(store, report) }
    }

    /// Saves what is queued, seals the log, ends the threads and waits for them.
    public func stop() {
        store.stopThreads()
        for thread in threads { pthread_join(thread, nil) }
        threads.removeAll()
    }

    private static func write(_ store: LogStore, _ report: (Report) -> Void) {
        while true {
            do throws(StorageError) {
                guard store.waitForWork() else {
                    try store.seal()
                    return
                }
                if let ticket = try store.flush() { report(.saved(through: ticket)) }
            } catch .disk(.full(let path)) {
                report(.full(.full(path: path)))
                guard store.waitForSpace() else { return }
            } catch {
                report(.failed(error))
                return
            }
        }
    }

    private static func keepHouse(_ store: LogStore, _ report: (Report) -> Void) {
        while store.waitForHousekeeping() {
            do throws(StorageError) {
                try store.housekeep()
            } catch .disk(.full(let path)) {
                report(.full(.full(path: path)))
            } catch {
                // The log is shut now, and the writer, which that woke, reports it.
                return
            }
        }
    }

    private func start(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(ThreadBody(body))
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        precondition(code == 0, "pthread_create: \(code)")
        threads.append(thread)
    }
}

/// Carries a closure through the C call that starts a thread.
private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}

extension LogStore {
    /// Waits until there is something to flush; false when stopping and all is written.
    func waitForWork() -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while queuedBytes == 0 && failure == nil {
            if isStopping { return false }
            workArrived.wait(monitor)
        }
        return true
    }

    /// Waits for news after a full disk: more space, another try asked for; false when stopping.
    func waitForSpace() -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while !isRetryDue && !isStopping && failure == nil { workArrived.wait(monitor) }
        return !isStopping
    }

    /// Waits until housekeeping is due; false when stopping.
    func waitForHousekeeping() -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while !housekeepingAsked && failure == nil {
            if isStopping { return false }
            housekeepingDue.wait(monitor)
        }
        housekeepingAsked = false
        return !isStopping
    }

    /// Tells both threads to end.
    func stopThreads() {
        monitor.lock()
        defer { monitor.unlock() }
        isStopping = true
        workArrived.signal()
        housekeepingDue.signal()
    }
}
