// SnapshotReceiver.swift: one snapshot being fetched from another member, on a thread of its own.
// Belongs here: the connection, what waits between it and the disk. Never here: pages and files (Storage).
// Invariant: at most `waitingBytesMax` and one frame wait in memory: then nothing more is read.

internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Storage
internal import Transport

/// Fetches one snapshot; the thread ends with the transfer.
final class SnapshotReceiver: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var.
    private let member: UInt64
    private let pages: PageStore
    private let damage: Damage?
    private let disk: any Disk
    private let directory: String
    private let counts: TransferCounts
    private let logger: Logger
    private let ended: @Sendable (_ isComplete: Bool, StorageError?) -> Void
    private let monitor = Monitor()
    private let changed = MonitorCondition()
    private var waiting: [(kind: PeerFrame, bytes: [UInt8])] = []
    private var waitingBytes = 0
    private var isPaused = false
    private var isClosed = false
    private var connection: PeerConnection?
    private var thread: SystemThread?

    private static let waitingBytesMax = 8 << 20

    init(
        member: UInt64, pages: PageStore, damage: Damage?, disk: any Disk, directory: String,
        counts: TransferCounts, logger: Logger,
        ended: @escaping @Sendable (_ isComplete: Bool, StorageError?) -> Void
    ) {
        self.member = member
        self.pages = pages
        self.damage = damage
        self.disk = disk
        self.directory = directory
        self.counts = counts
        self.logger = logger
        self.ended = ended
    }

    func start(urls: [PeerURL], over network: PeerNetwork) {
        thread = SystemThread { [self] in
            let begun = MonotonicClock.nanoseconds
            var isComplete = false
            var failure: StorageError?
            counts.began()
            do throws(StorageError) {
                isComplete = try run(urls: urls, over: network)
            } catch {
                failure = error
                logger.warning(
                    "a snapshot could not be fetched: it will be tried again",
                    metadata: ["member": "\(memberText)", "error": "\(error)"])
            }
            close()
            counts.ended(
                isComplete: isComplete, nanoseconds: MonotonicClock.nanoseconds - begun)
            ended(isComplete, failure)
        }
    }

    private var memberText: String { member.idText }

    private func run(urls: [PeerURL], over network: PeerNetwork) throws(StorageError) -> Bool {
        let staging = try SnapshotStaging.open(
            disk: disk, directory: directory, pages: pages, damage: damage)
        guard connect(urls, network, staging.have) else { return false }
        logger.info("fetching a snapshot", metadata: ["member": "\(memberText)"])
        while let (kind, bytes) = next() {
            switch kind {
            case .snapshotState:
                guard let state = StoreState(decoding: bytes) else { return malformed() }
                try staging.begin(state)
            case .snapshotPages: try staging.add(bytes)
            case .snapshotEnd:
                let state = try staging.finish()
                logger.info(
                    "fetched a snapshot", metadata: ["index": "\(state.index)"])
                return true
            default: return malformed()
            }
        }
        // Broken off: the next attempt goes on from here.
        try staging.save()
        return false
    }

    private func malformed() -> Bool {
        logger.warning(
            "a member sent a snapshot that can't be read", metadata: ["member": "\(memberText)"])
        return false
    }

    private func connect(
        _ urls: [PeerURL], _ network: PeerNetwork, _ have: SnapshotHave
    ) -> Bool {
        for url in urls {
            let promise = network.group.next().makePromise(of: PeerConnection.self)
            PeerDialer.connect(
                to: url, member: member, channel: .snapshot, settings: network.settings
            ) { promise.completeWith($0.mapError { $0 as any Error }) }
            let found: PeerConnection
            do {
                found = try promise.futureResult.wait()
            } catch {
                logger.info(
                    "a snapshot could not be asked for", metadata: ["reason": "\(error)"])
                continue
            }
            monitor.lock()
            connection = found
            let isOver = isClosed
            monitor.unlock()
            guard !isOver else { return false }
            return found.send(kind: PeerFrame.snapshotHave.rawValue, have.encoded())
        }
        return false
    }

    /// The next frame; nil once the connection is gone and all frames are taken.
    private func next() -> (kind: PeerFrame, bytes: [UInt8])? {
        monitor.lock()
        defer { monitor.unlock() }
        while waiting.isEmpty, !isClosed { changed.wait(monitor) }
        guard !waiting.isEmpty else { return nil }
        let frame = waiting.removeFirst()
        waitingBytes -= frame.bytes.count
        if isPaused, waitingBytes < Self.waitingBytesMax / 2, let connection {
            isPaused = false
            connection.resumeReading()
        }
        return frame
    }

    // MARK: events of the connection, on its event loop

    func received(_ connection: PeerConnection, _ kind: PeerFrame?, _ bytes: [UInt8]) {
        monitor.lock()
        defer { monitor.unlock() }
        // An unknown kind ends the transfer, as one that is out of place.
        waiting.append((kind ?? .snapshotHave, bytes))
        waitingBytes += bytes.count
        if !isPaused, waitingBytes > Self.waitingBytesMax {
            isPaused = true
            connection.pauseReading()
        }
        changed.signal()
    }

    func closed(_ connection: PeerConnection) {
        monitor.lock()
        defer { monitor.unlock() }
        guard self.connection == nil || self.connection === connection else { return }
        isClosed = true
        changed.signal()
    }

    /// Ends the transfer.
    func stop() {
        monitor.lock()
        isClosed = true
        changed.signal()
        monitor.unlock()
    }

    private func close() {
        monitor.lock()
        isClosed = true
        let open = connection
        connection = nil
        monitor.unlock()
        open?.close()
    }

    /// Waits until the thread has ended, after `stop`.
    func join() { thread?.join() }
}

extension SnapshotStaging {
    /// Opens the staging of a running member, which relies on its own database as far as it is whole.
    static func open(
        disk: any Disk, directory: String, pages: PageStore, damage: Damage?
    ) throws(StorageError) -> SnapshotStaging {
        var base = pages.checkpointState
        var corrupt: [UInt32] = []
        switch damage {
        case nil: break
        case .pages(let list): corrupt = list
        case .everything: base = .empty
        }
        return try open(disk: disk, directory: directory, base: base, corrupt: corrupt)
    }
}
