// PeerEvent.swift: what the connections between members report, and why one could not be made.
// Belongs here: one case per kind of report, with text that says what to do. Never here: secrets,
// contents of frames.

/// Something an operator may want to know about connections between members.
public enum PeerEvent: Equatable, Sendable, CustomStringConvertible {
    /// A connection stands; `isDialed` tells which side asked for it.
    case connected(member: UInt64, channel: PeerChannel, address: String, isDialed: Bool)
    /// A connection that stood is gone.
    case lost(member: UInt64, channel: PeerChannel, address: String, reason: String)
    /// A member that connected was refused.
    case refused(member: UInt64, channel: PeerChannel, address: String, PeerRefusal, String)
    /// Connections from an address broke before they stood; `count` since the last report of it.
    case handshakeFailed(address: String, reason: String, count: Int)
    /// A member could not be reached; `count` attempts since the last report of it.
    case dialFailed(member: UInt64, channel: PeerChannel, PeerError, count: Int)
    /// Changed certificate files could not be loaded; the old ones stay in use.
    case certificateReloadFailed(reason: String)
    /// Changed certificate files are in use, or files should be looked at.
    case certificates(String)

    /// One line for the log.
    public var description: String {
        switch self {
        case .connected(let member, let channel, let address, let isDialed):
            "\(channel) connection \(isDialed ? "to" : "from") member "
                + "\(Self.hex(member)) at \(address) is up"
        case .lost(let member, let channel, let address, let reason):
            "\(channel) connection with member \(Self.hex(member)) at \(address) is lost: "
                + reason
        case .refused(let member, let channel, let address, let code, let text):
            "refused a \(channel) connection from member \(Self.hex(member)) at "
                + "\(address) (\(code)): \(text)"
        case .handshakeFailed(let address, let reason, let count):
            "refused a connection from \(address)\(Self.others(count)): \(reason)"
        case .dialFailed(let member, let channel, let error, let count):
            "no \(channel) connection to member \(Self.hex(member))"
                + "\(Self.times(count)): \(error)"
        case .certificateReloadFailed(let reason):
            "changed certificates were not loaded, the old ones stay in use: \(reason)"
        case .certificates(let text): text
        }
    }

    /// A member id as etcd writes it.
    static func hex(_ member: UInt64) -> String { String(member, radix: 16) }

    /// How many more there were since the last report.
    private static func others(_ count: Int) -> String {
        count == 1 ? "" : " and \(count - 1) more from there"
    }

    private static func times(_ count: Int) -> String { count == 1 ? "" : " \(count) times" }
}

/// Why there is no connection to a member.
public enum PeerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No TCP connection came about.
    case unreachable(url: String, reason: String)
    /// TLS or the hello failed.
    case handshake(url: String, reason: String)
    /// The member refused.
    case refusedByPeer(url: String, PeerRefusal, String)
    /// What the member says about itself is not what was expected.
    case refusedByUs(url: String, PeerRefusal, String)
    /// The URL is https and no certificate is configured.
    case noCertificate(url: String)

    /// One line for the operator.
    public var description: String {
        switch self {
        case .unreachable(let url, let reason): "cannot connect to \(url): \(reason)"
        case .handshake(let url, let reason): "connection to \(url) failed: \(reason)"
        case .refusedByPeer(let url, let code, let text): "\(url) refused (\(code)): \(text)"
        case .refusedByUs(let url, let code, let text): "\(url) is not used (\(code)): \(text)"
        case .noCertificate(let url):
            "\(url) needs TLS: set a peer certificate, key and trusted CA file"
        }
    }
}
