// PeerIdentity.swift: who a member is, and what its connections to others are for.
// Belongs here: names and numbers of members, channels, URLs. Never here: who is a member (Raft).

/// Who this member is to the others.
public struct PeerIdentity: Equatable, Sendable {
    /// The cluster; 0 while a new member does not know it.
    public var clusterID: UInt64
    /// This member; 0 while it has no id.
    public var memberID: UInt64
    /// Its name, for people.
    public var name: String
    /// Its peer URL as others should know it, for people.
    public var url: String

    /// Describes this member.
    public init(clusterID: UInt64, memberID: UInt64, name: String, url: String = "") {
        self.clusterID = clusterID
        self.memberID = memberID
        self.name = name
        self.url = url
    }
}

/// What a connection is for; each has its own limits.
public enum PeerChannel: UInt8, CaseIterable, Sendable {
    /// Raft messages.
    case log = 1
    /// Requests that a follower hands to the leader.
    case forward
    /// A snapshot's pages.
    case snapshot
    /// Questions of a member that is not in the cluster yet.
    case bootstrap

    /// Whether a newer connection of the same member takes the place of the older one.
    var isReplaced: Bool { self == .log || self == .forward }
}

/// Where another member listens.
public struct PeerURL: Equatable, Sendable, CustomStringConvertible {
    /// Whether the URL is https.
    public var isTLS: Bool
    /// A host name or an IP address, without brackets.
    public var host: String
    /// The TCP port.
    public var port: Int

    /// Describes a place to connect to.
    public init(isTLS: Bool, host: String, port: Int) {
        self.isTLS = isTLS
        self.host = host
        self.port = port
    }

    /// The URL as people write it.
    public var description: String {
        let place = host.contains(":") ? "[\(host)]" : host
        return "\(isTLS ? "https" : "http")://\(place):\(port)"
    }
}
