// ListenerConfiguration.swift: where to listen and how.
// Belongs here: settings. Never here: their defaults' reasons (Limits.swift), flag names (Server).

/// A TLS protocol version.
public enum TLSVersion: Int, Comparable, Sendable {
    /// TLS 1.2.
    case tls12 = 0x0303
    /// TLS 1.3.
    case tls13 = 0x0304

    /// Orders versions by age.
    public static func < (left: TLSVersion, right: TLSVersion) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The certificate and rules of a TLS port.
public struct TLSConfiguration: Sendable {
    /// The PEM file of the certificate and its chain.
    public var certificateFile: String
    /// The PEM file of the private key.
    public var keyFile: String
    /// The PEM file of the authorities client certificates are verified against.
    public var trustedCAFile: String?
    /// The file of revocation lists of those authorities, PEM or DER; nil for none.
    public var revocationFile: String?
    /// Host names of which a client's certificate must have one; none listed is all.
    public var allowedHostnames: [String]
    /// Whether a client without a valid certificate is refused.
    public var requireClientCertificate: Bool
    /// Whether a server's certificate is checked, where this side dials.
    public var verifiesServer = true
    /// The oldest version accepted.
    public var minimumVersion: TLSVersion
    /// The newest version accepted; nil is the newest known.
    public var maximumVersion: TLSVersion?
    /// The TLS 1.2 cipher suites by OpenSSL or IANA name; empty is OpenSSL's default.
    public var cipherSuites: [String]

    /// Describes a TLS port.
    public init(
        certificateFile: String, keyFile: String, trustedCAFile: String? = nil,
        revocationFile: String? = nil, allowedHostnames: [String] = [],
        requireClientCertificate: Bool = false, minimumVersion: TLSVersion = .tls12,
        maximumVersion: TLSVersion? = nil, cipherSuites: [String] = []
    ) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.trustedCAFile = trustedCAFile
        self.revocationFile = revocationFile
        self.allowedHostnames = allowedHostnames
        self.requireClientCertificate = requireClientCertificate
        self.minimumVersion = minimumVersion
        self.maximumVersion = maximumVersion
        self.cipherSuites = cipherSuites
    }
}

/// A place to listen at.
public enum ListenerAddress: Sendable, CustomStringConvertible {
    /// An address or host name, and a port; 0 takes any free one.
    case tcp(host: String, port: Int)
    /// The file of a Unix socket.
    case unix(path: String)

    /// The address as an error names it.
    public var description: String {
        switch self {
        case .tcp(let host, let port): "\(host):\(port)"
        case .unix(let path): path
        }
    }
}

/// Where a listener listens and what it accepts.
public struct ListenerConfiguration: Sendable {
    /// The place to listen at.
    public var address: ListenerAddress
    /// Whether other processes may listen on the same port.
    public var reusesPort: Bool
    /// TLS, or nil for plain text.
    public var tls: TLSConfiguration?
    /// The bounds of every connection.
    public var limits: ConnectionLimits
    /// Whether gRPC is served; false is HTTP only.
    public var servesRPC: Bool

    /// Describes a listener.
    public init(
        address: ListenerAddress, tls: TLSConfiguration? = nil,
        limits: ConnectionLimits = ConnectionLimits(), servesRPC: Bool = true,
        reusesPort: Bool = false
    ) {
        self.address = address
        self.reusesPort = reusesPort
        self.tls = tls
        self.limits = limits
        self.servesRPC = servesRPC
    }
}
