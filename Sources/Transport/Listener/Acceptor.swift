// Acceptor.swift: makes the pipeline of an accepted connection.
// Belongs here: limits at the door, TLS before the protocol detector. Never here: what the protocol
// is.

import NIOCore
import Synchronization

struct Acceptor: Sendable {
    let configuration: ListenerConfiguration
    let registry: HandlerRegistry
    let children: ConnectionSet
    let tls: TLSContextSource?

    /// Called on the connection's loop; a failed future closes the connection.
    func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
        let counters = registry.counters
        let address = Self.text(of: channel.remoteAddress)
        guard children.insert(channel) else {
            counters.connectionsRefused.wrappingAdd(1, ordering: .relaxed)
            registry.report(
                .connectionRefused(peer: address, limit: configuration.limits.connectionsMax))
            return channel.eventLoop.makeFailedFuture(ChannelError.connectionLimit)
        }
        counters.connectionsAccepted.wrappingAdd(1, ordering: .relaxed)
        counters.connectionsOpen.wrappingAdd(1, ordering: .relaxed)
        channel.closeFuture.whenComplete { [children] _ in
            children.remove(channel)
            counters.connectionsOpen.wrappingSubtract(1, ordering: .relaxed)
        }
        return channel.eventLoop.makeCompletedFuture {
            try configure(channel.pipeline.syncOperations, channel.eventLoop, address: address)
        }
    }

    private func configure(
        _ pipeline: ChannelPipeline.SynchronousOperations, _ eventLoop: any EventLoop,
        address: String
    ) throws {
        let loop = registry.context(of: eventLoop)
        let peer = PeerInfo(address: address, isTLS: tls != nil)
        if let tls {
            try pipeline.addHandler(
                TLSHandler(
                    role: .accepting, buffers: loop.tlsBuffers,
                    context: tls.current(at: loop.nowNanoseconds), peer: address,
                    timeoutNanoseconds: configuration.limits.handshakeTimeoutNanoseconds,
                    report: { loop.reportFailure($0) }, inspect: tls.rules.fault(of:)))
        }
        try pipeline.addHandler(
            ProtocolDetector(
                loop: loop, peer: peer, limits: configuration.limits,
                servesRPC: configuration.servesRPC))
    }

    /// The address as people write it.
    private static func text(of address: SocketAddress?) -> String {
        guard let address else { return "unknown" }
        guard let host = address.ipAddress, let port = address.port else { return "unix" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

extension ChannelError {
    /// Any error closes the connection; this one has no meaning of its own.
    fileprivate static var connectionLimit: ChannelError { .ioOnClosedChannel }
}
