// Listener.swift: one listening socket and the connections it accepted.
// Belongs here: accept, count, drain, close. Never here: protocols (ProtocolDetector.swift), their
// handlers.

import NIOCore
import NIOPosix
import Synchronization

/// A listening socket.
public final class Listener: Sendable {
    private let channel: any Channel
    private let children: ConnectionSet
    /// The file of a Unix socket, which goes with the listener.
    private let socketFile: UnixSocketFile?

    private init(channel: any Channel, children: ConnectionSet, socketFile: UnixSocketFile?) {
        self.channel = channel
        self.children = children
        self.socketFile = socketFile
    }

    /// Binds the address and begins to accept; must not be called on an event loop.
    public static func bind(
        _ configuration: ListenerConfiguration, registry: HandlerRegistry
    ) throws(TransportError) -> Listener {
        let children = ConnectionSet(max: configuration.limits.connectionsMax)
        let acceptor = Acceptor(
            configuration: configuration, registry: registry, children: children,
            tls: try configuration.tls.map { (tls) throws(TransportError) in
                try TLSContextSource(tls, report: registry.report)
            })
        let bootstrap = ServerBootstrap(group: registry.group)
            .serverChannelOption(.backlog, value: Limits.acceptBacklog)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(
                    low: Limits.channelWaterMarks.low, high: Limits.channelWaterMarks.high)
            )
            .childChannelInitializer { acceptor.accept($0) }
        let address = configuration.address
        var socketFile: UnixSocketFile?
        if case .unix(let path) = address { socketFile = try UnixSocketFile(path) }
        do {
            let channel = try bind(bootstrap, address, configuration.reusesPort).wait()
            return Listener(channel: channel, children: children, socketFile: socketFile)
        } catch {
            throw .bind(address: "\(address)", reason: SystemErrorText.of(error))
        }
    }

    private static func bind(
        _ bootstrap: ServerBootstrap, _ address: ListenerAddress, _ reusesPort: Bool
    ) -> EventLoopFuture<any Channel> {
        switch address {
        case .unix(let path): bootstrap.bind(unixDomainSocketPath: path)
        case .tcp(let host, let port):
            bootstrap
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(.socketOption(.reusePort), value: reusesPort ? 1 : 0)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .bind(host: host, port: port)
        }
    }

    /// The port the socket is bound to.
    public var localPort: Int { channel.localAddress?.port ?? 0 }

    /// Connections open now.
    public var connectionCount: Int { children.count }

    /// Stops accepting, lets calls in progress finish, and closes each connection after its last
    /// one.
    public func drain() {
        // First no more are accepted, then those there are get the event.
        channel.close(promise: nil)
        channel.closeFuture.whenComplete { [children] _ in
            for child in children.all {
                child.eventLoop.execute {
                    child.pipeline.fireUserInboundEventTriggered(DrainEvent())
                }
            }
        }
    }

    /// Closes the socket and all connections, and returns when they are closed; not on an event
    /// loop.
    public func close() {
        channel.close(promise: nil)
        wait(channel.closeFuture)
        socketFile?.remove()
        let open = children.all
        for child in open { child.close(promise: nil) }
        for child in open { wait(child.closeFuture) }
    }

    private func wait(_ future: EventLoopFuture<Void>) {
        do {
            try future.wait()
        } catch {
            preconditionFailure("a close future failed: \(error)")
        }
    }
}

/// Tells a connection's handlers to finish what they have and then close.
struct DrainEvent: Sendable {}

/// The open connections of a listener.
final class ConnectionSet: Sendable {
    private let max: Int
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    init(max: Int) {
        self.max = max
    }

    /// Adds a connection unless there are as many as are allowed.
    func insert(_ channel: any Channel) -> Bool {
        channels.withLock { channels in
            guard channels.count < max else { return false }
            channels[ObjectIdentifier(channel)] = channel
            return true
        }
    }

    func remove(_ channel: any Channel) {
        channels.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    var count: Int { channels.withLock { $0.count } }

    var all: [any Channel] { channels.withLock { Array($0.values) } }
}
