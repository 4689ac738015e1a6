// CallMetadata.swift: the request headers of a call that etcd's services read, and who sent them.
// Belongs here: plain values. Never here: header parsing (GRPC/RequestHeaders.swift).
// Source: etcd semantics G10, G11.

/// The metadata of a call that the services look at; all else is dropped unseen.
public struct CallMetadata: Sendable {
    /// The auth token under the key `token`.
    public var token: String?
    /// The auth token under the key `authorization`.
    public var authorization: String?
    /// Whether `hasleader: true` was sent: the call must fail when there is no leader.
    public var hasLeader = false
    /// The version of the client library.
    public var clientAPIVersion: String?
    /// Whether that version was not UTF-8.
    public var hasMalformedClientAPIVersion = false

    /// Makes empty metadata.
    public init() {}
}

/// Who is at the other end of a connection.
public struct PeerInfo: Sendable {
    /// Address and port, as `10.0.0.7:41234` or `[::1]:41234`.
    public var address: String
    /// The common name of the verified client certificate.
    public var certificateCommonName: String?
    /// Whether the connection is TLS.
    public var isTLS: Bool

    /// Describes a peer.
    public init(address: String, certificateCommonName: String? = nil, isTLS: Bool = false) {
        self.address = address
        self.certificateCommonName = certificateCommonName
        self.isTLS = isTLS
    }
}
