// ServerNode.swift: one running member: every part made, connected, started and stopped in order.
// Belongs here: assembly. Never here: behaviour of any part.
// Source: design sections 2 and 3.

internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Raft
internal import Storage
internal import Transport

/// Why a node can't start, or could not go on; the text says what to do.
enum NodeError: Error, CustomStringConvertible {
    case storage(StorageError, directory: String)
    case bootstrap(BootstrapError)
    case configuration(ConfigurationError)
    case transport(TransportError)

    var description: String {
        switch self {
        case .storage(.disk(.locked(let path)), _):
            "another process uses this data directory (\(path) is locked): stop it, or give this "
                + "one a --data-dir of its own"
        case .storage(.disk(let error), _):
            "\(error): make the data directory writable for this user, with space left in it"
        case .storage(.corrupt, let directory), .storage(.corruptPage, let directory):
            "\(storageText). Nothing was changed in \(directory). Where there are other members, "
                + "move it away and start with --initial-cluster-state=existing: the member "
                + "rejoins. Where this is the only one, restore a backup"
        case .storage: storageText
        case .bootstrap(let error): "\(error)"
        case .configuration(let error): "\(error)"
        case .transport(let error): "\(error)"
        }
    }

    private var storageText: String {
        guard case .storage(let error, _) = self else { return "" }
        return "\(error)"
    }
}

/// Why a node ends by itself.
enum NodeEnd: Sendable {
    /// The store can't go on, or a port can't be opened.
    case failed
    /// This member was removed from its cluster.
    case removed
    /// A snapshot lies ready: the node has to begin anew with it.
    case reinstall
}

/// One member of the cluster.
final class ServerNode {
    let configuration: Configuration
    let logger: Logger
    private let audit: AuditLog?
    let identity: Identity
    let status = SharedStatus()
    let metrics: Metrics
    private let group: MultiThreadedEventLoopGroup
    /// One thread for the replica and all members: one wake-up serves what a turn has for all of them, and
    /// no client's traffic holds a heartbeat up.
    private let peerGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let inbox = ReplicaInbox()
    private let pages: PageStore
    private let log: LogStore
    private let replicaLoop: ReplicaLoop
    private let checkpointer: Checkpointer
    private let peers: PeerNetwork
    private var logWriter: LogWriter?
    private let loops: LoopSet
    private let opening = ClientOpening()
    private let authSettings: AuthSettings
    /// Half of the processors at most: a storm of logins leaves the other half to everybody else.
    private let pool = ComputePool(threads: max(1, System.coreCount / 2))
    private let founderCheck: FounderCheck?
    private let backups: BackupScheduler?
    private let ended: @Sendable (NodeEnd) -> Void

    /// Opens the store and makes all parts; nothing runs yet.
    ///
    /// - Parameter ended: called from another thread if the node has to end, perhaps more than once.
    init(
        configuration: Configuration, directory: DataDirectory, logger: Logger, sink: LogSink,
        audit: AuditLog?, ended: @escaping @Sendable (NodeEnd) -> Void
    ) throws(NodeError) {
        self.configuration = configuration
        self.logger = logger
        self.audit = audit
        self.ended = ended
        authSettings = try ServerNode.auth(configuration, logger)
        // One processor is the replica's. A thread more would not serve more, but wake more often for less.
        group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, System.coreCount - 1))
        let tls = try ServerNode.peerTLS(configuration, logger)
        let client = BootstrapClient(
            name: configuration.name, group: peerGroup, tls: tls, logger: logger)
        let stored = try Bootstrapper(
            configuration: configuration, directory: directory, client: client, logger: logger
        ).claim()
        identity = stored.identity
        metrics = ServerNode.metrics(configuration, identity)
        let disk = TimedDisk(
            directory.disk, logDirectory: directory.logPath, metrics: metrics.disk)
        var settings = ServerNode.settings(configuration, stored, group)
        let (opened, node) = try ServerNode.openStore(configuration, directory, disk, settings)
        settings.isUnconfirmedFounder = stored.founders.count > 1 && opened.isBlank
        founderCheck =
            settings.isUnconfirmedFounder
            ? FounderCheck(stored, client: client, directory: directory, logger: logger) : nil
        pages = opened.pages
        log = opened.log
        backups = ServerNode.backups(
            configuration, identity, opened.pages, status, metrics, logger)
        loops = LoopSet(group: group)
        checkpointer = Checkpointer(
            pages: pages, log: log, retainedBytes: Int(clamping: configuration.logRetentionBytes),
            logger: logger
        ) { [inbox] news in inbox.add(news) }
        let snapshots = SnapshotExchange(
            pages: pages, disk: disk, directory: directory.path, metrics: metrics.peers,
            bytesPerSecond: Int(clamping: configuration.snapshotBytesPerSecond ?? 0),
            logger: logger
        ) { ended(.reinstall) }
        peers = PeerNetwork(
            identity: PeerIdentity(
                clusterID: identity.clusterID, memberID: identity.memberID,
                name: configuration.name, url: settings.member.peerURLs.first ?? ""),
            group: peerGroup, tls: tls, inbox: inbox,
            directory: PeerDirectory(
                stored.founders + stored.peers, ownID: identity.memberID,
                isFounding: !stored.founders.isEmpty && opened.isBlank, status: status),
            snapshots: snapshots, metrics: metrics.peers, logger: logger
        ) { ended(.removed) }
        let dispatcher = LoopDispatcher(
            mailboxes: loops.mailboxes, peers: peers,
            meter: ReplicaMeter(configuration, metrics: metrics),
            events: ServerNode.listener(
                settings.member, checkpointer, opening, peers, group, metrics, logger, ended))
        let replica = Replica(
            settings: settings, node: node, log: log, pages: pages,
            space: SpaceGuard(disk: directory.disk, directory: directory.path), status: status,
            output: dispatcher)
        replicaLoop = ReplicaLoop(
            replica: replica, inbox: inbox, dispatcher: dispatcher,
            slowTurns: SlowTurns(
                limit: configuration.warningApplyDuration, metric: metrics.server.slowApplies,
                logger: logger), loop: peerGroup.next())
        inbox.setWake { [weak replicaLoop] in replicaLoop?.wake() }
        ServerNode.log(opened, logger)
        bindMetrics(sink: sink)
    }

    /// Starts the threads and the ports for members; those for clients follow once there is something to serve.
    func start() throws(NodeError) {
        logWriter = LogWriter(store: log) { [inbox, logger, checkpointer] report in
            switch report {
            case .saved(let ticket):
                inbox.add(.saved(ticket))
                checkpointer.saved(ticket)
            case .full(let error):
                logger.error("the log found no space", metadata: ["error": "\(error)"])
            case .failed(let error):
                inbox.add(.logFailed(error))
                checkpointer.logFailed()
            }
        }
        try listenToPeers()
        peers.update(peers.directory.members)
        replicaLoop.start()
        checkpointer.start()
        backups?.start()
        founderCheck?.start(
            confirmed: { [inbox] in inbox.add(.confirmed) }, failed: { [ended] in ended(.failed) })
        let ports = ClientPorts(
            configuration: configuration, loops: loops, services: services, logger: logger)
        opening.start(ports, logger: logger) { [ended] in ended(.failed) }
    }

    private func listenToPeers() throws(NodeError) {
        for url in configuration.listenPeerURLs {
            do throws(TransportError) {
                try peers.listen(on: url, reusesPort: configuration.socketReusePort)
            } catch {
                guard configuration.listensToPeersByDefault, peers.directory.members.count <= 1
                else { throw .transport(error) }
                // Nobody asked for this port, and nobody needs it yet.
                logger.warning(
                    "no port for other members: start with --listen-peer-urls before adding any",
                    metadata: ["error": "\(error)"])
            }
        }
    }

    /// Stops serving, lets calls end, and closes the store in order.
    func stop() {
        leave()
        founderCheck?.stop()
        backups?.stop()
        opening.stop()
        replicaLoop.stop()
        peers.stop()
        checkpointer.stop()
        logWriter?.stop()
        do {
            try pool.stop()
            try group.syncShutdownGracefully()
            try peerGroup.syncShutdownGracefully()
        } catch {
            logger.warning("event loops did not end", metadata: ["error": "\(error)"])
        }
        logger.info("stopped")
    }

    /// Hands leadership over, so that the others need no election.
    private func leave() {
        guard status.leader == identity.memberID, !status.readsLocally else { return }
        inbox.add(.leave)
        let deadline = MonotonicClock.now.advanced(
            milliseconds: UInt64(configuration.electionTimeoutMilliseconds))
        while status.leader == identity.memberID, MonotonicClock.now < deadline {
            var pause = timespec(tv_sec: 0, tv_nsec: 1_000_000)
            nanosleep(&pause, nil)
        }
    }

    // MARK: pieces

    /// Locks the data directory for as long as the process runs.
    static func open(_ configuration: Configuration) throws(NodeError) -> DataDirectory {
        let path = configuration.dataDirectory
        let disk = PosixDisk(skipsSync: configuration.unsafeNoFsync)
        do throws(StorageError) {
            // A unit of etcd with another program in it must not come up empty beside the data, nor leave anything.
            if try !DataDirectory.isEtcds(path, disk: disk) {
                return try DataDirectory(path: path, disk: disk)
            }
        } catch {
            throw .storage(error, directory: path)
        }
        throw .bootstrap(.etcdData(directory: path))
    }

    private static func peerTLS(
        _ configuration: Configuration, _ logger: Logger
    ) throws(NodeError) -> PeerTLS? {
        do throws(TransportError) {
            return try configuration.loadedPeerTLS { logger.warning("\($0)") }
        } catch {
            throw .transport(error)
        }
    }

    private static func auth(
        _ configuration: Configuration, _ logger: Logger
    ) throws(NodeError) -> AuthSettings {
        do throws(ConfigurationError) {
            return try AuthSettings(configuration, logger)
        } catch {
            throw .configuration(error)
        }
    }

    private static func openStore(
        _ configuration: Configuration, _ directory: DataDirectory, _ disk: any Disk,
        _ settings: ReplicaSettings
    ) throws(NodeError) -> (OpenedStore, RaftNode) {
        do throws(StorageError) {
            let opened = try OpenedStore(directory: directory, disk: disk, seed: settings.seed)
            let node = try opened.restore(
                settings, founders: settings.founders, preVote: configuration.preVote)
            return (opened, node)
        } catch {
            throw .storage(error, directory: directory.path)
        }
    }

    /// What the node does about what its replica reports, on the replica's loop.
    private static func listener(
        _ member: MemberRow, _ checkpointer: Checkpointer, _ opening: ClientOpening,
        _ peers: PeerNetwork, _ group: MultiThreadedEventLoopGroup, _ metrics: Metrics,
        _ logger: Logger, _ ended: @escaping @Sendable (NodeEnd) -> Void
    ) -> @Sendable (ReplicaEvent) -> Void {
        { event in
            log(event, logger)
            switch event {
            case .diskFull(let isFull): checkpointer.hurry(isFull)
            case .becameLeader: metrics.server.leaderChanges.increment()
            case .leaderChanged(_, let leader) where leader != 0:
                metrics.server.leaderChanges.increment()
            case .readable: opening.allow(.readable)
            case .membersChanged(let rows, let removed):
                opening.allow(.known)
                checkpointer.memberCount(rows.count)
                peers.directory.set(rows, removed: removed)
                guard let row = rows.first(where: { $0.id == member.id }) else { break }
                peers.update(peers.directory.reachable)
                if row.isPublished(as: member), row.role != .joining { opening.allow(.published) }
            case .removed:
                // The call that removed it may have come by this member, and waits for its answer.
                group.next().scheduleTask(in: .seconds(1)) { ended(.removed) }
            case .stopped: ended(.failed)
            default: break
            }
        }
    }

    private static func backups(
        _ configuration: Configuration, _ identity: Identity, _ pages: PageStore,
        _ status: SharedStatus, _ metrics: Metrics, _ logger: Logger
    ) -> BackupScheduler? {
        guard !configuration.backup.directory.isEmpty else { return nil }
        let source = configuration.backup.source
        return BackupScheduler(
            settings: configuration.backup, clusterID: identity.clusterID, pages: pages,
            metrics: metrics.backup, logger: logger
        ) { source == .member || status.leader == identity.memberID }
    }

    private static func metrics(_ configuration: Configuration, _ identity: Identity) -> Metrics {
        let methods = Method.allCases.map { MetricMethod(path: $0.path, kind: $0.kind.metricKind) }
        return Metrics(
            identity: MetricIdentity(
                memberID: identity.memberID, serverVersion: Product.etcdVersion,
                clusterVersion: "3.6"), methods: MetricMethod.completing(methods),
            level: configuration.metricsLevel)
    }

    private static func randomNumber() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    private static func settings(
        _ configuration: Configuration, _ stored: StoredIdentity,
        _ group: MultiThreadedEventLoopGroup
    ) -> ReplicaSettings {
        var settings = ReplicaSettings(
            identity: stored.identity,
            member: MemberRow(
                id: stored.identity.memberID, name: configuration.name,
                peerURLs: configuration.initialAdvertisePeerURLs.map(\.description),
                clientURLs: configuration.advertiseClientURLs.map(\.description), role: .voter))
        settings.founders = stored.founders
        settings.promotesLearners = configuration.autoPromote
        settings.executor.minimumLeaseTTL = configuration.minimumLeaseTTLSeconds
        settings.executor.quotaBytes = configuration.quotaBackendBytes
        settings.executor.strictReconfigCheck = configuration.strictReconfigCheck
        settings.executor.maxLearners = configuration.maxLearners
        settings.executor.tokenTTLSeconds = UInt64(configuration.authTokenTTLSeconds)
        settings.electionTimeoutMilliseconds = UInt64(configuration.electionTimeoutMilliseconds)
        settings.heartbeatMilliseconds = UInt64(configuration.heartbeatIntervalMilliseconds)
        settings.requestTimeoutMilliseconds = UInt64(configuration.requestTimeout.milliseconds)
        settings.autoCompaction = configuration.autoCompaction
        settings.compactionBatchLimit = configuration.compactionBatchLimit
        settings.compactionSleepMilliseconds = UInt64(
            max(1, configuration.compactionSleepInterval.milliseconds))
        settings.loopCount = Array(group.makeIterator()).count
        settings.seed = randomNumber()
        return settings
    }

    private var services: ServiceParts {
        var limits = FrontLimits()
        limits.requestBytesMax = configuration.maxRequestBytes
        limits.operationsMax = configuration.maxTxnOps
        limits.requestTimeoutMilliseconds = UInt64(configuration.requestTimeout.milliseconds)
        limits.electionTimeoutMilliseconds = UInt64(configuration.electionTimeoutMilliseconds)
        limits.quotaBytes = configuration.quotaBackendBytes
        limits.version = Product.etcdVersion
        limits.auth = authSettings
        return ServiceParts(
            identity: identity, limits: limits, status: status, pages: pages, inbox: inbox,
            pool: pool, metrics: metrics, logger: logger,
            observer: ObserverSettings(
                audit: audit,
                slowNanoseconds: configuration.warningUnaryRequestDuration.nanosecondsClamped,
                logger: logger, failedLogins: metrics.server.failedLogins),
            fragmentBytesMax: configuration.receiveMessageBytesMax,
            progressMilliseconds: UInt64(
                max(100, configuration.watchProgressNotifyInterval.milliseconds)),
            corsOrigins: configuration.corsOrigins, hostWhitelist: configuration.hostWhitelist,
            servesGateway: configuration.enableGRPCGateway)
    }

    private static func log(_ event: ReplicaEvent, _ logger: Logger) {
        switch event {
        case .readable: logger.debug("the store can be read")
        case .becameLeader(let term):
            logger.info("became leader", metadata: ["term": "\(term)"])
        case .leaderChanged(let term, leader: 0):
            logger.warning("no leader", metadata: ["term": "\(term)"])
        case .leaderChanged(let term, let leader):
            logger.info(
                "a leader is known", metadata: ["term": "\(term)", "leader": "\(leader.idText)"])
        case .handingOver(let target, let reason):
            logger.info(
                "handing leadership over",
                metadata: ["to": "\(target.idText)", "reason": "\(reason)"])
        case .membersChanged(let rows, _):
            logger.info(
                "the members are known",
                metadata: ["members": "\(rows.map { $0.id.idText }.joined(separator: ","))"])
        case .damaged(let error):
            logger.error(
                "the database is damaged: repairing it from another member, if there is one",
                metadata: ["error": "\(error)"])
        case .removed:
            logger.critical("this member was removed from the cluster: stopping")
        case .requestFailed(let error):
            logger.error(
                "requests failed on an error of the store", metadata: ["error": "\(error)"])
        case .stopped(let error):
            logger.critical("the store can't go on: stopping", metadata: ["error": "\(error)"])
        case .compacted(let revision):
            logger.info("finished compaction", metadata: ["compact-revision": "\(revision)"])
        case .diskFull(true): logger.error("no space on the disk: writes are refused")
        case .diskFull(false): logger.info("the disk has space again")
        case .quotaNear(let bytes, let quota):
            logger.warning(
                "the quota is nearly used up: compact, delete, or raise --quota-backend-bytes",
                metadata: ["in-use": "\(bytes)", "quota": "\(quota)"])
        case .quotaReached(true):
            logger.error(
                """
                the quota is used up: puts are refused until deletions and a compaction have made \
                room, or --quota-backend-bytes is raised
                """)
        case .quotaReached(false): logger.info("there is room below the quota again")
        }
    }

    private static func log(_ opened: OpenedStore, _ logger: Logger) {
        if let torn = opened.tornTail {
            logger.warning(
                "cut an interrupted write off the log",
                metadata: [
                    "file": "\(torn.file)", "offset": "\(torn.offset)", "bytes": "\(torn.bytes)",
                ])
        }
        switch opened.installed {
        case .nothing: break
        case .installed(let state):
            logger.info(
                "installed a snapshot",
                metadata: ["index": "\(state.index)", "revision": "\(state.header.revision)"])
        case .discarded(let reason):
            logger.warning("dropped a snapshot", metadata: ["reason": "\(reason)"])
        }
    }

    private func bindMetrics(sink: LogSink) {
        let status = status
        let ownID = identity.memberID
        metrics.mvcc.dbTotalBytes.bind { Double(status.totalBytes) }
        metrics.mvcc.dbInUseBytes.bind { Double(status.bytesInUse) }
        metrics.mvcc.currentRevision.bind { Double(status.revision) }
        metrics.mvcc.compactRevision.bind { Double(max(0, status.compactedRevision)) }
        metrics.server.hasLeader.bind { status.leader == 0 ? 0 : 1 }
        metrics.server.isLearner.bind { status.isLearner ? 1 : 0 }
        metrics.server.isLeader.bind { status.leader == ownID ? 1 : 0 }
        metrics.server.proposalsCommitted.bind { Double(status.committed) }
        metrics.server.proposalsApplied.bind { Double(status.applied) }
        metrics.server.proposalsPending.bind { Double(status.pendingProposals) }
        metrics.server.proposalsFailed.bind { UInt64(status.failedProposals) }
        metrics.server.quotaBytes.bind { [quota = configuration.quotaBackendBytes] in
            Double(quota ?? 0)
        }
        metrics.server.isDamaged.bind { status.isDamaged ? 1 : 0 }
        metrics.server.authRevision.bind { Double(status.authMark.revision) }
        metrics.network.droppedLogLines.bind { sink.droppedLines }
        metrics.network.droppedAuditLines.bind { [audit] in audit?.droppedLines ?? 0 }
        bindCounts()
    }

    private func bindCounts() {
        let counts = status.counts
        let mailboxes = loops.mailboxes
        metrics.mvcc.watchStreams.bind { Double(counts.watchStreams.now) }
        metrics.mvcc.watchers.bind { Double(counts.watchers.now) }
        metrics.mvcc.slowWatchers.bind { Double(counts.slowWatchers.now) }
        metrics.mvcc.events.bind { UInt64(counts.eventsSent.now) }
        metrics.mvcc.pendingEvents.bind {
            Double(mailboxes.reduce(0) { $0 + $1.eventsWaiting })
        }
        metrics.server.readIndexesFailed.bind { UInt64(counts.failedReadIndexes.now) }
        metrics.server.slowReadIndexes.bind { UInt64(counts.slowReadIndexes.now) }
    }
}

extension RPCKind {
    fileprivate var metricKind: MetricMethod.Kind {
        switch self {
        case .unary: .unary
        case .serverStream: .serverStream
        case .bidi: .bidiStream
        }
    }
}
