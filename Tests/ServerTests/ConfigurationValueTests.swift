// ConfigurationValueTests.swift: single values (durations, URLs, lists) and the rules between
// settings. Source of the rules: flag list and etcd 3.5.16, observed.

import Testing

@testable import Server

@Suite struct ConfigurationValueTests {
    @Test(
        "durations: Go's notation is read",
        arguments: [
            ("0", 0), ("5s", 5_000_000_000), ("1h30m", 5_400_000_000_000), ("100ms", 100_000_000),
            ("1.5s", 1_500_000_000), (".5s", 500_000_000), ("5.s", 5_000_000_000), ("3us", 3000),
            ("3µs", 3000), ("7ns", 7), ("1m1s1ms", 61_001_000_000),
        ] as [(String, Int64)])
    func durations(text: String, nanoseconds: Int64) {
        #expect(GoDuration.parse(text)?.nanosecondsClamped == nanoseconds)
    }

    @Test(
        "durations: anything else is refused",
        arguments: [
            "", "5", "-5s", "s", ".s", "1.2.3s", "5 s", "5d", "1h30", "9999999999h", "ms", "٣s",
        ])
    func badDurations(text: String) {
        #expect(GoDuration.parse(text) == nil)
    }

    @Test("durations: numbers beyond 64 bits are clamped when turned into nanoseconds")
    func clampedDurations() {
        #expect(Duration.seconds(Int64.max).nanosecondsClamped == .max)
        #expect(Duration.seconds(Int64.min).nanosecondsClamped == .min)
        #expect(Duration.milliseconds(1500).millisecondsClamped == 1500)
    }

    @Test(
        "URLs: places to listen at are addresses, localhost or files",
        arguments: [
            ("http://127.0.0.1:2379", "127.0.0.1", 2379), ("https://[::1]:0", "::1", 0),
            ("HTTP://localhost:65535", "localhost", 65535), ("http://0.0.0.0:1", "0.0.0.0", 1),
            ("http://[fe80::1%eth0]:2379", "fe80::1%eth0", 2379),
            ("unix:///run/m.sock", "/run/m.sock", 0),
            ("http://[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80),
            ("unixs://localhost:2379", "localhost:2379", 0),
        ])
    func bindable(text: String, host: String, port: Int) throws {
        let urls = try EndpointURL.bindList(text)
        #expect(urls.map(\.host) == [host])
        #expect(urls.map(\.port) == [port])
    }

    @Test(
        "URLs: what etcd refuses is refused",
        arguments: [
            "http://:2379", "http://example.org:2379", "http://127.0.0.1", "http://127.0.0.1:x",
            "http://127.0.0.1:65536", "http://127.0.0.1:2379/", "ftp://127.0.0.1:2379",
            "127.0.0.1:2379", "http://::1:2379", "http://[::1:2379", "http://[]:1", "http://",
            "http://1.2.3.4.5:1", "http://01.2.3.4:1", "http://[1::2::3]:1",
            "http://user@1.1.1.1:1",
            "http://[1:2:3:4:5:6:7]:1", "http://127.0.0.1:+1",
            "http://127.0.0.1:1,,http://127.0.0.1:2",
            "unix://", "http://12\u{0}7.0.0.1:1", "http://[fe80::1%]:1", "http://[::12345]:1",
        ])
    func notBindable(text: String) {
        #expect(throws: ValueProblem.self) { try EndpointURL.bindList(text) }
    }

    @Test("URLs: a list keeps its order and drops repetitions; advertised ones may be names")
    func lists() throws {
        let urls = try EndpointURL.advertisedList("http://b:2, http://a:1,http://b:2")
        #expect(urls.map(\.description) == ["http://b:2", "http://a:1"])
        #expect(throws: ValueProblem.self) { try EndpointURL.advertisedList("http://:1") }
        #expect(
            configurationError("--listen-client-urls=", "--advertise-client-urls=http://a:1") != nil
        )
    }

    @Test("check: listen-client-urls needs advertise-client-urls")
    func advertise() {
        #expect(
            configurationError("--listen-client-urls=http://127.0.0.1:1")
                == .conflict(
                    text: "--advertise-client-urls is required when --listen-client-urls is given"))
        #expect(configurationError("--advertise-client-urls=http://a:1") == nil)
    }

    @Test("check: a Unix socket has a path that the kernel takes")
    func unixSockets() throws {
        let loaded = try loadConfiguration(
            "--listen-client-urls=unix:///run/m.sock,http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379")
        #expect(loaded.configuration.listenClientURLs.map(\.host) == ["/run/m.sock", "127.0.0.1"])
        let path = "/" + String(repeating: "p", count: 107)
        #expect(
            configurationError("--listen-metrics-urls=unix://\(path)")
                == .conflict(
                    text: "unix://\(path): a Unix socket's path has at most 107 bytes"))
        #expect(configurationError("--listen-metrics-urls=unix://\(path.dropLast())") == nil)
    }

    @Test("check: what narrows who may connect needs a CA, and https a certificate")
    func clientTLS() throws {
        #expect(
            configurationError("--client-crl-file=l")
                == .conflict(text: "--client-crl-file needs --trusted-ca-file"))
        #expect(
            configurationError("--client-cert-allowed-hostname=h")
                == .conflict(text: "--client-cert-allowed-hostname needs --trusted-ca-file"))
        let secure = [
            "--listen-client-urls=https://127.0.0.1:1", "--advertise-client-urls=https://a:1",
        ]
        #expect(configurationError(secure[0], secure[1]) != nil)
        let loaded = try loadConfiguration(
            secure[0], secure[1], "--auto-tls", "--self-signed-cert-validity=3",
            "--trusted-ca-file=ca", "--client-crl-file=l", "--client-cert-allowed-hostname=h,i")
        #expect(loaded.configuration.autoTLS)
        #expect(loaded.configuration.selfSignedCertValidityYears == 3)
        #expect(loaded.configuration.clientCRLFile == "l")
        #expect(loaded.configuration.clientAllowedHostnames == ["h", "i"])
        #expect(loaded.warnings.isEmpty)
        let both = try loadConfiguration(
            secure[0], secure[1], "--auto-tls", "--cert-file=c", "--key-file=k")
        #expect(both.warnings == ["--auto-tls has no effect: --cert-file is given"])
    }

    @Test("check: an election timeout is at least 5 heartbeats and at most 50 s")
    func times() {
        #expect(configurationError("--election-timeout=500") == nil)
        #expect(configurationError("--election-timeout=499") != nil)
        #expect(configurationError("--election-timeout=50000") == nil)
        #expect(configurationError("--election-timeout=50001") != nil)
        #expect(configurationError("--heartbeat-interval=0") != nil)
        #expect(configurationError("--heartbeat-interval=201") != nil)
    }

    @Test("check: TLS listeners need certificate and key, client certificates need a CA")
    func tls() throws {
        let listen = [
            "--listen-client-urls=https://127.0.0.1:1", "--advertise-client-urls=https://a:1",
        ]
        #expect(configurationError(listen[0], listen[1]) != nil)
        #expect(configurationError(listen[0], listen[1], "--cert-file=c") != nil)
        #expect(configurationError(listen[0], listen[1], "--key-file=c") != nil)
        #expect(configurationError(listen[0], listen[1], "--cert-file=c", "--key-file=k") == nil)
        #expect(configurationError("--client-cert-auth") != nil)
        #expect(configurationError("--listen-metrics-urls=https://127.0.0.1:9") != nil)
        let loaded = try loadConfiguration(
            listen[0], listen[1], "--cert-file=c", "--key-file=k", "--trusted-ca-file=ca")
        #expect(loaded.configuration.requiresClientCertificate)
        #expect(loaded.warnings.isEmpty)
    }

    @Test("check: a plain listener beside TLS settings is warned of")
    func plainBesideTLS() throws {
        let loaded = try loadConfiguration("--cert-file=c", "--key-file=k")
        #expect(
            loaded.warnings == ["http://localhost:2379 is not TLS: --cert-file has no effect there"]
        )
    }

    @Test("TLS: versions and cipher suites are checked, one by one and together")
    func tlsVersions() throws {
        #expect(configurationError("--tls-min-version=TLS1.1") != nil)
        #expect(configurationError("--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2") != nil)
        #expect(configurationError("--cipher-suites=NONE") != nil)
        let suite = "--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        #expect(configurationError(suite, "--tls-min-version=TLS1.3") != nil)
        let configuration = try loadConfiguration(suite, "--tls-max-version=TLS1.2").configuration
        #expect(configuration.cipherSuites.map(\.openSSLName) == ["ECDHE-RSA-AES128-GCM-SHA256"])
        #expect(configuration.tlsMaxVersion == .tls12)
    }

    @Test("compaction: hours, durations and revisions by mode")
    func autoCompaction() throws {
        func parsed(_ retention: String, _ mode: String) throws -> AutoCompaction {
            try loadConfiguration(
                "--auto-compaction-retention=\(retention)", "--auto-compaction-mode=\(mode)"
            ).configuration.autoCompaction
        }
        #expect(try parsed("1", "periodic") == .periodic(.seconds(3600)))
        #expect(try parsed("5m", "periodic") == .periodic(.seconds(300)))
        #expect(try parsed("0", "periodic") == .off)
        #expect(try parsed("0s", "") == .off)
        #expect(try parsed("1000", "revision") == .revisions(1000))
        #expect(try parsed("0", "revision") == .off)
        #expect(throws: ConfigurationError.self) { try parsed("5m", "revision") }
        #expect(throws: ConfigurationError.self) { try parsed("-1", "periodic") }
        #expect(throws: ConfigurationError.self) { try parsed("1", "weekly") }
    }

    @Test("quota: 0 is the default, negative is none")
    func quota() throws {
        #expect(
            try loadConfiguration("--quota-backend-bytes=0").configuration.quotaBackendBytes == 8
                << 30)
        #expect(
            try loadConfiguration("--quota-backend-bytes=-1").configuration.quotaBackendBytes == nil
        )
        #expect(
            try loadConfiguration("--quota-backend-bytes=77").configuration.quotaBackendBytes == 77)
        #expect(configurationError("--quota-backend-bytes=2GB") != nil)
    }

    @Test("limits: zero, negative and huge values are refused with the bounds in the text")
    func limits() {
        for word in [
            "--max-request-bytes=0", "--max-txn-ops=-1", "--max-concurrent-streams=4294967296",
            "--bcrypt-cost=3", "--bcrypt-cost=32", "--snapshot-count=0",
            "--watch-progress-notify-interval=99ms",
        ] {
            guard case .badValue(_, _, let expected) = configurationError(word) else {
                Issue.record("\(word) was taken")
                continue
            }
            #expect(expected.contains("from") || expected.contains("at least"))
        }
    }

    @Test("feature gates: known ones are set, unknown ones and bad forms are errors")
    func featureGates() throws {
        let gates = try loadConfiguration(
            "--feature-gates=CompactHashCheck=true, FastLeaseKeepAlive=false,AllAlpha=true"
        ).configuration.featureGates
        #expect(gates.isOn(.compactHashCheck))
        #expect(!gates.isOn(.fastLeaseKeepAlive))
        #expect(gates.isOn(.txnModeWriteWithSharedBuffer))
        #expect(!gates.isOn(.initialCorruptCheck))
        #expect(configurationError("--feature-gates=Nonsense=true") != nil)
        #expect(configurationError("--feature-gates=CompactHashCheck") != nil)
        #expect(configurationError("--feature-gates=CompactHashCheck=on") != nil)
    }

    @Test("listeners: HTTP moves away, except from a URL that stands in both lists")
    func listeners() throws {
        let configuration = try loadConfiguration(
            "--listen-client-urls=http://127.0.0.1:1,http://127.0.0.1:2",
            "--advertise-client-urls=http://127.0.0.1:1",
            "--listen-client-http-urls=http://127.0.0.1:2,http://127.0.0.1:3"
        ).configuration
        let rows = configuration.clientListeners.map {
            "\($0.url.port) \($0.servesRPC) \($0.servesHTTP)"
        }
        #expect(rows == ["1 true false", "2 true true", "3 false true"])
        let plain = try loadConfiguration().configuration.clientListeners
        #expect(plain.map(\.servesHTTP) == [true])
        #expect(configurationError("--listen-metrics-urls=http://localhost:2379") != nil)
    }

    @Test("logs: levels, formats and outputs are etcd's words")
    func logs() throws {
        let configuration = try loadConfiguration(
            "--log-level=error", "--log-format=console", "--log-outputs=stdout,stderr,default,/x"
        ).configuration
        #expect(configuration.logLevel == .error)
        #expect(configuration.logFormat == .console)
        #expect(configuration.logOutputs == [.standardOutput, .standardError, .file(path: "/x")])
        #expect(try loadConfiguration("--debug").configuration.logLevel == .debug)
        #expect(configurationError("--log-level=loud") != nil)
        #expect(configurationError("--log-outputs=") != nil)
    }

    @Test("auth: only simple tokens so far")
    func auth() throws {
        #expect(try loadConfiguration("--auth-token=simple").warnings.isEmpty)
        #expect(configurationError("--auth-token=jwt,pub-key=a") != nil)
    }
}
