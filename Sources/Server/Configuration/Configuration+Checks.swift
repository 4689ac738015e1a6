// Configuration+Checks.swift: what must hold between settings, and settings that follow from
// others. Belongs here: rules over two or more settings. Never here: rules of one value
// (Flag.swift, FlagTable*.swift). Source: etcd 3.5.16's checks at its start, observed; texts are
// our own.

extension Configuration {
    /// Fills in what follows from other settings, then checks all of them together.
    mutating func complete(with given: inout GivenSettings) throws(ConfigurationError) {
        guard !name.isEmpty else { throw .conflict(text: "--name must not be empty") }
        if dataDirectory.isEmpty { dataDirectory = "\(name).martlet" }
        if initialCluster.isEmpty {
            initialCluster = [InitialMember(name: name, peerURLs: initialAdvertisePeerURLs)]
        }
        listensToPeersByDefault = given.setting("listen-peer-urls") == nil
        autoCompaction = try Self.autoCompaction(given)
        try checkSizes()
        try checkURLs(given)
        try checkTLS(&given)
        try peerTLS.check(listening: listenPeerURLs, advertised: initialAdvertisePeerURLs)
        given.warnings += peerTLS.warnings(listening: listenPeerURLs)
        try checkTimes()
        warnOfLimits(in: &given)
    }

    private static func autoCompaction(
        _ given: GivenSettings
    ) throws(ConfigurationError) -> AutoCompaction {
        let text = given.text("auto-compaction-retention")
        let label =
            given.setting("auto-compaction-retention")?.label ?? "--auto-compaction-retention"
        if given.text("auto-compaction-mode") == "revision" {
            guard let count = Int64(text), count >= 0 else {
                throw .badValue(
                    setting: label, value: text,
                    expected: "a number of revisions, as --auto-compaction-mode is revision")
            }
            return count == 0 ? .off : .revisions(count)
        }
        if let hours = Int32(text), hours >= 0 {
            return hours == 0 ? .off : .periodic(.seconds(Int64(hours) * 3600))
        }
        guard let duration = GoDuration.parse(text) else {
            throw .badValue(
                setting: label, value: text, expected: "a number of hours or a duration such as 5m")
        }
        return duration == .zero ? .off : .periodic(duration)
    }

    private func checkSizes() throws(ConfigurationError) {
        for name in [name] + initialCluster.map(\.name) {
            guard name.utf8.count <= ClusterLimits.nameBytesMax else {
                throw .conflict(
                    text: "a member's name has at most \(ClusterLimits.nameBytesMax) bytes")
            }
        }
        guard initialCluster.count <= ClusterLimits.membersMax else {
            throw .conflict(
                text: "--initial-cluster has at most \(ClusterLimits.membersMax) members")
        }
        for urls in [advertiseClientURLs, initialAdvertisePeerURLs] + initialCluster.map(\.peerURLs)
        {
            guard ClusterLimits.allow(urls: urls.map(\.description)) else {
                throw .conflict(
                    text: "a member has at most \(ClusterLimits.urlsPerMemberMax) URLs of a kind, "
                        + "each of at most \(ClusterLimits.urlBytesMax) bytes")
            }
        }
    }

    private func checkURLs(_ given: GivenSettings) throws(ConfigurationError) {
        if given.setting("listen-client-urls") != nil, given.setting("advertise-client-urls") == nil
        {
            throw .conflict(
                text: "--advertise-client-urls is required when --listen-client-urls is given")
        }
        let peerURLs = initialCluster.flatMap(\.peerURLs)
        for url in listenPeerURLs + initialAdvertisePeerURLs + peerURLs where url.scheme.isUnix {
            throw .refused(setting: "\(url)", reason: "members reach each other by TCP only")
        }
        for url in listenClientURLs + listenClientHTTPURLs + listenMetricsURLs
        where url.scheme.isUnix && url.host.utf8.count > Self.socketPathBytesMax {
            throw .conflict(
                text: "\(url): a Unix socket's path has at most \(Self.socketPathBytesMax) bytes")
        }
        for url in listenMetricsURLs where url.port != 0 {
            let clash = (listenClientURLs + listenClientHTTPURLs).first {
                $0.host == url.host && $0.port == url.port
            }
            if let clash {
                throw .conflict(text: "--listen-metrics-urls: \(url) is taken by \(clash)")
            }
        }
    }

    /// What the kernel takes as the path of a socket.
    private static let socketPathBytesMax = 107

    private func checkTLS(_ given: inout GivenSettings) throws(ConfigurationError) {
        guard certFile.isEmpty == keyFile.isEmpty else {
            throw .conflict(text: "--cert-file and --key-file are needed together")
        }
        guard !clientCertAuth || !trustedCAFile.isEmpty else {
            throw .conflict(text: "--client-cert-auth needs --trusted-ca-file")
        }
        for url in listenClientURLs + listenClientHTTPURLs + listenMetricsURLs {
            if url.scheme.isSecure, certFile.isEmpty, !autoTLS {
                throw .conflict(text: "\(url) needs --cert-file and --key-file, or --auto-tls")
            }
        }
        for (flag, isGiven) in [
            ("--client-crl-file", !clientCRLFile.isEmpty),
            ("--client-cert-allowed-hostname", !clientAllowedHostnames.isEmpty),
        ] where isGiven && trustedCAFile.isEmpty {
            // What a certificate says means nothing unless its issuer is known.
            throw .conflict(text: "\(flag) needs --trusted-ca-file")
        }
        if autoTLS, !certFile.isEmpty {
            given.warnings.append("--auto-tls has no effect: --cert-file is given")
        }
        for url in listenClientURLs + listenClientHTTPURLs where !url.scheme.isSecure {
            if requiresClientCertificate {
                given.warnings.append("\(url) is not TLS: no client certificate is asked for there")
            } else if !certFile.isEmpty || autoTLS {
                let flag = autoTLS ? "--auto-tls" : "--cert-file"
                given.warnings.append("\(url) is not TLS: \(flag) has no effect there")
            }
        }
        if let least = tlsMinVersion, let greatest = tlsMaxVersion, least > greatest {
            throw .conflict(text: "--tls-min-version must not be above --tls-max-version")
        }
        if tlsMinVersion == .tls13, !cipherSuites.isEmpty {
            throw .conflict(
                text: "--cipher-suites chooses for TLS1.2, which --tls-min-version excludes")
        }
    }

    /// A cluster that elects more slowly helps nobody (etcd's own bound).
    private static let electionTimeoutMillisecondsMax = 50_000

    private func checkTimes() throws(ConfigurationError) {
        guard electionTimeoutMilliseconds >= 5 * heartbeatIntervalMilliseconds else {
            throw .conflict(
                text:
                    "--election-timeout[\(electionTimeoutMilliseconds)ms] should be at least as 5 "
                    + "times as --heartbeat-interval[\(heartbeatIntervalMilliseconds)ms]")
        }
        guard electionTimeoutMilliseconds <= Self.electionTimeoutMillisecondsMax else {
            throw .conflict(
                text:
                    "--election-timeout[\(electionTimeoutMilliseconds)ms] is too long, and should "
                    + "be set less than \(Self.electionTimeoutMillisecondsMax)ms")
        }
    }

    private func warnOfLimits(in given: inout GivenSettings) {
        if maxRequestBytes > 10 << 20 {
            given.warnings.append(
                "--max-request-bytes is above 10 MiB: large requests slow all others"
            )
        }
        if unsafeNoFsync {
            given.warnings.append(
                "--unsafe-no-fsync: a crash of the machine will lose acknowledged writes")
        }
    }
}
