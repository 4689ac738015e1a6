// PeerHello.swift: the first words of both sides and what may be said to them.
// Belongs here: hello, answer, refusals, their bytes (layout in PeerWire.swift). Never here: who is
// refused.

import NIOCore

/// What a member that connects says about itself.
public struct PeerHello: Equatable, Sendable {
    /// The oldest and newest protocol version it speaks.
    public var oldestVersion: UInt16
    /// The newest protocol version it speaks.
    public var newestVersion: UInt16
    /// The cluster it belongs to; 0 is not known yet, only on the bootstrap channel.
    public var clusterID: UInt64
    /// Its member id; 0 is none yet, only on the bootstrap channel.
    public var from: UInt64
    /// The member it wants to speak to; 0 is any.
    public var to: UInt64
    /// What the connection is for.
    public var channel: PeerChannel
    /// Its name.
    public var name: String
    /// Its peer URL, not verified.
    public var url: String

    init(identity: PeerIdentity, to: UInt64, channel: PeerChannel) {
        oldestVersion = PeerWire.versions.lowerBound
        newestVersion = PeerWire.versions.upperBound
        clusterID = identity.clusterID
        from = identity.memberID
        self.to = to
        self.channel = channel
        name = identity.name
        url = identity.url
    }

    init(body: ByteBuffer) throws(PeerFault) {
        var rest = body
        oldestVersion = try PeerWire.read(&rest)
        newestVersion = try PeerWire.read(&rest)
        clusterID = try PeerWire.read(&rest)
        from = try PeerWire.read(&rest)
        to = try PeerWire.read(&rest)
        let number = try PeerWire.read(&rest, as: UInt8.self)
        guard let channel = PeerChannel(rawValue: number) else { throw .unknownChannel(number) }
        self.channel = channel
        name = try PeerWire.readText(&rest)
        url = try PeerWire.readText(&rest)
    }

    var encoded: ByteBuffer {
        var body = ByteBuffer()
        body.writeInteger(oldestVersion, endianness: .little)
        body.writeInteger(newestVersion, endianness: .little)
        body.writeInteger(clusterID, endianness: .little)
        body.writeInteger(from, endianness: .little)
        body.writeInteger(to, endianness: .little)
        body.writeInteger(channel.rawValue)
        PeerWire.write(name, to: &body)
        PeerWire.write(url, to: &body)
        return PeerWire.envelope(body)
    }
}

/// Why a connection is refused.
public enum PeerRefusal: UInt8, CaseIterable, Sendable {
    /// The other member belongs to another cluster.
    case wrongCluster = 1
    /// The URL leads to another member than the one meant.
    case wrongMember
    /// The cluster does not know the member that connects.
    case unknownMember
    /// The member that connects was removed from the cluster.
    case removedMember
    /// The members have no protocol version in common.
    case versionMismatch
    /// The hello breaks the protocol.
    case malformed
    /// There are as many connections as are allowed.
    case busy
    /// The certificate is valid, but not one that may connect.
    case notAllowed
}

/// What the caller says to a hello.
public enum PeerAdmission: Equatable, Sendable {
    /// The member may connect.
    case accept
    /// It may not; the text tells its operator what to do.
    case refuse(PeerRefusal, String)
}

/// What the acceptor says to a hello.
struct PeerAnswer: Equatable {
    /// Nil is welcome.
    var refusal: PeerRefusal?
    var version: UInt16
    var memberID: UInt64
    var clusterID: UInt64
    var text: String

    init(refusal: PeerRefusal?, version: UInt16, identity: PeerIdentity, text: String) {
        self.refusal = refusal
        self.version = version
        memberID = identity.memberID
        clusterID = identity.clusterID
        self.text = text
    }

    init(body: ByteBuffer) throws(PeerFault) {
        var rest = body
        let status = try PeerWire.read(&rest, as: UInt8.self)
        if status != 0 {
            guard let refusal = PeerRefusal(rawValue: status) else { throw .unknownStatus(status) }
            self.refusal = refusal
        }
        version = try PeerWire.read(&rest)
        memberID = try PeerWire.read(&rest)
        clusterID = try PeerWire.read(&rest)
        text = try PeerWire.readText(&rest)
    }

    var encoded: ByteBuffer {
        var body = ByteBuffer()
        body.writeInteger(refusal?.rawValue ?? 0)
        body.writeInteger(version, endianness: .little)
        body.writeInteger(memberID, endianness: .little)
        body.writeInteger(clusterID, endianness: .little)
        PeerWire.write(text, to: &body)
        return PeerWire.envelope(body)
    }
}
