// Configuration.swift: everything the process was told, checked and typed. Belongs here: the
// settings and what follows from them. Never here: where a value came from
// (Configuration+Load.swift), its flag and default text (FlagTable*.swift). Defaults stand once, in
// the flag table.

/// The settings of one node.
///
/// Built by ``load(arguments:environment:readFile:)`` only, so each value has passed its flag's
/// parser and the cross checks.
struct Configuration: Sendable, Equatable {
    // Identity and places.
    var name = ""
    var dataDirectory = ""
    var listenClientURLs: [EndpointURL] = []
    var listenClientHTTPURLs: [EndpointURL] = []
    var listenMetricsURLs: [EndpointURL] = []
    var listenPeerURLs: [EndpointURL] = []
    /// Whether that is the default, which nobody asked for.
    var listensToPeersByDefault = false
    var advertiseClientURLs: [EndpointURL] = []
    /// Whether other processes may listen on the same ports.
    var socketReusePort = false

    // The cluster at its first start.
    var initialAdvertisePeerURLs: [EndpointURL] = []
    var initialCluster: [InitialMember] = []
    var initialClusterToken = ""
    var initialClusterState = InitialClusterState.new
    /// Whether membership changes that could lose the quorum are refused.
    var strictReconfigCheck = true
    var maxLearners = 1
    /// Whether the leader promotes every learner once it has caught up.
    var autoPromote = false

    // Raft.
    var heartbeatIntervalMilliseconds = 0
    var electionTimeoutMilliseconds = 0
    /// Whether a member asks, before it stands for election, if it could win.
    var preVote = true
    /// Bytes of the log that are kept for members that are behind, beyond what recovery needs.
    var logRetentionBytes: Int64 = 0
    /// How fast a snapshot is sent to a member; nil for as fast as the connection takes it.
    var snapshotBytesPerSecond: Int64?

    // TLS of the client listeners.
    var certFile = ""
    var keyFile = ""
    var trustedCAFile = ""
    var clientCertAuth = false
    /// Lists of client certificates that count no more; empty for none.
    var clientCRLFile = ""
    /// Host names of which a client's certificate must carry one; empty for any.
    var clientAllowedHostnames: [String] = []
    /// Whether a certificate for clients is made where none is given: `--auto-tls`.
    var autoTLS = false
    /// How long a certificate of our own make is valid.
    var selfSignedCertValidityYears = 1
    var tlsMinVersion: TLSVersionSetting?
    var tlsMaxVersion: TLSVersionSetting?
    var cipherSuites: [CipherSuite] = []

    // TLS between members.
    var peerTLS = PeerTLSSettings()

    // Limits.
    var maxRequestBytes = 0
    var maxTxnOps = 0
    var maxConcurrentStreams: UInt32 = 0
    /// The greatest size of the database; nil = none.
    var quotaBackendBytes: Int64?

    // Backups.
    var backup = BackupSettings()

    // Compaction and watches.
    var autoCompaction = AutoCompaction.off
    var compactionBatchLimit = 0
    var compactionSleepInterval = Duration.zero
    var watchProgressNotifyInterval = Duration.zero

    // gRPC and HTTP.
    /// The least time between pings of a client; more often is answered with GOAWAY.
    var keepaliveMinTime = Duration.zero
    /// The time without traffic after which the server pings; zero = never.
    var keepaliveInterval = Duration.zero
    /// How long the server waits for the answer to its ping.
    var keepaliveTimeout = Duration.zero
    /// Allowed origins; "*" alone = all.
    var corsOrigins: [String] = []
    /// Allowed Host headers of plain HTTP; "*" alone = all.
    var hostWhitelist: [String] = []
    var enableGRPCGateway = true
    var metricsLevel = MetricsLevel.basic

    // Logs.
    var logLevel = LogSeverity.info
    var logFormat = LogFormat.json
    var logOutputs: [LogOutput] = []
    /// Whether log files make way for new ones, and when.
    var rotatesLogs = false
    var logRotation = Rotation.never
    /// Where every call is written down; nil for nowhere.
    var auditOutput: AuditOutput?
    var auditRotation = Rotation.never
    var warningApplyDuration = Duration.zero
    var warningUnaryRequestDuration = Duration.zero

    // Auth.
    var authToken = AuthTokenSetting.simple
    var bcryptCost = 0
    var authTokenTTLSeconds = 0

    // Dangerous ones.
    /// Skips every sync of the log: a crash of the machine then loses acknowledged writes.
    var unsafeNoFsync = false
    var featureGates = FeatureGates()

    /// Whether there is a file that somebody may rotate, and want opened anew.
    var writesFiles: Bool {
        let isFile = logOutputs.contains { if case .file = $0 { true } else { false } }
        if case .file = auditOutput { return true }
        return isFile
    }

    /// Whether client listeners ask for, and verify, a certificate of the client.
    ///
    /// As in etcd a trusted CA alone suffices to demand one.
    var requiresClientCertificate: Bool { clientCertAuth || !trustedCAFile.isEmpty }

    /// Where clients are served, and with what.
    ///
    /// `--listen-client-http-urls` moves HTTP away from the other client URLs; a URL in both lists
    /// serves both.
    var clientListeners: [ClientListener] {
        let split = !listenClientHTTPURLs.isEmpty
        let rpc = listenClientURLs.map { url in
            ClientListener(
                url: url, servesRPC: true, servesHTTP: !split || listenClientHTTPURLs.contains(url))
        }
        let http = listenClientHTTPURLs.filter { !listenClientURLs.contains($0) }
        return rpc + http.map { ClientListener(url: $0, servesRPC: false, servesHTTP: true) }
    }

    /// The longest a request may take in the replica: 5 s and two election timeouts, as in etcd.
    var requestTimeout: Duration { .milliseconds(5000 + 2 * electionTimeoutMilliseconds) }

    /// The least time to live a lease gets, in seconds: one and a half election timeouts, rounded
    /// up.
    var minimumLeaseTTLSeconds: Int64 { Int64((electionTimeoutMilliseconds * 3 / 2 + 999) / 1000) }

    /// The greatest message a client may send, in bytes: the request and half a MiB around it.
    var receiveMessageBytesMax: Int { maxRequestBytes + 524_288 }
}

/// One place where clients are served.
struct ClientListener: Hashable, Sendable {
    let url: EndpointURL
    let servesRPC: Bool
    let servesHTTP: Bool
}

/// One member of `--initial-cluster`.
struct InitialMember: Hashable, Sendable {
    let name: String
    var peerURLs: [EndpointURL]
}

/// Whether the first start founds a cluster or joins one.
enum InitialClusterState: String, Sendable, CaseIterable {
    case new, existing
}

/// Which old revisions the node compacts on its own.
enum AutoCompaction: Equatable, Sendable {
    case off
    /// Keeps the history of this much time.
    case periodic(Duration)
    /// Keeps this many revisions.
    case revisions(Int64)
}

/// `--metrics`.
enum MetricsLevel: String, Sendable, CaseIterable {
    case basic
    /// Adds the histogram of the time each RPC took.
    case extensive
}

/// `--log-format`.
enum LogFormat: String, Sendable, CaseIterable {
    case json, console
}

/// `--log-level`, in etcd's words.
enum LogSeverity: String, Sendable, CaseIterable {
    case debug, info, warn, error, dpanic, panic, fatal
}

/// One place of `--log-outputs`.
enum LogOutput: Hashable, Sendable {
    case standardError
    case standardOutput
    case file(path: String)
}

/// A protocol version of `--tls-min-version` and `--tls-max-version`.
enum TLSVersionSetting: String, Sendable, Comparable, CaseIterable {
    case tls12 = "TLS1.2"
    case tls13 = "TLS1.3"

    static func < (left: TLSVersionSetting, right: TLSVersionSetting) -> Bool {
        left.rawValue < right.rawValue
    }
}
