// MetricGroups.swift: the metrics of each part of the process, with names, help and buckets.
// Belongs here: one struct per part. Never here: updating them. Source: etcd's /metrics (names,
// types, buckets); help texts are our own.

/// The buckets that most durations of the disk share: 1 ms to 8 s.
private let diskBuckets = HistogramBuckets.doubling(from: 0.001, count: 14)

/// Log and database file.
struct DiskMetrics: Sendable {
    let walFsyncSeconds: Histogram
    let walWriteSeconds: Histogram
    let walWriteBytes: Gauge
    let backendCommitSeconds: Histogram
    let snapshotSeconds: Histogram
    let defragSeconds: Histogram

    init(_ registry: inout MetricRegistry) {
        walFsyncSeconds = registry.histogram(
            "etcd_disk_wal_fsync_duration_seconds", "Time of one sync of the log.", diskBuckets)
        walWriteSeconds = registry.histogram(
            "etcd_disk_wal_write_duration_seconds", "Time of one write to the log.", diskBuckets)
        walWriteBytes = registry.gauge(
            "etcd_disk_wal_write_bytes_total", "Bytes written to the log.")
        backendCommitSeconds = registry.histogram(
            "etcd_disk_backend_commit_duration_seconds",
            "Time of one sync of the database file.", diskBuckets)
        snapshotSeconds = registry.histogram(
            "etcd_disk_backend_snapshot_duration_seconds", "Time of sending a client one snapshot.",
            .doubling(from: 0.01, count: 17))
        defragSeconds = registry.histogram(
            "etcd_disk_backend_defrag_duration_seconds", "Time of answering one Defragment.",
            .doubling(from: 0.1, count: 13))
    }
}

/// The store of keys and revisions, and its watches.
struct MVCCMetrics: Sendable {
    let puts: Counter
    let deletes: Counter
    let ranges: Counter
    let txns: Counter
    let dbTotalBytes: Gauge
    let dbInUseBytes: Gauge
    let hashSeconds: Histogram
    let hashRevSeconds: Histogram
    let currentRevision: Gauge
    let compactRevision: Gauge
    let keys: Gauge
    let keyCount = KeyCountState()
    let totalPutBytes: Gauge
    let events: Counter
    let pendingEvents: Gauge
    let watchStreams: Gauge
    let watchers: Gauge
    let slowWatchers: Gauge
    let compactionLastSeconds: Gauge
    let compactionMilliseconds: Histogram

    init(_ registry: inout MetricRegistry) {
        puts = registry.counter("etcd_mvcc_put_total", "Puts seen by this member.")
        deletes = registry.counter("etcd_mvcc_delete_total", "Deletes seen by this member.")
        ranges = registry.counter("etcd_mvcc_range_total", "Ranges seen by this member.")
        txns = registry.counter("etcd_mvcc_txn_total", "Transactions seen by this member.")
        dbTotalBytes = registry.gauge(
            "etcd_mvcc_db_total_size_in_bytes", "Size of the database file.")
        dbInUseBytes = registry.gauge(
            "etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of it that hold data.")
        hashSeconds = registry.histogram(
            "etcd_mvcc_hash_duration_seconds", "Time of one Hash.",
            .doubling(from: 0.01, count: 15))
        hashRevSeconds = registry.histogram(
            "etcd_mvcc_hash_rev_duration_seconds", "Time of one HashKV.",
            .doubling(from: 0.01, count: 15))
        currentRevision = registry.gauge(
            "etcd_debugging_mvcc_current_revision", "The newest revision.")
        compactRevision = registry.gauge(
            "etcd_debugging_mvcc_compact_revision", "The revision of the last compaction.")
        keys = registry.gauge("etcd_debugging_mvcc_keys_total", "Live keys.")
        totalPutBytes = registry.gauge(
            "etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes of all Put requests.")
        events = registry.counter("etcd_debugging_mvcc_events_total", "Events sent to watches.")
        pendingEvents = registry.gauge(
            "etcd_debugging_mvcc_pending_events_total", "Events waiting to be sent.")
        watchStreams = registry.gauge(
            "etcd_debugging_mvcc_watch_stream_total", "Open watch streams.")
        watchers = registry.gauge("etcd_debugging_mvcc_watcher_total", "Open watches.")
        slowWatchers = registry.gauge(
            "etcd_debugging_mvcc_slow_watcher_total", "Watches that are catching up.")
        compactionLastSeconds = registry.gauge(
            "etcd_debugging_mvcc_db_compaction_last",
            "Unix time of the last compaction since the start, else 0.")
        compactionMilliseconds = registry.histogram(
            "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
            "Time of one compaction.", .doubling(from: 100, count: 14), unit: .milliseconds)
    }
}

/// Leases.
struct LeaseMetrics: Sendable {
    let granted: Counter
    let renewed: Counter
    let revoked: Counter
    let expired: Counter
    /// Times to live that were asked for, in seconds.
    let ttlSeconds: Histogram

    init(_ registry: inout MetricRegistry) {
        granted = registry.counter("etcd_debugging_lease_granted_total", "Leases granted.")
        renewed = registry.counter("etcd_debugging_lease_renewed_total", "Keepalives answered.")
        revoked = registry.counter("etcd_debugging_lease_revoked_total", "Leases revoked.")
        expired = registry.counter("etcd_debugging_server_lease_expired_total", "Leases expired.")
        ttlSeconds = registry.histogram(
            "etcd_debugging_lease_ttl_total", "Times to live asked for.",
            .doubling(from: 1, count: 24), unit: .plain)
    }
}

/// Raft, the replica's loop and health.
struct ServerMetrics: Sendable {
    let hasLeader: Gauge
    let isLeader: Gauge
    let isLearner: Gauge
    let leaderChanges: Counter
    let proposalsCommitted: Gauge
    let proposalsApplied: Gauge
    let proposalsPending: Gauge
    let proposalsFailed: Counter
    let quotaBytes: Gauge
    let authRevision: Gauge
    let slowApplies: Counter
    let slowReadIndexes: Counter
    let readIndexesFailed: Counter
    let heartbeatSendFailures: Counter
    let healthSuccesses: Counter
    let healthFailures: Counter
    /// Calls by the release of the client's library and by the kind of call.
    let clientRequests = LabelledCounter(["client_api_version", "type"])
    /// Checks of /livez and /readyz that were made, by outcome.
    let healthChecks = LabelledCounter(["name", "status", "type"])
    let learnerPromotions: Counter
    let failedLogins: Counter
    let isDamaged: Gauge
    private let apply: [Histogram]

    init(_ registry: inout MetricRegistry) {
        hasLeader = registry.gauge("etcd_server_has_leader", "1 if a leader is known.")
        isLeader = registry.gauge("etcd_server_is_leader", "1 if this member leads.")
        isLearner = registry.gauge("etcd_server_is_learner", "1 if this member is a learner.")
        leaderChanges = registry.counter(
            "etcd_server_leader_changes_seen_total", "Changes of the leader.")
        proposalsCommitted = registry.gauge(
            "etcd_server_proposals_committed_total", "The greatest committed index.")
        proposalsApplied = registry.gauge(
            "etcd_server_proposals_applied_total", "The greatest applied index.")
        proposalsPending = registry.gauge(
            "etcd_server_proposals_pending", "Proposals that wait for their commit.")
        proposalsFailed = registry.counter(
            "etcd_server_proposals_failed_total", "Proposals that failed.")
        quotaBytes = registry.gauge(
            "etcd_server_quota_backend_bytes", "Greatest size of the database; 0 = no limit.")
        isDamaged = registry.gauge(
            "martlet_database_damaged", "1 while this member's database is damaged.")
        failedLogins = registry.counter(
            "martlet_auth_failed_logins_total",
            "Logins at this member with a wrong name or password.")
        authRevision = registry.gauge(
            "etcd_debugging_auth_revision", "Changes of users, roles and permissions.")
        slowApplies = registry.counter(
            "etcd_server_slow_apply_total", "Requests that took longer than the warning's limit.")
        slowReadIndexes = registry.counter(
            "etcd_server_slow_read_indexes_total", "Read indexes that came late.")
        readIndexesFailed = registry.counter(
            "etcd_server_read_indexes_failed_total", "Read indexes that failed.")
        heartbeatSendFailures = registry.counter(
            "etcd_server_heartbeat_send_failures_total", "Heartbeats sent late.")
        healthSuccesses = registry.counter(
            "etcd_server_health_success", "Health checks answered with true.")
        healthFailures = registry.counter(
            "etcd_server_health_failures", "Health checks answered with false.")
        learnerPromotions = registry.counter(
            "etcd_server_learner_promote_successes", "Learners that this member promoted.")
        apply = registry.applyHistograms()
        registry.add(
            "etcd_server_client_requests_total", "Calls by the client library's release.",
            clientRequests)
        registry.add(
            "etcd_server_healthchecks_total", "Checks made for /livez and /readyz.", healthChecks)
    }

    /// The time of executing one operation, by its outcome.
    func applySeconds(_ operation: ApplyOperation, success: Bool) -> Histogram {
        apply[operation.rawValue * 2 + (success ? 1 : 0)]
    }
}

/// Label op of etcd_server_apply_duration_seconds.
enum ApplyOperation: Int, CaseIterable, Sendable {
    case put, deleteRange, txn, compaction, leaseGrant, leaseRevoke, alarm

    /// The operation of a request; nil of those that etcd does not measure.
    init?(_ body: ReplicaRequest.Body) {
        switch body {
        case .put: self = .put
        case .deleteRange: self = .deleteRange
        case .txn: self = .txn
        case .compact: self = .compaction
        case .leaseGrant: self = .leaseGrant
        case .leaseRevoke: self = .leaseRevoke
        case .alarm: self = .alarm
        default: return nil
        }
    }

    fileprivate var label: String {
        switch self {
        case .put: "Put"
        case .deleteRange: "DeleteRange"
        case .txn: "Txn"
        case .compaction: "Compaction"
        case .leaseGrant: "LeaseGrant"
        case .leaseRevoke: "LeaseRevoke"
        case .alarm: "Alarm"
        }
    }
}

extension MetricRegistry {
    fileprivate mutating func applyHistograms() -> [Histogram] {
        var histograms: [Histogram] = []
        var series: [(labels: MetricLabels, source: MetricFamily.Source)] = []
        for operation in ApplyOperation.allCases {
            for success in ["false", "true"] {
                let histogram = Histogram(.doubling(from: 0.0001, count: 20), unit: .seconds)
                let labels = MetricLabels([
                    ("op", operation.label), ("success", success), ("version", "v3"),
                ])
                histograms.append(histogram)
                series.append((labels, .histogram(histogram)))
            }
        }
        add(
            MetricFamily(
                name: "etcd_server_apply_duration_seconds",
                help: "Time of executing one operation.",
                kind: .histogram, hidesUnused: true, series: series))
        return histograms
    }
}

/// Scheduled backups.
struct BackupMetrics: Sendable {
    let successes: Counter
    let failures: Counter
    let lastSeconds: Gauge
    let lastBytes: Gauge
    let lastMilliseconds: Gauge

    init(_ registry: inout MetricRegistry) {
        successes = registry.counter("martlet_backup_success_total", "Backups made by this member.")
        failures = registry.counter("martlet_backup_failure_total", "Backups that failed.")
        lastSeconds = registry.gauge(
            "martlet_backup_last_success_timestamp_seconds",
            "Unix time of this member's last backup since its start, else 0.")
        lastBytes = registry.gauge("martlet_backup_last_size_bytes", "Size of that backup.")
        lastMilliseconds = registry.gauge(
            "martlet_backup_last_duration_milliseconds", "Time that backup took.")
    }
}

/// Client connections, and the log.
struct NetworkMetrics: Sendable {
    let receivedBytes: Counter
    let sentBytes: Counter
    let connections: Gauge
    let connectionsAccepted: Counter
    let connectionsRefused: Counter
    let connectionErrors: Counter
    let droppedLogLines: Counter
    let droppedAuditLines: Counter

    init(_ registry: inout MetricRegistry) {
        receivedBytes = registry.counter(
            "etcd_network_client_grpc_received_bytes_total", "Bytes of messages from clients.")
        sentBytes = registry.counter(
            "etcd_network_client_grpc_sent_bytes_total", "Bytes of messages to clients.")
        connections = registry.gauge("martlet_client_connections", "Open client connections.")
        connectionsAccepted = registry.counter(
            "martlet_client_connections_accepted_total", "Client connections since the start.")
        connectionsRefused = registry.counter(
            "martlet_client_connections_refused_total", "Connections beyond the limit.")
        connectionErrors = registry.counter(
            "martlet_client_connection_errors_total", "Connections that an error ended.")
        droppedLogLines = registry.counter(
            "martlet_log_dropped_lines_total", "Log lines that an output did not take.")
        droppedAuditLines = registry.counter(
            "martlet_audit_dropped_lines_total", "Lines of the audit log that were lost.")
    }
}
