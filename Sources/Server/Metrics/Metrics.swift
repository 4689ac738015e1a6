// Metrics.swift: every metric of the process, by etcd's names. Belongs here: the list, grouped by
// the part that updates it. Never here: counting (the parts), the text's format
// (MetricRegistry.swift). Source: etcd's /metrics. Some *_total are gauges there; they keep that
// type.

import Synchronization

/// The metrics of one process; made once, updated from any thread.
final class Metrics: Sendable {
    let disk: DiskMetrics
    let mvcc: MVCCMetrics
    let lease: LeaseMetrics
    let server: ServerMetrics
    let network: NetworkMetrics
    let peers = PeerMetrics()
    let backup: BackupMetrics
    /// In the order of the methods given to the initialiser.
    let methods: [GRPCMethodMetrics]

    private let families: [MetricFamily]
    private let methodsByPath: [String: GRPCMethodMetrics]
    private let process: ProcessReading

    /// The value of Content-Type for ``exposition()``.
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Makes all metrics.
    ///
    /// - Parameters:
    ///   - identity: what the info metrics tell.
    ///   - methods: the methods with series, each once; see ``MetricMethod/completing(_:)``.
    ///   - level: extensive adds the time of each method.
    init(identity: MetricIdentity, methods: [MetricMethod], level: MetricsLevel) {
        var registry = MetricRegistry()
        disk = DiskMetrics(&registry)
        mvcc = MVCCMetrics(&registry)
        lease = LeaseMetrics(&registry)
        server = ServerMetrics(&registry)
        network = NetworkMetrics(&registry)
        peers.register(&registry, ownID: identity.memberID)
        backup = BackupMetrics(&registry)
        identity.register(&registry)
        self.methods = registry.grpcServer(methods, measuresTime: level == .extensive)
        let process = ProcessReading()
        registry.process { process.current() }
        self.process = process
        families = registry.families.sorted { $0.name < $1.name }
        methodsByPath = Dictionary(uniqueKeysWithValues: self.methods.map { ($0.method.path, $0) })
    }

    /// The metrics of a method by its path; look it up once, not per call.
    func method(path: String) -> GRPCMethodMetrics? { methodsByPath[path] }

    /// The text of one scrape.
    func exposition() -> [UInt8] {
        process.refresh()
        var text = ""
        text.reserveCapacity(128 << 10)
        for family in families { family.write(to: &text) }
        return Array(text.utf8)
    }
}

/// What identifies the process in its metrics.
struct MetricIdentity: Sendable {
    let memberID: UInt64
    /// The version that clients see, such as 3.5.16.
    let serverVersion: String
    /// Its first two numbers.
    let clusterVersion: String

    fileprivate func register(_ registry: inout MetricRegistry) {
        registry.info(
            "etcd_server_id", "1, with the member's id as label.", label: "server_id",
            value: String(memberID, radix: 16))
        registry.info(
            "etcd_server_version", "1, with the served version as label.", label: "server_version",
            value: serverVersion)
        registry.info(
            "etcd_cluster_version", "1, with the cluster's version as label.",
            label: "cluster_version", value: clusterVersion)
    }
}

/// The kernel's figures, read once per scrape.
private final class ProcessReading: Sendable {
    private let latest = Mutex(ProcessStatistics())

    func refresh() {
        let statistics = ProcessStatistics.read()
        latest.withLock { $0 = statistics }
    }

    func current() -> ProcessStatistics { latest.withLock { $0 } }
}
