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
            "\(storageText). Nothing was changed in \(directory): restore it from a backup, or "
                + "rebuild this member from a healthy one"
        case .storage: storageText
        case .configuration(let error): "\(error)"
        case .transport(let error): "\(error)"
        }
    }

    private var storageText: String {
        guard case .storage(let error, _) = self else { return "" }
        return "\(error)"
    }
}

/// One member of the cluster.
final class ServerNode {
    private let configuration: Configuration
    private let logger: Logger
    private let group: MultiThreadedEventLoopGroup
    private let inbox = ReplicaInbox()
    private let status = SharedStatus()
    private let identity: Identity
    private let directory: DataDirectory
    private let pages: PageStore
    private let log: LogStore
    private let replicaThread: ReplicaThread
    private let checkpointer: Checkpointer
    private var logWriter: LogWriter?
    private let loops: LoopSet
    private let metrics: Metrics
    private var listeners: [Listener] = []
    private let readiness: Readiness
    private let failed: @Sendable () -> Void

    /// Opens the store and makes all parts; nothing runs yet.
    ///
    /// - Parameter failed: called once from another thread if the store can't go on.
    init(
        configuration: Configuration, logger: Logger, sink: LogSink,
        failed: @escaping @Sendable () -> Void
    ) throws(NodeError) {
        self.configuration = configuration
        self.logger = logger
        self.failed = failed
        let path = configuration.dataDirectory
        (directory, identity) = try ServerNode.claim(configuration)
        let methods = Method.allCases.map { MetricMethod(path: $0.path, kind: $0.kind.metricKind) }
        metrics = Metrics(
            identity: MetricIdentity(
                memberID: identity.memberID, serverVersion: Product.etcdVersion,
                clusterVersion: "3.6"), methods: MetricMethod.completing(methods),
            level: configuration.metricsLevel)
        let opened: OpenedStore
        do throws(StorageError) {
            opened = try OpenedStore(
                directory: directory,
                disk: TimedDisk(
                    directory.disk, logDirectory: directory.logPath, metrics: metrics.disk),
                seed: ServerNode.randomNumber())
        } catch {
            throw .storage(error, directory: path)
        }
        pages = opened.pages
        log = opened.log
        group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        loops = LoopSet(group: group)
        let readiness = Readiness()
        self.readiness = readiness
        let checkpointer = Checkpointer(pages: pages, log: log, logger: logger) { [inbox] error in
            inbox.add(.logFailed(error))
        }
        self.checkpointer = checkpointer
        let dispatcher = LoopDispatcher(mailboxes: loops.mailboxes) { [logger, failed] event in
            ServerNode.log(event, logger)
            switch event {
            case .diskFull(let isFull): checkpointer.hurry(isFull)
            case .readable: readiness.set(true)
            case .stopped:
                readiness.set(false)
                failed()
            default: break
            }
        }
        let replica = Replica(
            settings: ServerNode.settings(
                configuration, identity, loopCount: loops.mailboxes.count),
            node: opened.restore(identity, seed: ServerNode.randomNumber()), log: opened.log,
            pages: opened.pages,
            space: SpaceGuard(disk: directory.disk, directory: path), status: status,
            output: dispatcher)
        replicaThread = ReplicaThread(replica: replica, inbox: inbox, dispatcher: dispatcher)
        if let torn = opened.recovered.tornTail {
            logger.warning(
                "cut an interrupted write off the log",
                metadata: [
                    "file": "\(torn.file)", "offset": "\(torn.offset)", "bytes": "\(torn.bytes)",
                ])
        }
        bindMetrics(sink: sink)
    }

    /// Starts the threads and opens the ports; when it returns true the node serves.
    func start() throws(NodeError) -> Bool {
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
        replicaThread.start()
        checkpointer.start()
        // Nothing is served before the state is known to hold everything that was acknowledged.
        guard readiness.wait() else { return false }
        do throws(TransportError) {
            try listen()
        } catch {
            throw .transport(error)
        }
        return true
    }

    /// Stops serving, lets calls end, and closes the store in order.
    func stop() {
        for listener in listeners { listener.drain() }
        for listener in listeners { listener.close() }
        replicaThread.stop()
        checkpointer.stop()
        logWriter?.stop()
        logger.info("stopped")
    }

    // MARK: pieces

    /// Locks the data directory and finds out whose it is; an empty one becomes this member's.
    private static func claim(
        _ configuration: Configuration
    ) throws(NodeError) -> (DataDirectory, Identity) {
        let path = configuration.dataDirectory
        let directory: DataDirectory
        do throws(StorageError) {
            directory = try DataDirectory(
                path: path, disk: PosixDisk(skipsSync: configuration.unsafeNoFsync))
            if let identity = try directory.identity() { return (directory, identity) }
        } catch {
            throw .storage(error, directory: path)
        }
        let founding: ClusterIdentity
        do throws(ConfigurationError) {
            founding = try configuration.foundingIdentity()
        } catch {
            throw .configuration(error)
        }
        let identity = Identity(clusterID: founding.clusterID, memberID: founding.memberID)
        do throws(StorageError) {
            try directory.found(identity)
        } catch {
            throw .storage(error, directory: path)
        }
        return (directory, identity)
    }

    private static func randomNumber() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    private static func settings(
        _ configuration: Configuration, _ identity: Identity, loopCount: Int
    ) -> ReplicaSettings {
        var settings = ReplicaSettings(
            identity: identity,
            member: MemberRow(
                id: identity.memberID, name: configuration.name,
                peerURLs: configuration.initialAdvertisePeerURLs.map(\.description),
                clientURLs: configuration.advertiseClientURLs.map(\.description), isLearner: false))
        settings.executor.minimumLeaseTTL = configuration.minimumLeaseTTLSeconds
        settings.executor.quotaBytes = configuration.quotaBackendBytes
        settings.electionTimeoutMilliseconds = UInt64(configuration.electionTimeoutMilliseconds)
        settings.heartbeatMilliseconds = UInt64(configuration.heartbeatIntervalMilliseconds)
        settings.autoCompaction = configuration.autoCompaction
        settings.compactionBatchLimit = configuration.compactionBatchLimit
        settings.compactionSleepMilliseconds = UInt64(
            max(1, configuration.compactionSleepInterval.milliseconds))
        settings.loopCount = loopCount
        settings.seed = randomNumber()
        return settings
    }

    private func listen() throws(TransportError) {
        let client = try loops.registry(.client, services: services)
        metrics.network.receivedBytes.bind { client.counts.bytesReceived }
        metrics.network.sentBytes.bind { client.counts.bytesSent }
        metrics.network.connections.bind { Double(client.counts.connectionsOpen) }
        metrics.network.connectionsAccepted.bind { client.counts.connectionsAccepted }
        metrics.network.connectionsRefused.bind { client.counts.connectionsRefused }
        metrics.network.connectionErrors.bind { client.counts.connectionErrors }
        for place in configuration.clientListeners {
            try listen(
                on: place.url, registry: client, servesRPC: place.servesRPC, "client traffic")
        }
        guard !configuration.listenMetricsURLs.isEmpty else { return }
        let probes = try loops.registry(.metrics, services: services)
        for url in configuration.listenMetricsURLs {
            try listen(on: url, registry: probes, servesRPC: false, "metrics and probes")
        }
    }

    private func listen(
        on url: EndpointURL, registry: HandlerRegistry, servesRPC: Bool, _ purpose: String
    ) throws(TransportError) {
        let tls = url.scheme.isSecure ? tlsConfiguration : nil
        let listener = try Listener.bind(
            ListenerConfiguration(
                host: url.host, port: url.port, tls: tls, limits: connectionLimits,
                servesRPC: servesRPC), registry: registry)
        listeners.append(listener)
        logger.info("listening for \(purpose)", metadata: ["url": "\(url)"])
    }

    private var tlsConfiguration: TLSConfiguration {
        TLSConfiguration(
            certificateFile: configuration.certFile, keyFile: configuration.keyFile,
            trustedCAFile: configuration.trustedCAFile.isEmpty ? nil : configuration.trustedCAFile,
            requireClientCertificate: configuration.requiresClientCertificate,
            minimumVersion: configuration.tlsMinVersion == .tls13 ? .tls13 : .tls12,
            maximumVersion: configuration.tlsMaxVersion.map { $0 == .tls12 ? .tls12 : .tls13 },
            cipherSuites: configuration.cipherSuites.map(\.openSSLName))
    }

    private var connectionLimits: ConnectionLimits {
        var limits = ConnectionLimits()
        limits.receiveMessageBytesMax = configuration.receiveMessageBytesMax
        limits.advertisedStreamsMax = configuration.maxConcurrentStreams
        limits.pingIntervalMinNanoseconds = configuration.keepaliveMinTime.nanosecondsClamped
        limits.keepaliveTimeNanoseconds = configuration.keepaliveInterval.nanosecondsClamped
        limits.keepaliveTimeoutNanoseconds = configuration.keepaliveTimeout.nanosecondsClamped
        return limits
    }

    private var services: ServiceParts {
        var limits = FrontLimits()
        limits.requestBytesMax = configuration.maxRequestBytes
        limits.operationsMax = configuration.maxTxnOps
        limits.requestTimeoutMilliseconds = UInt64(configuration.requestTimeout.milliseconds)
        limits.quotaBytes = configuration.quotaBackendBytes
        limits.version = Product.etcdVersion
        return ServiceParts(
            identity: identity, limits: limits, status: status, pages: pages, inbox: inbox,
            metrics: metrics, logger: logger,
            fragmentBytesMax: configuration.receiveMessageBytesMax,
            progressMilliseconds: UInt64(
                max(100, configuration.watchProgressNotifyInterval.milliseconds)),
            corsOrigins: configuration.corsOrigins, hostWhitelist: configuration.hostWhitelist)
    }

    private static func log(_ event: ReplicaEvent, _ logger: Logger) {
        switch event {
        case .readable: logger.debug("the store can be read")
        case .becameLeader(let term):
            logger.info("became leader", metadata: ["term": "\(term)"])
        case .requestFailed(let error):
            logger.error(
                "requests failed on an error of the store", metadata: ["error": "\(error)"])
        case .stopped(let error):
            logger.critical("the store can't go on: stopping", metadata: ["error": "\(error)"])
        case .compacted(let revision):
            logger.info("finished compaction", metadata: ["compact-revision": "\(revision)"])
        case .diskFull(true): logger.error("no space on the disk: writes are refused")
        case .diskFull(false): logger.info("the disk has space again")
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
        metrics.server.isLeader.bind { status.leader == ownID ? 1 : 0 }
        metrics.server.proposalsCommitted.bind { Double(status.committed) }
        metrics.server.proposalsApplied.bind { Double(status.applied) }
        metrics.server.proposalsPending.bind { Double(status.pendingProposals) }
        metrics.server.proposalsFailed.bind { UInt64(status.failedProposals) }
        metrics.server.quotaBytes.bind { [quota = configuration.quotaBackendBytes] in
            Double(quota ?? 0)
        }
        metrics.network.droppedLogLines.bind { sink.droppedLines }
    }
}

/// Whether the store came up, told by the replica's thread to the one that starts the node.
private final class Readiness: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards `state`.
    private let monitor = Monitor()
    private let changed = MonitorCondition()
    private var state: Bool?

    /// The first word counts.
    func set(_ isReady: Bool) {
        monitor.lock()
        defer { monitor.unlock() }
        state = state ?? isReady
        changed.signal()
    }

    /// Waits for the word.
    func wait() -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while true {
            if let state { return state }
            changed.wait(monitor)
        }
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
