// Checkpointer.swift: the thread that folds committed pages into the database file and cuts the log.
// Belongs here: when, and on which thread. Never here: how (Storage/Pages).
// Source: design section 4 and storage.md "Disk"; the interval bounds memory, log length and time to recover.

internal import Logging
internal import Storage

/// Writes checkpoints on a thread of its own until stopped.
final class Checkpointer: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var but `thread`, which belongs to the owner.
    private let pages: PageStore
    private let log: LogStore
    private let logger: Logger
    private let monitor = Monitor()
    private let changed = MonitorCondition()
    private var isStopping = false
    private var savedTicket = LogTicket(0)
    private var awaited: LogTicket?
    private var hasLogFailed = false
    private var isHurried = false
    private var isAlone = false
    /// The page that the next scrub begins with; belongs to the thread.
    private var scrubPage: UInt32 = 1
    private let retainedBytes: Int
    private let tell: @Sendable (ReplicaNews) -> Void
    private var thread: SystemThread?

    /// Looks in which all pages are scrubbed once: six hours.
    private static let looksPerScrub = 6 * 3600
    private static let scrubbedPagesMin = 4
    /// Page versions in memory above which a checkpoint is written at once.
    private static let overlayBytesMax = 48 << 20
    /// How often the amount is looked at.
    private static let lookNanoseconds: UInt64 = 1_000_000_000
    /// A checkpoint is written this often if there is anything to write at all, in looks.
    private static let looksPerCheckpointMax = 300

    /// - Parameters:
    ///   - retainedBytes: about as much of the log stays behind the checkpoint, for members that lag.
    ///   - tell: told, on this thread, where the log begins, and of an error after which the store can't
    ///     go on.
    init(
        pages: PageStore, log: LogStore, retainedBytes: Int, logger: Logger,
        tell: @escaping @Sendable (ReplicaNews) -> Void
    ) {
        self.retainedBytes = retainedBytes
        self.tell = tell
        self.pages = pages
        self.log = log
        self.logger = logger
    }

    func start() {
        thread = SystemThread { [self] in run() }
    }

    /// Ends the thread, after a checkpoint of everything: the file can then be opened by itself.
    ///
    /// The log's writer must still run.
    func stop() {
        monitor.lock()
        isStopping = true
        changed.signal()
        monitor.unlock()
        thread?.join()
        thread = nil
    }

    private func run() {
        var looks = 0
        while wait() {
            looks += 1
            scrub()
            let isDue =
                pages.overlayBytes > Self.overlayBytesMax || looks >= Self.looksPerCheckpointMax
                || isSpaceShort
            guard isDue else { continue }
            looks = 0
            checkpoint()
        }
        checkpoint()
    }

    /// Looks at some pages of the file each time, all of them within some hours.
    private func scrub() {
        let pagesInAll = Int(pages.checkpointState.pageCount)
        let count = max(Self.scrubbedPagesMin, pagesInAll / Self.looksPerScrub)
        do throws(StorageError) {
            let result = try pages.scrub(from: scrubPage, count: count)
            scrubPage = result.nextPage ?? 1
            for page in result.badPages {
                tell(
                    .damaged(
                        .corruptPage(page: page, reason: "its bytes in the file have changed")))
            }
        } catch {
            logger.error("the database file could not be checked", metadata: ["error": "\(error)"])
            scrubPage = 1
        }
    }

    private var isSpaceShort: Bool {
        monitor.lock()
        defer { monitor.unlock() }
        return isHurried
    }

    /// A disk that is full needs the space more than members that lag do, and there may be none of those.
    private var keptBytes: Int {
        monitor.lock()
        defer { monitor.unlock() }
        return isHurried || isAlone ? 0 : retainedBytes
    }

    private func wait() -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        if !isStopping {
            changed.wait(
                monitor, untilNanoseconds: MonotonicClock.nanoseconds + Self.lookNanoseconds)
        }
        return !isStopping
    }

    /// Everything up to a ticket of the log is durable.
    func saved(_ ticket: LogTicket) {
        monitor.lock()
        defer { monitor.unlock() }
        savedTicket = ticket
        if awaited != nil { changed.signal() }
    }

    /// Writes checkpoints at every look while space is short: they free the log's.
    func hurry(_ isHurried: Bool) {
        monitor.lock()
        defer { monitor.unlock() }
        self.isHurried = isHurried
    }

    /// The cluster has so many members, learners among them; an only one needs no log behind checkpoints.
    func memberCount(_ count: Int) {
        monitor.lock()
        defer { monitor.unlock() }
        isAlone = count == 1
    }

    /// The log will save no more.
    func logFailed() {
        monitor.lock()
        defer { monitor.unlock() }
        hasLogFailed = true
        changed.signal()
    }

    private func checkpoint() {
        do throws(StorageError) {
            guard let checkpoint = try pages.beginCheckpoint() else { return }
            let ticket = try log.append(checkpointIntent: checkpoint.intent)
            guard waitUntilSaved(ticket) else { return }
            checkpoint.intentIsDurable()
            while try !checkpoint.step(pages: Self.pagesPerStep) {}
            log.release(
                through: log.releasableIndex(
                    upTo: checkpoint.target.index, keepingBytes: keptBytes))
            tell(.logReleased(before: log.firstIndex))
            logger.debug(
                "wrote a checkpoint",
                metadata: [
                    "index": "\(checkpoint.target.index)", "pages": "\(checkpoint.pageCount)",
                ])
        } catch {
            report(error)
        }
    }

    // A full disk is met again at the next look; any other failure of the database file is final.
    private func report(_ error: StorageError) {
        logger.error("no checkpoint could be written", metadata: ["error": "\(error)"])
        if case .disk(.full) = error { return }
        tell(.logFailed(error))
    }

    private func waitUntilSaved(_ ticket: LogTicket) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        awaited = ticket
        defer { awaited = nil }
        while savedTicket < ticket {
            if log.savedThrough >= ticket { return true }
            if hasLogFailed { return false }
            changed.wait(
                monitor, untilNanoseconds: MonotonicClock.nanoseconds + Self.lookNanoseconds)
        }
        return true
    }

    private static let pagesPerStep = 256
}
