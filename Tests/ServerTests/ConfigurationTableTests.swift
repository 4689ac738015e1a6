// ConfigurationTableTests.swift: the flag table as a whole: no flag of etcd is missing, every line
// is consistent. The list of names was taken mechanically from the releases 3.4.45, 3.5.16, 3.6.14,
// 3.7.1 and main.

import Testing

@testable import Server

@Suite struct ConfigurationTableTests {
    private static let names = """
        advertise-client-urls auth-token auth-token-ttl auto-compaction-mode
        auto-compaction-retention auto-tls backend-batch-interval backend-batch-limit
        backend-bbolt-freelist-type bcrypt-cost bootstrap-defrag-threshold-megabytes
        cert-file cipher-suites client-cert-allowed-hostname client-cert-auth
        client-cert-file client-crl-file client-key-file compact-hash-check-time
        compaction-batch-limit compaction-sleep-interval config-file corrupt-check-time
        cors data-dir debug discovery discovery-cacert discovery-cert
        discovery-dial-timeout discovery-endpoints discovery-fallback
        discovery-insecure-skip-tls-verify discovery-insecure-transport
        discovery-keepalive-time discovery-keepalive-timeout discovery-key
        discovery-password discovery-proxy discovery-request-timeout discovery-srv
        discovery-srv-name discovery-token discovery-user distributed-tracing-address
        distributed-tracing-instance-id distributed-tracing-sampling-rate
        distributed-tracing-service-name downgrade-check-time election-timeout
        enable-distributed-tracing enable-grpc-gateway enable-log-rotation enable-pprof
        enable-v2 experimental-backend-bbolt-freelist-type
        experimental-bootstrap-defrag-threshold-megabytes
        experimental-compact-hash-check-enabled experimental-compact-hash-check-time
        experimental-compaction-batch-limit experimental-compaction-sleep-interval
        experimental-corrupt-check-time experimental-distributed-tracing-address
        experimental-distributed-tracing-instance-id
        experimental-distributed-tracing-sampling-rate
        experimental-distributed-tracing-service-name experimental-downgrade-check-time
        experimental-enable-distributed-tracing experimental-enable-lease-checkpoint
        experimental-enable-lease-checkpoint-persist experimental-enable-v2v3
        experimental-initial-corrupt-check experimental-memory-mlock
        experimental-peer-skip-client-san-verification
        experimental-snapshot-catchup-entries experimental-stop-grpc-service-on-defrag
        experimental-txn-mode-write-with-shared-buffer experimental-warning-apply-duration
        experimental-warning-unary-request-duration
        experimental-watch-progress-notify-interval feature-gates force-new-cluster
        grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout
        heartbeat-interval host-whitelist initial-advertise-peer-urls initial-cluster
        initial-cluster-state initial-cluster-token initial-election-tick-advance key-file
        listen-client-http-urls listen-client-urls listen-metrics-urls listen-peer-urls
        log-format log-level log-output log-outputs log-package-levels
        log-rotation-config-json logger max-concurrent-streams max-learners
        max-request-bytes max-snapshots max-txn-ops max-wals memory-mlock metrics name
        next-cluster-version-compatible peer-auto-tls peer-cert-allowed-cn
        peer-cert-allowed-hostname peer-cert-file peer-client-cert-auth
        peer-client-cert-file peer-client-key-file peer-crl-file peer-key-file
        peer-skip-client-san-verification peer-trusted-ca-file pre-vote proxy
        proxy-dial-timeout proxy-failure-wait proxy-read-timeout proxy-refresh-interval
        proxy-write-timeout quota-backend-bytes raft-read-timeout raft-write-timeout
        self-signed-cert-validity snapshot-catchup-entries snapshot-count
        socket-reuse-address socket-reuse-port strict-reconfig-check tls-max-version
        tls-min-version trusted-ca-file unsafe-no-fsync v2-deprecation version wal-dir
        warning-apply-duration warning-unary-request-duration
        watch-progress-notify-interval
        """.split { $0 == " " || $0 == "\n" }.map(String.init)

    @Test("table: every flag of etcd is known, by its name, variable and old names")
    func complete() {
        #expect(Self.names.count == 151)
        for name in Self.names {
            #expect(FlagTable.flag(named: name) != nil, "\(name)")
            #expect(FlagTable.name(forVariable: Flag.variable(name)) == name)
        }
    }

    /// Martlet's own flags, whose names no flag of etcd can take.
    private static let ownNames = [
        "martlet-audit-log", "martlet-audit-log-backups", "martlet-audit-log-max-bytes",
        "martlet-auto-promote", "martlet-backup-bytes-per-second", "martlet-backup-dir",
        "martlet-backup-from", "martlet-backup-interval", "martlet-backup-keep",
        "martlet-log-retention-bytes", "martlet-snapshot-bytes-per-second",
    ]

    @Test("table: no flag is there that etcd does not have, but those whose name says so")
    func nothingInvented() {
        let known = Set(Self.names + Self.ownNames)
        for flag in FlagTable.all {
            for name in [flag.name] + flag.formerNames {
                #expect(known.contains(name), "\(name)")
            }
        }
    }

    @Test("table: every default passes its own parser")
    func defaultsAreValid() throws {
        for flag in FlagTable.all where !flag.defaultText.contains("${") {
            var configuration = Configuration()
            #expect(throws: Never.self, "\(flag.name)") {
                try flag.value.apply(flag.defaultText, &configuration)
            }
        }
    }

    @Test("table: every flag that has no effect or is refused says why, in a sentence's middle")
    func reasons() {
        for flag in FlagTable.all {
            switch flag.standing {
            case .implemented: continue
            case .withoutEffect(let reason), .refused(let reason):
                #expect(reason.count > 10 && !reason.hasSuffix("."), "\(flag.name)")
            }
        }
    }

    @Test("table: a refused flag passes with its default and fails with anything else")
    func refusal() throws {
        #expect(try loadConfiguration("--enable-v2=false").warnings.isEmpty)
        let error = configurationError("--enable-v2")
        #expect(error == .refused(setting: "--enable-v2", reason: "the v2 API is not served"))
        #expect(
            configurationError("--wal-dir=/x").map { "\($0)" }?.contains("--wal-dir") == true)
    }

    @Test("table: flags without effect warn once per reason, and only when not at their default")
    func withoutEffect() throws {
        let loaded = try loadConfiguration(
            "--raft-read-timeout=1s", "--raft-write-timeout=1s", "--logger=zap",
            "--backend-batch-limit=5")
        #expect(loaded.warnings.count == 2)
        #expect(
            loaded.warnings.contains {
                $0.hasPrefix("no effect: --raft-read-timeout, --raft-write-timeout: ")
            })
    }

    @Test("help: every flag stands in it once, under its own line")
    func help() {
        let lines = HelpText.full().split(separator: "\n")
        for flag in FlagTable.all {
            let own = lines.filter { $0 == "  --\(flag.name)" || $0.hasPrefix("  --\(flag.name) ") }
            #expect(own.count == 1, "\(flag.name)")
        }
        #expect(lines.contains("  --data-dir <text> (default ${name}.martlet)"))
    }

    @Test("kubeadm: the arguments of its static pod are taken")
    func kubeadm() throws {
        let loaded = try loadConfiguration(
            "--advertise-client-urls=https://10.0.0.4:2379", "--cert-file=/pki/server.crt",
            "--client-cert-auth=true", "--data-dir=/var/lib/etcd",
            "--feature-gates=InitialCorruptCheck=true",
            "--initial-advertise-peer-urls=https://10.0.0.4:2380",
            "--initial-cluster=cp1=https://10.0.0.4:2380", "--key-file=/pki/server.key",
            "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.4:2379",
            "--listen-metrics-urls=http://127.0.0.1:2381",
            "--listen-peer-urls=https://10.0.0.4:2380", "--name=cp1",
            "--peer-cert-file=/pki/peer.crt", "--peer-client-cert-auth=true",
            "--peer-key-file=/pki/peer.key", "--peer-trusted-ca-file=/pki/ca.crt",
            "--snapshot-count=10000", "--trusted-ca-file=/pki/ca.crt",
            "--watch-progress-notify-interval=5s")
        #expect(loaded.configuration.listenMetricsURLs.map(\.port) == [2381])
        #expect(loaded.configuration.featureGates.isOn(.initialCorruptCheck))
        #expect(loaded.configuration.peerTLS.requiresCertificate)
        // The gate is always on.
        #expect(loaded.warnings.count == 1, "\(loaded.warnings)")
    }

    @Test("Debian and Bitnami: their variables are taken")
    func packages() throws {
        let loaded = try loadConfiguration(environment: [
            "ETCD_NAME": "host1", "ETCD_DATA_DIR": "/var/lib/etcd/default",
            "ETCD_LISTEN_CLIENT_URLS": "http://0.0.0.0:2379",
            "ETCD_ADVERTISE_CLIENT_URLS": "http://host1:2379",
            "ETCD_AUTO_COMPACTION_MODE": "revision",
            "ETCD_AUTO_COMPACTION_RETENTION": "1000", "ETCD_LOG_LEVEL": "warn",
            "ETCD_INITIAL_CLUSTER_TOKEN": "etcd-cluster-k8s", "ETCD_AUTO_TLS": "false",
        ])
        #expect(loaded.configuration.autoCompaction == .revisions(1000))
        #expect(loaded.configuration.logLevel == .warn)
        #expect(loaded.warnings.isEmpty)
    }

    @Test("hostile: any value of any flag ends in a configuration or an error that names the flag")
    func hostileValues() {
        let values = [
            "", " ", "=", ",", ",,", "-", "--", "-1", "\u{0}", "\n", "é", "://", "http://",
            "http://[",
            "http://]:1", "http://[]:", "unix://", "a=b=c", "=http://a:1", "a=", "1h1", "1e309s",
            String(repeating: "9", count: 400), String(repeating: "9", count: 400) + "h", "%",
            "${name}",
            "0x10", "+5", "NaN", "true", "simple",
            String(repeating: "http://1.1.1.1:1,", count: 50),
        ]
        var failures = 0
        for flag in FlagTable.all where flag.name != "config-file" {
            for value in values {
                guard let error = configurationError("--\(flag.name)=\(value)") else { continue }
                failures += 1
                if case .badValue(let setting, _, _) = error {
                    #expect(setting == "--\(flag.name)")
                }
            }
        }
        #expect(failures > FlagTable.all.count)
    }
}
