// ConfigurationPeerTests.swift: the flags of a cluster: peers, their TLS, and Martlet's own.
// Belongs here: values and the rules between them. Never here: what a member does with them at its
// start (BootstrapPlanTests).
// Source: flag list; etcd 3.5.16, observed.

import Testing

@testable import Server

@Suite struct ConfigurationPeerTests {
    private static let tls = ["--peer-cert-file=/p.crt", "--peer-key-file=/p.key"]

    @Test("peers: three members are read, a name that repeats has several URLs")
    func initialCluster() throws {
        let configuration = try loadConfiguration(
            "--name=b", "--initial-advertise-peer-urls=http://b:1,http://b:2",
            "--initial-cluster=a=http://a:1,b=http://b:1,c=http://c:1,b=http://b:2",
            "--initial-cluster-token=t", "--initial-cluster-state=existing"
        ).configuration
        #expect(configuration.initialCluster.map(\.name) == ["a", "b", "c"])
        #expect(configuration.initialCluster[1].peerURLs.map(\.port) == [1, 2])
        #expect(configuration.initialClusterState == .existing)
        #expect(configuration.initialClusterToken == "t")
        for text in ["x", "=http://a:1", "a=", "a=ftp://a:1", "a=http://a"] {
            #expect(configurationError("--initial-cluster=\(text)") != nil, "\(text)")
        }
        #expect(configurationError("--initial-cluster-state=old") != nil)
    }

    @Test("peers: the member's own entry is the default, made of its name and peer URLs")
    func defaultCluster() throws {
        let configuration = try loadConfiguration(
            "--name=n", "--initial-advertise-peer-urls=http://h:1,http://h:2"
        ).configuration
        #expect(configuration.initialCluster.map(\.name) == ["n"])
        #expect(configuration.initialCluster.first?.peerURLs.map(\.port) == [1, 2])
        #expect(configurationError("--name=") != nil)
    }

    @Test("peer TLS: every file and name has its field, by flag, variable and key alike")
    func peerTLS() throws {
        var wanted = PeerTLSSettings()
        wanted.certFile = "c"
        wanted.keyFile = "k"
        wanted.trustedCAFile = "ca"
        wanted.clientCertFile = "cc"
        wanted.clientKeyFile = "ck"
        wanted.clientCertAuth = true
        wanted.allowedCommonNames = ["cn", "other"]
        wanted.skipsClientSANVerification = true
        let values = [
            ("cert-file", "c"), ("key-file", "k"), ("trusted-ca-file", "ca"),
            ("client-cert-file", "cc"), ("client-key-file", "ck"), ("client-cert-auth", "true"),
            ("allowed-cn", "cn,other"), ("skip-client-san-verification", "true"),
        ]
        // Two keys of the file are not the flag's name less "peer-".
        func flag(_ key: String) -> String {
            key == "allowed-cn" ? "peer-cert-\(key)" : "peer-\(key)"
        }
        let outcome = try Configuration.load(
            arguments: ["--listen-peer-urls=https://127.0.0.1:1"]
                + values.map { "--\(flag($0.0))=\($0.1)" }, environment: [:])
        guard case .run(let byFlag, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(byFlag.peerTLS == wanted)
        let variables = values.map { (Flag.variable(flag($0.0)), $0.1) }
        let byVariable = try loadConfiguration(
            "--listen-peer-urls=https://127.0.0.1:1",
            environment: Dictionary(uniqueKeysWithValues: variables))
        #expect(byVariable.configuration.peerTLS == wanted)
        let yaml = values.map { "  \($0.0): \($0.1)\n" }.joined()
        let byFile = try loadConfiguration(
            "--config-file=c",
            files: [
                "c": "listen-peer-urls: https://127.0.0.1:1\npeer-transport-security:\n\(yaml)"
            ])
        #expect(byFile.configuration.peerTLS == wanted)
        #expect(byFile.warnings == [])
    }

    @Test("peer TLS: one certificate serves both directions unless another is given")
    func outgoing() throws {
        let one = try loadConfiguration(Self.tls[0], Self.tls[1]).configuration.peerTLS
        #expect(one.outgoingCertFile == "/p.crt" && one.outgoingKeyFile == "/p.key")
        #expect(one.isComplete && !one.requiresCertificate)
        let two = try loadConfiguration(
            Self.tls[0], Self.tls[1], "--peer-client-cert-file=/o.crt",
            "--peer-client-key-file=/o.key", "--peer-trusted-ca-file=/ca"
        ).configuration.peerTLS
        #expect(two.outgoingCertFile == "/o.crt" && two.outgoingKeyFile == "/o.key")
        #expect(two.requiresCertificate)
    }

    @Test("peer TLS: an https URL without certificate is refused, and the text names the flags")
    func secureWithoutCertificate() {
        let flags = "needs --peer-cert-file and --peer-key-file, or --peer-auto-tls"
        #expect(
            configurationError("--listen-peer-urls=https://127.0.0.1:2380")
                == .conflict(text: "--listen-peer-urls: https://127.0.0.1:2380 \(flags)"))
        #expect(
            configurationError("--initial-advertise-peer-urls=https://h:2380")
                == .conflict(text: "--initial-advertise-peer-urls: https://h:2380 \(flags)"))
    }

    @Test(
        "peer TLS: settings that mean nothing alone are refused together with the flag they lack",
        arguments: [
            (["--peer-cert-file=c"], "--peer-key-file"),
            (["--peer-key-file=c"], "--peer-cert-file"),
            (["--peer-client-cert-file=c"], "--peer-client-key-file"),
            (["--peer-client-key-file=c"], "--peer-client-cert-file"),
            (["--peer-client-cert-auth"], "--peer-trusted-ca-file"),
            (["--peer-cert-allowed-cn=c"], "--peer-trusted-ca-file"),
            (["--peer-cert-allowed-hostname=h"], "--peer-trusted-ca-file"),
            (
                [
                    "--peer-cert-allowed-cn=c", "--peer-cert-allowed-hostname=h",
                    "--peer-trusted-ca-file=t",
                ], "exclude each other"
            ),
        ])
    func incomplete(words: [String], named: String) throws {
        #expect(throws: ConfigurationError.self) {
            try Configuration.load(arguments: words, environment: [:])
        }
        do {
            _ = try Configuration.load(arguments: words, environment: [:])
        } catch {
            #expect("\(error)".contains(named), "\(error)")
        }
    }

    @Test("peer TLS: http beside https is allowed as in etcd, with a warning for each plain place")
    func mixed() throws {
        let listen = "--listen-peer-urls=http://127.0.0.1:1,https://127.0.0.1:2"
        let loaded = try loadConfiguration(listen, Self.tls[0], Self.tls[1])
        #expect(
            loaded.warnings
                == ["http://127.0.0.1:1 is not TLS: --peer-cert-file has no effect there"])
        let strict = try loadConfiguration(
            listen, Self.tls[0], Self.tls[1], "--peer-trusted-ca-file=ca")
        #expect(
            strict.warnings == [
                "http://127.0.0.1:1 is not TLS: no certificate of other members is asked for there"
            ])
    }

    @Test(
        "peers: what narrows access or promises what is not there is refused, not ignored",
        arguments: [
            "--force-new-cluster", "--discovery=http://d",
            "--discovery-srv=d", "--listen-peer-urls=unix:///run/p",
            "--initial-cluster=default=unix:///run/p",
        ])
    func refused(word: String) {
        guard case .refused(let setting, let reason) = configurationError(word) else {
            Issue.record("\(word) was taken")
            return
        }
        #expect(setting.hasPrefix("--") || setting.hasPrefix("unix://"))
        #expect(reason.count > 10)
    }

    @Test("peers: a revocation list needs a CA, and a certificate of our own make needs no file")
    func revocationAndOwnCertificates() throws {
        #expect(
            configurationError("--peer-crl-file=l")
                == .conflict(text: "--peer-crl-file needs --peer-trusted-ca-file"))
        let listen = "--listen-peer-urls=https://127.0.0.1:1"
        #expect(configurationError(listen) != nil)
        let loaded = try loadConfiguration(listen, "--peer-auto-tls")
        #expect(loaded.configuration.peerTLS.isAutomatic)
        #expect(loaded.warnings.isEmpty)
        let both = try loadConfiguration(listen, "--peer-auto-tls", Self.tls[0], Self.tls[1])
        #expect(both.warnings == ["--peer-auto-tls has no effect: --peer-cert-file is given"])
    }

    @Test("times: both texts are etcd's")
    func times() {
        #expect(
            configurationError("--election-timeout=499")
                == .conflict(
                    text: "--election-timeout[499ms] should be at least as 5 times as "
                        + "--heartbeat-interval[100ms]"))
        #expect(
            configurationError("--election-timeout=50001")
                == .conflict(
                    text: "--election-timeout[50001ms] is too long, and should be set less than "
                        + "50000ms"))
    }

    @Test("sizes: what a list of members could not hold is refused before it is stored")
    func sizes() {
        func cluster(_ count: Int) -> String {
            (1...count).map { "m\($0)=http://h:\($0)" }.joined(separator: ",")
        }
        #expect(configurationError("--initial-cluster=\(cluster(32))") == nil)
        #expect(configurationError("--initial-cluster=\(cluster(33))") != nil)
        let name = String(repeating: "n", count: 257)
        #expect(configurationError("--name=\(name)") != nil)
        #expect(configurationError("--name=\(name.dropLast())") == nil)
        let urls = (1...17).map { "http://h:\($0)" }.joined(separator: ",")
        #expect(configurationError("--advertise-client-urls=\(urls)") != nil)
        #expect(configurationError("--initial-advertise-peer-urls=\(urls)") != nil)
        let long = "http://\(String(repeating: "h", count: 510)):1"
        #expect(configurationError("--advertise-client-urls=\(long)") != nil)
    }

    @Test("own flags: values, bounds and variables")
    func ownFlags() throws {
        let configuration = try loadConfiguration(
            "--martlet-auto-promote", "--martlet-snapshot-bytes-per-second=1000",
            environment: ["ETCD_MARTLET_LOG_RETENTION_BYTES": "0"]
        ).configuration
        #expect(configuration.autoPromote)
        #expect(configuration.snapshotBytesPerSecond == 1000)
        #expect(configuration.logRetentionBytes == 0)
        #expect(configurationError("--martlet-log-retention-bytes=-1") != nil)
        #expect(configurationError("--martlet-snapshot-bytes-per-second=1MB") != nil)
        #expect(configurationError("--max-learners=1001") != nil)
    }

    @Test("files: the audit log and the rotation of logs")
    func files() throws {
        let plain = try loadConfiguration().configuration
        #expect(plain.auditOutput == nil && !plain.writesFiles && !plain.rotatesLogs)
        let configuration = try loadConfiguration(
            "--martlet-audit-log=/a", "--martlet-audit-log-max-bytes=0",
            "--martlet-audit-log-backups=2", "--enable-log-rotation",
            #"--log-rotation-config-json={"maxsize": 3, "maxbackups": 7, "maxage": 0}"#
        ).configuration
        #expect(configuration.auditOutput == .file(path: "/a") && configuration.writesFiles)
        #expect(configuration.auditRotation == Rotation(bytesMax: nil, backups: 2))
        #expect(configuration.logRotation == Rotation(bytesMax: 3 << 20, backups: 7))
        for value in ["3", "{maxage: 1}", "{compress: true}", "{maxsize: -1}", "{other: 1}", "{"] {
            #expect(configurationError("--log-rotation-config-json=\(value)") != nil, "\(value)")
        }
    }
}
