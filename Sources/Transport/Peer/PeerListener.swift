// PeerListener.swift: the socket to which other members connect.
// Belongs here: bind, limits at the door, the pipeline of an accepted connection, close.
// Never here: the hello (PeerAcceptingGreeter.swift).

public import NIOCore
import NIOPosix

/// A listening socket for connections of other members.
public final class PeerListener: Sendable {
    private let channel: any Channel
    private let children: ConnectionSet
    private let registry: PeerRegistry

    private init(channel: any Channel, children: ConnectionSet, registry: PeerRegistry) {
        self.channel = channel
        self.children = children
        self.registry = registry
    }

    /// Binds the address and begins to accept; must not be called on an event loop.
    ///
    /// With `isTLS` the settings must have certificates; with `reusesPort` other processes may listen
    /// on the same port.
    public static func bind(
        host: String, port: Int, isTLS: Bool, reusesPort: Bool = false, settings: PeerSettings
    ) throws(TransportError) -> PeerListener {
        guard !isTLS || settings.tls != nil else {
            throw .tlsSetting(
                "the peer URL to listen on is https: set a peer certificate, key and trusted CA")
        }
        let limits = settings.limits
        let children = ConnectionSet(max: limits.acceptedMax + limits.greetingMax)
        let registry = PeerRegistry(limits: limits)
        let door = PeerDoor(
            settings: settings, isTLS: isTLS, children: children, registry: registry)
        let bootstrap = ServerBootstrap(group: settings.group)
            .serverChannelOption(.backlog, value: PeerBounds.acceptBacklog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.socketOption(.reusePort), value: reusesPort ? 1 : 0)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: PeerSockets.waterMark)
            .childChannelOption(.recvAllocator, value: PeerSockets.readAllocator)
            .childChannelInitializer { door.accept($0) }
        do {
            let channel = try bootstrap.bind(host: host, port: port).wait()
            return PeerListener(channel: channel, children: children, registry: registry)
        } catch {
            throw .bind(address: "\(host):\(port)", reason: SystemErrorText.of(error))
        }
    }

    /// The port the socket is bound to.
    public var boundPort: Int { channel.localAddress?.port ?? 0 }

    /// Accepted connections that stand.
    public var connectionCount: Int { registry.count }

    /// Closes the socket and all accepted connections; the future succeeds when they are closed.
    @discardableResult
    public func close() -> EventLoopFuture<Void> {
        channel.close(promise: nil)
        return channel.closeFuture.flatMap { [channel, children, registry] in
            registry.closeAll(reason: "this member stops")
            let open = children.all
            for child in open { child.close(promise: nil) }
            return EventLoopFuture.andAllComplete(
                open.map(\.closeFuture), on: channel.eventLoop)
        }
    }
}

/// Makes the pipeline of an accepted connection.
private struct PeerDoor: Sendable {
    let settings: PeerSettings
    let isTLS: Bool
    let children: ConnectionSet
    let registry: PeerRegistry

    /// Called on the connection's loop; a failed future closes the connection.
    func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
        let host = channel.remoteAddress?.ipAddress ?? "unknown"
        let address = PeerSockets.text(of: channel.remoteAddress)
        guard registry.beginGreeting() else {
            return refuse(channel, host, address)
        }
        guard children.insert(channel) else {
            registry.endGreeting()
            return refuse(channel, host, address)
        }
        let greeter = PeerAcceptingGreeter(
            settings: settings, registry: registry, address: address, host: host)
        channel.closeFuture.assumeIsolated().whenComplete { [children] _ in
            children.remove(channel)
            greeter.greeted()
        }
        return channel.eventLoop.makeCompletedFuture {
            _ = try PeerSockets.install(
                greeter, on: channel, settings: settings, address: address,
                role: isTLS ? .accepting : nil, remoteIP: channel.remoteAddress?.ipAddress)
        }
    }

    private func refuse(
        _ channel: any Channel, _ host: String, _ address: String
    ) -> EventLoopFuture<Void> {
        if let count = registry.failures.count(host, at: registry.now) {
            let reason = "too many connections at once; is something else using the peer port?"
            settings.report(.handshakeFailed(address: address, reason: reason, count: count))
        }
        return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
    }
}
