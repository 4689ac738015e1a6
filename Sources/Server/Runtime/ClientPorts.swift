// ClientPorts.swift: the ports for clients: opened when there is something to serve, drained at the end.
// Belongs here: listeners, and when they may open. Never here: what is served (LoopSet, API/).
// Source: etcd serves once its member is ready, or after `--experimental-wait-cluster-ready-timeout`.

internal import Logging
internal import Storage
internal import Transport

/// The listeners for clients, metrics and probes.
final class ClientPorts {
    private let configuration: Configuration
    private let loops: LoopSet
    private let services: ServiceParts
    private let logger: Logger
    private var listeners: [Listener] = []

    init(
        configuration: Configuration, loops: LoopSet, services: ServiceParts, logger: Logger
    ) {
        self.configuration = configuration
        self.loops = loops
        self.services = services
        self.logger = logger
    }

    func open() throws(TransportError) {
        let client = try loops.registry(.client, services: services)
        let network = services.metrics.network
        network.receivedBytes.bind { client.counts.messageBytesReceived }
        network.sentBytes.bind { client.counts.messageBytesSent }
        network.connections.bind { Double(client.counts.connectionsOpen) }
        network.connectionsAccepted.bind { client.counts.connectionsAccepted }
        network.connectionsRefused.bind { client.counts.connectionsRefused }
        network.connectionErrors.bind { client.counts.connectionErrors }
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

    /// Lets calls end, then closes.
    func close() {
        for listener in listeners { listener.drain() }
        for listener in listeners { listener.close() }
    }

    private func listen(
        on url: EndpointURL, registry: HandlerRegistry, servesRPC: Bool, _ purpose: String
    ) throws(TransportError) {
        let tls = url.scheme.isSecure ? tlsConfiguration : nil
        let listener = try Listener.bind(
            ListenerConfiguration(
                address: url.scheme.isUnix
                    ? .unix(path: url.host) : .tcp(host: url.host, port: url.port),
                tls: tls, limits: connectionLimits, servesRPC: servesRPC,
                reusesPort: configuration.socketReusePort), registry: registry)
        listeners.append(listener)
        logger.info("listening for \(purpose)", metadata: ["url": "\(url)"])
    }

    private var tlsConfiguration: TLSConfiguration {
        TLSConfiguration(
            certificateFile: configuration.certFile, keyFile: configuration.keyFile,
            trustedCAFile: configuration.trustedCAFile.isEmpty ? nil : configuration.trustedCAFile,
            revocationFile: configuration.clientCRLFile.isEmpty ? nil : configuration.clientCRLFile,
            allowedHostnames: configuration.clientAllowedHostnames,
            requireClientCertificate: configuration.requiresClientCertificate,
            minimumVersion: configuration.tlsMinVersion?.transportVersion ?? .tls12,
            maximumVersion: configuration.tlsMaxVersion?.transportVersion,
            cipherSuites: configuration.cipherSuites.map(\.openSSLName))
    }

    private var connectionLimits: ConnectionLimits {
        var limits = ConnectionLimits()
        limits.receiveMessageBytesMax = configuration.receiveMessageBytesMax
        // The same request as JSON: base64 makes it a third larger, names a little more.
        limits.httpBodyBytesMax = max(
            limits.httpBodyBytesMax, 2 * configuration.receiveMessageBytesMax)
        limits.advertisedStreamsMax = configuration.maxConcurrentStreams
        limits.pingIntervalMinNanoseconds = configuration.keepaliveMinTime.nanosecondsClamped
        limits.keepaliveTimeNanoseconds = configuration.keepaliveInterval.nanosecondsClamped
        limits.keepaliveTimeoutNanoseconds = configuration.keepaliveTimeout.nanosecondsClamped
        return limits
    }
}

/// Opens the ports on a thread of its own, as soon as the replica has something to serve.
final class ClientOpening: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var but `thread` and `ports`, which belong to the owner
    // and, until it ends, to the thread.
    /// What the replica has.
    enum Reason: Sendable {
        /// The tables exist here: reads of the local state can be answered.
        case known
        /// A quorum has confirmed that the local state is up to date.
        case readable
        /// The table of members has this one's name and client URLs (K9), and as a voter if it came as one
        /// (K4): from then on a change of members counts it as started, so a script that waits for this
        /// member may go on with the next.
        case published
    }

    private let monitor = Monitor()
    private let changed = MonitorCondition()
    private var isKnown = false
    private var isReadable = false
    private var isPublished = false
    private var isStopping = false
    private var thread: SystemThread?
    private var ports: ClientPorts?

    /// Without a quorum the local state is served after this; etcd waits as long.
    private static let waitNanoseconds: UInt64 = 5_000_000_000

    func allow(_ reason: Reason) {
        monitor.lock()
        defer { monitor.unlock() }
        switch reason {
        case .known: isKnown = true
        case .readable: isReadable = true
        case .published: isPublished = true
        }
        changed.signal()
    }

    /// - Parameter failed: called if a port can't be opened.
    func start(_ ports: ClientPorts, logger: Logger, failed: @escaping @Sendable () -> Void) {
        self.ports = ports
        thread = SystemThread { [self] in
            guard wait(logger) else { return }
            do throws(TransportError) {
                try self.ports?.open()
                logger.info("ready to serve client requests")
                ServiceManager.tell(.ready)
            } catch {
                logger.critical("\(error)")
                failed()
            }
        }
    }

    func stop() {
        monitor.lock()
        isStopping = true
        changed.signal()
        monitor.unlock()
        thread?.join()
        ports?.close()
    }

    /// Waits until something can be served; false when the node stops before.
    private func wait(_ logger: Logger) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        var deadline = MonotonicClock.nanoseconds + Self.waitNanoseconds
        while !isStopping {
            if isKnown, isReadable, isPublished { return true }
            if MonotonicClock.nanoseconds >= deadline {
                deadline += Self.waitNanoseconds
                logger.warning(
                    isKnown
                        ? "no quorum yet: serving what needs none"
                        : "waiting for the other members: nothing can be served yet")
                if isKnown { return true }
            }
            changed.wait(monitor, untilNanoseconds: deadline)
        }
        return false
    }
}
