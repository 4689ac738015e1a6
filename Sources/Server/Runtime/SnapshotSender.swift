// SnapshotSender.swift: one snapshot on its way to another member, on a thread of its own.
// Belongs here: pace and back-pressure. Never here: which pages (Storage/Snapshot).

internal import Logging
internal import NIOCore
internal import Storage
internal import Transport

/// Sends one snapshot; the thread ends with the transfer.
final class SnapshotSender: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var.
    let connection: PeerConnection
    private let pages: PageStore
    private let bytesPerSecond: Int
    private let counts: PeerCounts
    private let logger: Logger
    private let monitor = Monitor()
    private let changed = MonitorCondition()
    private var isDrained = false
    private var isStopping = false
    private var thread: SystemThread?

    /// Bytes of one piece: a few milliseconds of work.
    private static let pieceBytes = 512 << 10
    /// Page versions in memory above which a slow receiver has to begin with a newer state.
    private static let overlayBytesMax = 256 << 20

    init(
        connection: PeerConnection, pages: PageStore, bytesPerSecond: Int, counts: PeerCounts,
        logger: Logger
    ) {
        self.connection = connection
        self.pages = pages
        self.bytesPerSecond = bytesPerSecond
        self.counts = counts
        self.logger = logger
    }

    func start(_ have: SnapshotHave) {
        thread = SystemThread { [self] in
            let begun = MonotonicClock.nanoseconds
            var isComplete = false
            counts.snapshotsSent.began()
            do throws(StorageError) {
                isComplete = try run(have)
            } catch {
                logger.warning(
                    "a snapshot could not be sent: the member will ask again",
                    metadata: ["member": "\(memberText)", "error": "\(error)"])
            }
            counts.snapshotsSent.ended(
                isComplete: isComplete, nanoseconds: MonotonicClock.nanoseconds - begun)
            connection.close()
        }
    }

    /// Waits until the thread has ended, after `stop`.
    func join() { thread?.join() }

    private var memberText: String { connection.member.idText }

    /// The receiver takes more.
    func drained() {
        monitor.lock()
        isDrained = true
        changed.signal()
        monitor.unlock()
    }

    /// The connection is gone, or the member stops.
    func stop() {
        monitor.lock()
        isStopping = true
        changed.signal()
        monitor.unlock()
    }

    /// Sends everything; false if it was broken off.
    private func run(_ have: SnapshotHave) throws(StorageError) -> Bool {
        let source = try pages.openSnapshotSource(for: have)
        logger.info(
            "sending a snapshot",
            metadata: [
                "member": "\(memberText)", "index": "\(source.state.index)",
                "pages": "\(source.pagesToSend)", "of": "\(source.state.pageCount)",
            ])
        guard send(.snapshotState, source.state.encoded()) else { return false }
        var due = MonotonicClock.nanoseconds
        while let piece = try source.next(bytesMax: Self.pieceBytes) {
            guard pause(until: due) else { return false }
            if source.isTooOld(overlayBytesMax: Self.overlayBytesMax) {
                logger.info(
                    "a snapshot is taken too slowly: it goes on with a newer state",
                    metadata: ["member": "\(memberText)"])
                return false
            }
            guard send(.snapshotPages, piece) else { return false }
            if bytesPerSecond > 0 {
                due += UInt64(piece.count) * 1_000_000_000 / UInt64(bytesPerSecond)
            }
        }
        guard send(.snapshotEnd, []) else { return false }
        waitUntilClosed()
        return true
    }

    /// Sends as soon as there is room; false once the transfer is over.
    private func send(_ kind: PeerFrame, _ bytes: [UInt8]) -> Bool {
        while true {
            monitor.lock()
            isDrained = false
            monitor.unlock()
            if connection.send(kind: kind.rawValue, bytes) {
                counts.sentBytes.increment(by: UInt64(bytes.count))
                return true
            }
            guard waitUntilDrained() else { return false }
        }
    }

    private func waitUntilDrained() -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while !isStopping, !isDrained { changed.wait(monitor) }
        return !isStopping
    }

    private func pause(until due: UInt64) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while !isStopping, MonotonicClock.nanoseconds < due {
            changed.wait(monitor, untilNanoseconds: due)
        }
        return !isStopping
    }

    // The receiver closes once it has everything: closing first could cut off what it has not read.
    private func waitUntilClosed() {
        monitor.lock()
        defer { monitor.unlock() }
        while !isStopping { changed.wait(monitor) }
    }
}
