// PeerTLSSettings.swift: TLS between members: files, and who may connect.
// Belongs here: the settings and what must hold between them. Never here: TLS itself (Transport).
// Source: etcd's --peer-… flags; as there one certificate serves both directions unless the flags
// --peer-client-… give another for the connections that this member opens.

/// How members prove to each other who they are.
struct PeerTLSSettings: Equatable, Sendable {
    /// The certificate shown to members that connect, with its chain; empty for none.
    var certFile = ""
    var keyFile = ""
    /// The CA that other members' certificates must come from, in both directions.
    var trustedCAFile = ""
    /// Lists of certificates of that CA that count no more; empty for none.
    var crlFile = ""
    /// Whether this member makes its own certificate where none is given: `--peer-auto-tls`.
    var isAutomatic = false
    /// Whether the certificates of members that this one connects to are checked.
    ///
    /// As in etcd not so where this member's is its own make: nobody could check those of the others.
    var verifiesServers = true
    /// `--peer-client-cert-file` and its key; see ``outgoingCertFile``.
    var clientCertFile = ""
    var clientKeyFile = ""
    var clientCertAuth = false
    /// Common names of which a connecting member's certificate must carry one; empty for any.
    var allowedCommonNames: [String] = []
    /// Host names of which a connecting member's certificate must carry one; empty for any.
    var allowedHostnames: [String] = []
    /// Whether the address a member connects from may be missing in its certificate.
    var skipsClientSANVerification = false

    /// Whether this member can serve TLS to others.
    var isComplete: Bool { !certFile.isEmpty && !keyFile.isEmpty }

    /// Whether members that connect must show a certificate; as in etcd a trusted CA alone suffices.
    var requiresCertificate: Bool { clientCertAuth || !trustedCAFile.isEmpty }

    /// The certificate shown to members that this one connects to.
    var outgoingCertFile: String { clientCertFile.isEmpty ? certFile : clientCertFile }
    /// The key of that certificate.
    var outgoingKeyFile: String { clientCertFile.isEmpty ? keyFile : clientKeyFile }

    /// Checks what was given together, for these places to listen at and these that others are told.
    func check(
        listening: [EndpointURL], advertised: [EndpointURL]
    ) throws(ConfigurationError) {
        guard certFile.isEmpty == keyFile.isEmpty else {
            throw .conflict(text: "--peer-cert-file and --peer-key-file are needed together")
        }
        guard clientCertFile.isEmpty == clientKeyFile.isEmpty else {
            throw .conflict(
                text: "--peer-client-cert-file and --peer-client-key-file are needed together")
        }
        guard !clientCertAuth || !trustedCAFile.isEmpty else {
            throw .conflict(text: "--peer-client-cert-auth needs --peer-trusted-ca-file")
        }
        guard allowedCommonNames.isEmpty || allowedHostnames.isEmpty else {
            throw .conflict(
                text: "--peer-cert-allowed-cn and --peer-cert-allowed-hostname exclude each other")
        }
        // A name in a certificate means nothing unless its issuer is known.
        let isAnyAllowed = allowedCommonNames.isEmpty && allowedHostnames.isEmpty
        guard isAnyAllowed || !trustedCAFile.isEmpty else {
            throw .conflict(
                text: "--peer-cert-allowed-cn and --peer-cert-allowed-hostname need "
                    + "--peer-trusted-ca-file")
        }
        guard crlFile.isEmpty || !trustedCAFile.isEmpty else {
            throw .conflict(text: "--peer-crl-file needs --peer-trusted-ca-file")
        }
        for (flag, urls) in [
            ("--listen-peer-urls", listening), ("--initial-advertise-peer-urls", advertised),
        ] {
            for url in urls where url.scheme.isSecure && !isComplete && !isAutomatic {
                throw .conflict(
                    text: "\(flag): \(url) needs --peer-cert-file and --peer-key-file, or "
                        + "--peer-auto-tls")
            }
        }
    }

    /// What of these settings a plain listener leaves without effect.
    func warnings(listening: [EndpointURL]) -> [String] {
        if isAutomatic, isComplete {
            return ["--peer-auto-tls has no effect: --peer-cert-file is given"]
        }
        return listening.filter { !$0.scheme.isSecure }.compactMap { url in
            if isAutomatic {
                "\(url) is not TLS: --peer-auto-tls has no effect there"
            } else if requiresCertificate {
                "\(url) is not TLS: no certificate of other members is asked for there"
            } else if !certFile.isEmpty {
                "\(url) is not TLS: --peer-cert-file has no effect there"
            } else {
                nil
            }
        }
    }
}
