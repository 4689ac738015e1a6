// SnapshotExchange.swift: snapshots that this member sends to others, and the one it fetches.
// Belongs here: which transfer runs. Elsewhere: SnapshotSender.swift, SnapshotReceiver.swift (one transfer each).
// Never here: pages and files (Storage/Snapshot), who needs a snapshot (Raft).
// Source: design section 4: incremental, resumable, rate-limited, verified. The receiver pulls, so that what
// broke off goes on from any member that has a state new enough.

internal import Logging
internal import NIOCore
internal import Storage
internal import Transport

/// The transfers of snapshots of one member.
final class SnapshotExchange: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var.
    private let pages: PageStore
    private let disk: any Disk
    private let directory: String
    private let bytesPerSecond: Int
    private let logger: Logger
    private let metrics: PeerMetrics
    private let completed: @Sendable () -> Void
    private let monitor = Monitor()
    private var senders: [SnapshotSender] = []
    private var receiver: SnapshotReceiver?
    private var nextFetch = Tick(milliseconds: 0)
    private var trust = SnapshotTrust()
    private var isStopping = false

    /// Snapshots sent at once; more members wait for their turn.
    private static let sendersMax = 2
    /// After an attempt that failed the next begins no sooner.
    private static let retryMilliseconds: UInt64 = 500

    /// - Parameters:
    ///   - bytesPerSecond: the pace of each snapshot sent; 0 for as fast as the receiver takes it.
    ///   - completed: called once when a snapshot lies ready to be installed by the next start.
    init(
        pages: PageStore, disk: any Disk, directory: String, metrics: PeerMetrics,
        bytesPerSecond: Int, logger: Logger, completed: @escaping @Sendable () -> Void
    ) {
        self.pages = pages
        self.disk = disk
        self.directory = directory
        self.bytesPerSecond = bytesPerSecond
        self.logger = logger
        self.metrics = metrics
        self.completed = completed
    }

    /// Begins to fetch a snapshot; false if one is being fetched, or was tried a moment ago.
    func fetch(
        from member: UInt64, urls: [PeerURL], damage: Damage?, over network: PeerNetwork
    ) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        let now = MonotonicClock.now
        guard !isStopping, receiver == nil, now >= nextFetch else { return false }
        let begun = SnapshotReceiver(
            member: member, pages: pages, damage: trust.doubting(damage), disk: disk,
            directory: directory, counts: metrics.counts(of: member).snapshotsReceived,
            logger: logger
        ) { [self] isComplete, error in ended(isComplete, error) }
        receiver = begun
        begun.start(urls: urls, over: network)
        return true
    }

    private func ended(_ isComplete: Bool, _ error: StorageError?) {
        monitor.lock()
        if let error { trust.failed(error) }
        // A complete one stays, so that nothing is fetched until it is installed.
        if !isComplete { receiver = nil }
        nextFetch = MonotonicClock.now.advanced(milliseconds: Self.retryMilliseconds)
        let isStopping = isStopping
        monitor.unlock()
        if isComplete, !isStopping { completed() }
    }

    /// Ends all transfers; what was received stays for the next attempt.
    func stop() {
        monitor.lock()
        isStopping = true
        let ending = senders
        let receiving = receiver
        senders = []
        monitor.unlock()
        ending.forEach { $0.stop() }
        receiving?.stop()
        ending.forEach { $0.join() }
        receiving?.join()
    }

    // MARK: events of connections, on their event loops

    func received(_ connection: PeerConnection, _ kind: PeerFrame?, _ bytes: [UInt8]) {
        if connection.isDialed { return receiving?.received(connection, kind, bytes) ?? () }
        guard kind == .snapshotHave, let have = SnapshotHave(decoding: bytes) else {
            logger.warning("a member asked for a snapshot in a way that can't be read")
            return connection.close()
        }
        send(have, on: connection)
    }

    private func send(_ have: SnapshotHave, on connection: PeerConnection) {
        monitor.lock()
        defer { monitor.unlock() }
        guard !isStopping, senders.count < Self.sendersMax else { return connection.close() }
        let sender = SnapshotSender(
            connection: connection, pages: pages, bytesPerSecond: bytesPerSecond,
            counts: metrics.counts(of: connection.member), logger: logger)
        senders.append(sender)
        sender.start(have)
    }

    func drained(_ connection: PeerConnection) { sender(of: connection)?.drained() }

    func closed(_ connection: PeerConnection) {
        if connection.isDialed { return receiving?.closed(connection) ?? () }
        sender(of: connection)?.stop()
        monitor.lock()
        defer { monitor.unlock() }
        senders.removeAll { $0.connection === connection }
    }

    private var receiving: SnapshotReceiver? {
        monitor.lock()
        defer { monitor.unlock() }
        return receiver
    }

    private func sender(of connection: PeerConnection) -> SnapshotSender? {
        monitor.lock()
        defer { monitor.unlock() }
        return senders.first { $0.connection === connection }
    }
}
