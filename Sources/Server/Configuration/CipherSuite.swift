// CipherSuite.swift: the names of --cipher-suites and what OpenSSL calls them. Belongs here: the
// table. Never here: TLS itself (Transport). Source: IANA TLS cipher suite registry, cut to what
// etcd 3.5 takes; suites that TLS 1.2 should no longer use (RC4, 3DES, static RSA) are left out on
// purpose: asking for one is refused, not ignored.

/// A suite of TLS 1.2 or 1.3 that both etcd and OpenSSL know.
struct CipherSuite: Hashable, Sendable {
    /// The registered name, as etcd's flag takes it.
    let name: String
    /// What goes into OpenSSL's cipher list, or its list of TLS 1.3 suites.
    let openSSLName: String
    let isTLS13: Bool

    /// All suites that the flag takes.
    static let all: [CipherSuite] = [
        CipherSuite("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", isTLS13: true),
        CipherSuite("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", isTLS13: true),
        CipherSuite("TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", isTLS13: true),
        CipherSuite("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"),
        CipherSuite("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"),
        CipherSuite("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"),
        CipherSuite("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"),
        CipherSuite("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"),
        CipherSuite("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"),
        CipherSuite("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        CipherSuite("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        CipherSuite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        CipherSuite("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
        CipherSuite(
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        CipherSuite("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        CipherSuite("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        CipherSuite("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
    ]

    private init(_ name: String, _ openSSLName: String, isTLS13: Bool = false) {
        self.name = name
        self.openSSLName = openSSLName
        self.isTLS13 = isTLS13
    }

    /// Finds a suite by its registered name.
    static func named(_ name: String) -> CipherSuite? { all.first { $0.name == name } }
}
