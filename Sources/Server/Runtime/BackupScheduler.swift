// BackupScheduler.swift: the thread that makes backups when they are due.
// Belongs here: when, by whom, what is said of it. Never here: the copy (BackupWriter).
// It decides nothing that others rely on, so it may look at the wall clock.

internal import Glibc
internal import Logging
internal import Storage

/// Makes backups on a thread of its own until stopped.
final class BackupScheduler: @unchecked Sendable {
    // @unchecked Sendable: `thread` belongs to the owner.
    private let settings: BackupSettings
    private let clusterID: UInt64
    private let pages: PageStore
    private let metrics: BackupMetrics
    private let logger: Logger
    private let isOwnTurn: @Sendable () -> Bool
    private let stopping = StopSignal()
    private var thread: SystemThread?

    private static let lookNanoseconds: UInt64 = 1_000_000_000
    /// After a failure the next attempt comes no later than this.
    private static let retryMilliseconds: Int64 = 60_000
    /// The lowest claim to the processor that the system knows.
    private static let niceness: Int32 = 19

    /// - Parameter isOwnTurn: whether this member is the one to make the next backup.
    init(
        settings: BackupSettings, clusterID: UInt64, pages: PageStore, metrics: BackupMetrics,
        logger: Logger, isOwnTurn: @escaping @Sendable () -> Bool
    ) {
        self.settings = settings
        self.clusterID = clusterID
        self.pages = pages
        self.metrics = metrics
        self.logger = logger
        self.isOwnTurn = isOwnTurn
    }

    func start() {
        thread = SystemThread { [self] in
            // Linux takes 0 for the calling thread alone.
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
            run()
        }
    }

    /// Ends the thread; a backup under way is given up.
    func stop() {
        stopping.give()
        thread?.join()
        thread = nil
    }

    private var writer: BackupWriter {
        BackupWriter(
            pages: pages, directory: settings.directory, clusterID: clusterID,
            bytesPerSecond: settings.bytesPerSecond
        ) { [stopping] moment in stopping.pause(until: moment) }
    }

    private func run() {
        var due = firstDue()
        while stopping.pause(until: MonotonicClock.nanoseconds + Self.lookNanoseconds) {
            guard LogTimestamp.now().millisecondsSince1970 >= due, isOwnTurn() else { continue }
            let isMade = makeOne()
            let interval = settings.interval.millisecondsClamped
            due =
                LogTimestamp.now().millisecondsSince1970
                + (isMade ? interval : min(interval, Self.retryMilliseconds))
        }
    }

    /// A restart does not begin the interval anew: the newest backup says when the next is due.
    private func firstDue() -> Int64 {
        do throws(BackupError) {
            try writer.prepare()
            guard let newest = try writer.existing().last, let made = newest.millisecondsSince1970
            else { return 0 }
            // One that claims to be of the future, as after the clock was set back, must not stop all.
            let now = LogTimestamp.now().millisecondsSince1970
            return min(made, now) + settings.interval.millisecondsClamped
        } catch {
            report(error)
            return 0
        }
    }

    private func makeOne() -> Bool {
        let began = MonotonicClock.nanoseconds
        do throws(BackupError) {
            try writer.prepare()
            let report = try writer.write()
            let milliseconds = (MonotonicClock.nanoseconds - began) / 1_000_000
            metrics.successes.increment()
            metrics.lastSeconds.set(LogTimestamp.now().millisecondsSince1970 / 1000)
            metrics.lastBytes.set(Int64(report.byteCount))
            metrics.lastMilliseconds.set(Int64(milliseconds))
            logger.info(
                "made a backup",
                metadata: [
                    "file": "\(settings.directory)/\(report.name)", "bytes": "\(report.byteCount)",
                    "revision": "\(report.revision)", "milliseconds": "\(milliseconds)",
                ])
            for name in try writer.removeOld(keep: settings.keep) {
                logger.info("removed an old backup", metadata: ["file": "\(name)"])
            }
            return true
        } catch {
            report(error)
            return false
        }
    }

    private func report(_ error: BackupError) {
        if case .stopped = error { return }
        metrics.failures.increment()
        logger.error(
            "no backup could be made: it will be tried again",
            metadata: ["directory": "\(settings.directory)", "error": "\(error)"])
    }
}

extension BackupName {
    /// When it was made; nil if the name holds no time.
    fileprivate var millisecondsSince1970: Int64? {
        let digits = time.utf8.filter { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        guard digits.count == 14 else { return nil }
        func number(_ range: Range<Int>) -> Int32 {
            digits[range].reduce(0) { $0 * 10 + Int32($1 - UInt8(ascii: "0")) }
        }
        var parts = tm()
        parts.tm_year = number(0..<4) - 1900
        parts.tm_mon = number(4..<6) - 1
        parts.tm_mday = number(6..<8)
        parts.tm_hour = number(8..<10)
        parts.tm_min = number(10..<12)
        parts.tm_sec = number(12..<14)
        let seconds = timegm(&parts)
        return seconds < 0 ? nil : Int64(seconds) * 1000
    }
}
