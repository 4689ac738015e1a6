// ConfigurationLoadTests.swift: flags, variables and the file: their syntax and which of them wins.
// Source of the rules: head of etcd's flag list; behaviour of etcd 3.5.16, observed.

import Testing

@testable import Server

@Suite struct ConfigurationLoadTests {
    @Test("flags: nothing given yields etcd's defaults, with the differences that are documented")
    func defaults() throws {
        let loaded = try loadConfiguration()
        let configuration = loaded.configuration
        #expect(configuration.name == "default")
        #expect(configuration.dataDirectory == "default.martlet")
        #expect(configuration.listenClientURLs.map(\.description) == ["http://localhost:2379"])
        #expect(configuration.advertiseClientURLs.map(\.description) == ["http://localhost:2379"])
        #expect(configuration.heartbeatIntervalMilliseconds == 100)
        #expect(configuration.electionTimeoutMilliseconds == 1000)
        #expect(configuration.peerTLS == PeerTLSSettings())
        #expect(configuration.preVote && configuration.strictReconfigCheck)
        #expect(configuration.maxLearners == 1 && !configuration.autoPromote)
        #expect(configuration.logRetentionBytes == 256 << 20)
        #expect(configuration.snapshotBytesPerSecond == nil)
        #expect(configuration.maxRequestBytes == 1_572_864)
        #expect(configuration.receiveMessageBytesMax == 2_097_152)
        #expect(configuration.maxTxnOps == 128)
        #expect(configuration.quotaBackendBytes == 8 << 30)
        #expect(configuration.autoCompaction == .off)
        #expect(configuration.watchProgressNotifyInterval == .seconds(600))
        #expect(configuration.keepaliveMinTime == .seconds(5))
        #expect(configuration.keepaliveInterval == .seconds(7200))
        #expect(configuration.keepaliveTimeout == .seconds(20))
        #expect(configuration.logOutputs == [.standardError])
        #expect(configuration.minimumLeaseTTLSeconds == 2)
        #expect(configuration.requestTimeout == .seconds(7))
        #expect(configuration.tlsMinVersion == .tls12)
        #expect(loaded.warnings.isEmpty)
    }

    @Test(
        "flags: one and two dashes, with and without an equals sign, are the same",
        arguments: [
            ["-name", "n1"], ["--name", "n1"], ["-name=n1"], ["--name=n1"],
            ["--name", "other", "--name", "n1"],
        ])
    func spellings(words: [String]) throws {
        let outcome = try Configuration.load(arguments: words, environment: [:])
        guard case .run(let configuration, _) = outcome else {
            Issue.record("not a configuration: \(outcome)")
            return
        }
        #expect(configuration.name == "n1")
        #expect(configuration.dataDirectory == "n1.martlet")
    }

    @Test("flags: a value may hold equals signs and dashes")
    func valueWithSigns() throws {
        let configuration = try loadConfiguration(
            "--name", "--a", "--initial-cluster-token=x=y=z"
        ).configuration
        #expect(configuration.name == "--a")
        #expect(configuration.initialClusterToken == "x=y=z")
    }

    @Test("flags: a boolean stands alone or takes its value after an equals sign only")
    func booleans() throws {
        #expect(try loadConfiguration("--unsafe-no-fsync").configuration.unsafeNoFsync)
        #expect(try loadConfiguration("--unsafe-no-fsync=T").configuration.unsafeNoFsync)
        #expect(try !loadConfiguration("--pre-vote=0").configuration.preVote)
        #expect(configurationError("--pre-vote", "false") == .strayArgument(text: "false"))
        let wrong = configurationError("--pre-vote=maybe")
        #expect(
            wrong == .badValue(setting: "--pre-vote", value: "maybe", expected: "true or false"))
    }

    @Test("flags: an unknown one is an error that names it and the nearest known one")
    func unknownFlag() {
        #expect(
            configurationError("--listen-client-url=x")
                == .unknownFlag(name: "listen-client-url", suggestion: "listen-client-urls"))
        #expect(
            configurationError("--frobnicate-all-things")
                == .unknownFlag(name: "frobnicate-all-things", suggestion: nil))
        #expect(configurationError("serve") == .strayArgument(text: "serve"))
        #expect(configurationError("--") == .strayArgument(text: "--"))
        #expect(configurationError("--name") == .missingValue(flag: "name"))
        let text = configurationError("--bogus").map { "\($0)" }
        #expect(text == "unknown flag --bogus; see --help for the list")
    }

    @Test("flags: help and version win over everything else that is valid")
    func helpAndVersion() throws {
        for word in ["-h", "--help", "-help"] {
            let outcome = try Configuration.load(arguments: ["--name=x", word], environment: [:])
            guard case .printHelp(let text) = outcome else {
                Issue.record("no help for \(word)")
                continue
            }
            #expect(text.hasSuffix("\n"))
        }
        let outcome = try Configuration.load(arguments: ["--version"], environment: [:])
        #expect(outcome == .printVersion)
    }

    @Test("variables: they set what flags do not, and say so when a flag hides them")
    func variables() throws {
        let loaded = try loadConfiguration(
            "--name", "flagged",
            environment: [
                "ETCD_NAME": "hidden", "ETCD_MAX_TXN_OPS": "9", "ETCD_MAX_LEARNERS": "",
                "PATH": "/bin", "ETCDCTL_API": "3",
            ])
        #expect(loaded.configuration.name == "flagged")
        #expect(loaded.configuration.maxTxnOps == 9)
        #expect(loaded.configuration.maxLearners == 1)
        #expect(loaded.warnings == ["ETCD_NAME has no effect: --name is given too"])
    }

    @Test("variables: an unknown one only warns, and its value stays out of the warning")
    func unknownVariable() throws {
        let loaded = try loadConfiguration(environment: [
            "ETCD_ROOT_PASSWORD": "hunter2", "ETCD_UNSUPPORTED_ARCH": "arm",
        ])
        #expect(loaded.warnings == ["unknown variable ETCD_ROOT_PASSWORD"])
    }

    @Test("variables: a bad value names the variable")
    func badVariable() {
        let error = configurationError(environment: ["ETCD_HEARTBEAT_INTERVAL": "fast"])
        #expect(
            error
                == .badValue(
                    setting: "ETCD_HEARTBEAT_INTERVAL", value: "fast",
                    expected: "a whole number from 1 to 50000"))
    }

    @Test("old names: experimental flags set what replaced them, with a warning")
    func formerNames() throws {
        let loaded = try loadConfiguration(
            "--experimental-watch-progress-notify-interval=5s",
            "--experimental-compaction-batch-limit=7")
        #expect(loaded.configuration.watchProgressNotifyInterval == .seconds(5))
        #expect(loaded.configuration.compactionBatchLimit == 7)
        #expect(
            loaded.warnings == [
                "--experimental-watch-progress-notify-interval is an old name: "
                    + "use --watch-progress-notify-interval",
                "--experimental-compaction-batch-limit is an old name: use --compaction-batch-limit",
            ])
    }

    @Test("old names: the new variable wins over the old one")
    func formerVariable() throws {
        let loaded = try loadConfiguration(environment: [
            "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL": "7s",
            "ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL": "9s",
        ])
        #expect(loaded.configuration.watchProgressNotifyInterval == .seconds(7))
        #expect(loaded.warnings.count == 1)
    }

    @Test("file: its settings are taken, flags and variables are ignored with a warning")
    func configurationFile() throws {
        let yaml = """
            # k3s writes such a file
            name: node-1
            data-dir: /var/lib/m
            client-transport-security:
              cert-file: /pki/s.crt
              key-file: /pki/s.key
              trusted-ca-file: /pki/ca.crt
              client-cert-auth: true
            listen-client-urls: https://127.0.0.1:2379,https://10.0.0.1:2379
            advertise-client-urls: https://10.0.0.1:2379
            election-timeout: 5000
            heartbeat-interval: 500
            log-outputs: [stderr, /var/log/m.log]
            logger: zap
            grpc-keepalive-min-time: 7000000000
            watch-progress-notify-interval: 5s
            wal-dir:
            strict-reconfig-check: no
            snapshot-catchup-entries: 9
            """
        let loaded = try loadConfiguration(
            "--name=flag", "--config-file", "/etc/m.yml", environment: ["ETCD_MAX_TXN_OPS": "1"],
            files: ["/etc/m.yml": yaml])
        let configuration = loaded.configuration
        #expect(configuration.name == "node-1")
        #expect(configuration.dataDirectory == "/var/lib/m")
        #expect(configuration.certFile == "/pki/s.crt")
        #expect(configuration.requiresClientCertificate)
        #expect(configuration.listenClientURLs.count == 2)
        #expect(configuration.electionTimeoutMilliseconds == 5000)
        #expect(configuration.logOutputs == [.standardError, .file(path: "/var/log/m.log")])
        #expect(configuration.keepaliveMinTime == .seconds(7))
        #expect(configuration.watchProgressNotifyInterval == .seconds(5))
        #expect(configuration.maxTxnOps == 128)
        #expect(!configuration.strictReconfigCheck)
        #expect(
            loaded.warnings
                == [
                    "/etc/m.yml is read, so these are ignored: --name, ETCD_MAX_TXN_OPS",
                    "no effect: snapshot-catchup-entries in /etc/m.yml: see "
                        + "--martlet-log-retention-bytes: what is kept is counted in bytes",
                ])
    }

    @Test("file: its path may come from the variable, and an empty file is all defaults")
    func fileByVariable() throws {
        let loaded = try loadConfiguration(
            environment: ["ETCD_CONFIG_FILE": "e.yml"], files: ["e.yml": "# nothing\n"])
        #expect(loaded.configuration.name == "default")
        #expect(loaded.warnings.isEmpty)
    }

    @Test("file: an unknown key warns, also one below a known section")
    func unknownKey() throws {
        let loaded = try loadConfiguration(
            "--config-file=c", files: ["c": "nam: x\nclient-transport-security: {crt: y}\n"])
        #expect(
            loaded.warnings == [
                "unknown key nam in c", "unknown key client-transport-security.crt in c",
            ])
    }

    @Test("file: what cannot be read or understood is an error that names the file")
    func brokenFiles() throws {
        #expect(throws: ConfigurationError.file(path: "x", problem: "No such file or directory")) {
            try loadConfiguration("--config-file=x")
        }
        for yaml in ["[1, 2]", "name: [a, {b: c}]", "name: {a: {b: c}}", "a: b: c", "name: 'x"] {
            guard case .file("c.yml", _) = configurationError(yaml: yaml) else {
                Issue.record("\(yaml) was taken")
                continue
            }
        }
        let bad = configurationError(yaml: "heartbeat-interval: soon")
        #expect(bad.map { "\($0)" }?.hasPrefix("heartbeat-interval in c.yml: \"soon\"") == true)
    }

    @Test("file: the real reader reports a missing file and a directory")
    func realReader() throws {
        #expect(throws: ConfigurationError.self) {
            try ConfigurationFile.read("/nonexistent/martlet.yml")
        }
        #expect(throws: ConfigurationError.self) { try ConfigurationFile.read("/") }
        #expect(try ConfigurationFile.read("/dev/null") == "")
        let endless = #expect(throws: ConfigurationError.self) {
            try ConfigurationFile.read("/dev/zero")
        }
        #expect(endless.map { "\($0)" }?.contains("larger than") == true)
    }

    @Test("file: deep nesting, many aliases and odd bytes are errors or warnings, never a crash")
    func hostileFiles() throws {
        let deep = String(repeating: "[", count: 200_000)
        #expect(configurationError(yaml: "name: \(deep)") != nil)
        var laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let aliases = (0..<10).map { _ in "*a\(level - 1)" }.joined(separator: ", ")
            laughs += "a\(level): &a\(level) [\(aliases)]\n"
        }
        #expect(configurationError(yaml: laughs) != nil)
        #expect(configurationError(yaml: "name: \u{0}x") != nil)
        #expect(configurationError(yaml: "name: a\nname: b") != nil)
        let shared = try loadConfiguration(
            "--config-file=c", files: ["c": "name: &n one\ninitial-cluster-token: *n\n"])
        #expect(shared.configuration.initialClusterToken == "one")
    }
}
