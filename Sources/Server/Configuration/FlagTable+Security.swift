// FlagTable+Security.swift: the flags of TLS, auth and those that switch safety off. Belongs here:
// names, defaults, parsers, standing. What narrows access is refused while it is not there, never
// ignored.

extension FlagTable {
    static let security: [Flag] = clientSecurity + peerSecurity

    private static let clientSecurity: [Flag] = [
        Flag(
            "cert-file", key: "client-transport-security.cert-file", default: "", .security,
            .text(\.certFile), "Certificate (PEM, with its chain) for client connections."),
        Flag(
            "key-file", key: "client-transport-security.key-file", default: "", .security,
            .text(\.keyFile), "Key of that certificate."),
        Flag(
            "trusted-ca-file", key: "client-transport-security.trusted-ca-file", default: "",
            .security, .text(\.trustedCAFile),
            "CA that client certificates must come from; clients then need one."),
        Flag(
            "client-cert-auth", key: "client-transport-security.client-cert-auth", default: "false",
            .security, .boolean(\.clientCertAuth), "Demand client certificates."),
        Flag(
            "tls-min-version", default: "TLS1.2", .security, .tlsVersion(\.tlsMinVersion),
            "Least TLS version: TLS1.2 or TLS1.3."),
        Flag(
            "tls-max-version", default: "", .security, .tlsVersion(\.tlsMaxVersion),
            "Greatest TLS version; empty = the newest."),
        Flag(
            "cipher-suites", default: "", .security,
            .custom("list") { text, configuration throws(ValueProblem) in
                configuration.cipherSuites = try CipherSuite.list(text)
            }, "Cipher suites of TLS 1.2 by IANA name; empty = a safe default."),
        Flag(
            "auto-tls", key: "client-transport-security.auto-tls", default: "false", .security,
            .boolean(\.autoTLS),
            "Make a self-signed certificate for client connections if none is given."),
        Flag(
            "client-cert-allowed-hostname", key: "client-transport-security.allowed-hostname",
            default: "", .security, .words(\.clientAllowedHostnames),
            "Host names, of which a client's certificate must carry one."),
        Flag(
            "client-crl-file", key: nil, default: "", .security, .text(\.clientCRLFile),
            "Revocation lists (PEM or DER) for client certificates."),
        Flag(
            "client-cert-file", key: "client-transport-security.client-cert-file", default: "",
            .security, .withoutEffect("the server makes no client connections to itself"), .anyText,
            "Certificate of the server as a client."),
        Flag(
            "client-key-file", key: "client-transport-security.client-key-file", default: "",
            .security, .withoutEffect("the server makes no client connections to itself"), .anyText,
            "Key of that certificate."),
        Flag(
            "self-signed-cert-validity", default: "1", .security,
            .integer(\.selfSignedCertValidityYears, in: 1...100),
            "Years that certificates of --auto-tls and --peer-auto-tls last."),
    ]

    private static let peerSecurity: [Flag] = [
        peer(
            "peer-cert-file", "cert-file", .text(\.peerTLS.certFile),
            "Certificate for peer connections."),
        peer("peer-key-file", "key-file", .text(\.peerTLS.keyFile), "Key of that certificate."),
        peer(
            "peer-trusted-ca-file", "trusted-ca-file", .text(\.peerTLS.trustedCAFile),
            "CA that peers' certificates must come from; peers then need one."),
        peer(
            "peer-client-cert-file", "client-cert-file", .text(\.peerTLS.clientCertFile),
            "Certificate towards peers; empty = that of --peer-cert-file."),
        peer(
            "peer-client-key-file", "client-key-file", .text(\.peerTLS.clientKeyFile),
            "Key of that certificate."),
        peer(
            "peer-cert-allowed-cn", "allowed-cn", .words(\.peerTLS.allowedCommonNames),
            "Common names, of which a peer's certificate must carry one."),
        peer(
            "peer-cert-allowed-hostname", "allowed-hostname", .words(\.peerTLS.allowedHostnames),
            "Host names, of which a peer's certificate must carry one."),
        peer(
            "peer-client-cert-auth", "client-cert-auth", default: "false",
            .boolean(\.peerTLS.clientCertAuth), "Demand certificates of peers."),
        Flag(
            "peer-skip-client-san-verification",
            key: "peer-transport-security.skip-client-san-verification", default: "false",
            .security, former: ["experimental-peer-skip-client-san-verification"],
            .boolean(\.peerTLS.skipsClientSANVerification),
            "Do not compare a peer's address with its certificate."),
        Flag(
            "peer-crl-file", key: nil, default: "", .security,
            .text(\.peerTLS.crlFile),
            "Revocation lists (PEM or DER) for certificates of peers, in both directions."),
        Flag(
            "peer-auto-tls", key: "peer-transport-security.auto-tls", default: "false", .security,
            .boolean(\.peerTLS.isAutomatic),
            "Make a self-signed certificate for peer connections; peers are then not verified."),
    ]

    private static func peer(
        _ name: String, _ key: String, default defaultText: String = "", _ value: FlagValue,
        _ help: String
    ) -> Flag {
        Flag(
            name, key: "peer-transport-security.\(key)", default: defaultText, .security, value,
            help)
    }

    static let auth: [Flag] = [
        Flag(
            "auth-token", default: "simple", .auth,
            .custom("text") { text, configuration throws(ValueProblem) in
                configuration.authToken = try AuthTokenSetting(text)
            },
            "What users get when they log in: \"simple\" tokens, or "
                + "\"jwt,sign-method=RS256,pub-key=FILE,priv-key=FILE,ttl=10m\"."),
        Flag(
            "auth-token-ttl", default: "300", .auth,
            .integer(\.authTokenTTLSeconds, in: 1...Int(Int32.max)),
            "Seconds that a simple token lives after its last use."),
        Flag(
            "bcrypt-cost", default: "10", .auth, .integer(\.bcryptCost, in: 4...31),
            "Cost of hashing a password: one more doubles the time."),
    ]

    static let unsafe: [Flag] = [
        Flag(
            "unsafe-no-fsync", default: "false", .unsafe, .boolean(\.unsafeNoFsync),
            "Never sync to disk: a crash of the machine loses acknowledged writes."),
        Flag(
            "force-new-cluster", default: "false", .unsafe,
            .refused("recovery from one member comes with a later version"), .anyBoolean,
            "Keep the data and drop all other members."),
    ]
}

extension FlagValue {
    fileprivate static func tlsVersion(_ field: Field<TLSVersionSetting?>) -> FlagValue {
        custom("version") { text, configuration throws(ValueProblem) in
            configuration[keyPath: field] = text.isEmpty ? nil : try requireChoice(text)
        }
    }
}

extension CipherSuite {
    fileprivate static func list(_ text: String) throws(ValueProblem) -> [CipherSuite] {
        var suites: [CipherSuite] = []
        for name in text.split(separator: ",") {
            guard let suite = named(String(name)) else {
                let names = all.map(\.name).joined(separator: ", ")
                throw ValueProblem(expected: "names out of: \(names)")
            }
            suites.append(suite)
        }
        return suites
    }
}
