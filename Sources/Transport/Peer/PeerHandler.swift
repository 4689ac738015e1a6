// PeerHandler.swift: what the transport asks of, and tells, the server about its connections.
// Belongs here: the protocol and what every connection has in common. Never here: an
// implementation.

public import NIOCore

/// Handles the connections of this member.
///
/// All functions are called on event loops, those about one connection on its own loop, and must
/// not block. For one connection the order is `peerConnected`, any number of `peerReceived` and
/// `peerDrained`, then `peerClosed` once. Two connections of one member have no order between them:
/// a newer one may be reported before the end of the one it replaces.
public protocol PeerHandler: AnyObject, Sendable {
    /// Whether a member that connects may; its cluster and the member it means are already checked.
    func peerAdmits(_ hello: PeerHello) -> PeerAdmission
    /// A connection stands, whichever side asked for it.
    func peerConnected(_ connection: PeerConnection)
    /// A frame came; the payload shares memory with its neighbours: copy what is kept for long.
    func peerReceived(_ connection: PeerConnection, kind: UInt8, payload: ByteBuffer)
    /// The connection is over; called in the loop turn in which this side learns it.
    func peerClosed(_ connection: PeerConnection)
    /// Sending was refused because the queue was full, and now half of it is free.
    func peerDrained(_ connection: PeerConnection)
}

/// What all connections of this member have in common.
public struct PeerSettings: Sendable {
    /// Who this member is.
    public var identity: PeerIdentity
    /// Its certificates; nil leaves only http URLs.
    public var tls: PeerTLS?
    /// The event loops, which must run until all connections are closed.
    public var group: any EventLoopGroup
    /// Where frames and news of connections go.
    public var handler: any PeerHandler
    /// The bounds.
    public var limits: PeerLimits
    /// Where reports for the log go; called on event loops.
    public var report: @Sendable (PeerEvent) -> Void

    /// Describes what all connections have in common.
    public init(
        identity: PeerIdentity, tls: PeerTLS?, group: any EventLoopGroup,
        handler: any PeerHandler, limits: PeerLimits = PeerLimits(),
        report: @escaping @Sendable (PeerEvent) -> Void
    ) {
        self.identity = identity
        self.tls = tls
        self.group = group
        self.handler = handler
        self.limits = limits
        self.report = report
    }
}
