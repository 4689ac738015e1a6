// PeerSockets.swift: what accepted and dialed sockets have in common.
// Belongs here: socket options, the first handlers. Never here: binding, connecting.

import NIOCore

enum PeerSockets {
    static var waterMark: ChannelOptions.Types.WriteBufferWaterMark {
        .init(low: PeerBounds.channelWaterMarks.low, high: PeerBounds.channelWaterMarks.high)
    }

    static var readAllocator: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(
            minimum: PeerBounds.readBytes.min, initial: PeerBounds.readBytes.first,
            maximum: PeerBounds.readBytes.max)
    }

    /// Adds TLS, where there is a role in it, and the handshake; on the channel's loop.
    static func install(
        _ greeter: any PeerGreeter, on channel: any Channel, settings: PeerSettings,
        address: String, role: TLSRole?, remoteIP: String?
    ) throws -> PeerHandshake {
        let pipeline = channel.pipeline.syncOperations
        let trouble = PeerTrouble()
        if let role, let tls = settings.tls {
            try pipeline.addHandler(
                tls.handler(
                    role, address: address, remoteIP: remoteIP, loop: channel.eventLoop,
                    limits: settings.limits, report: { trouble.note(text(of: $0)) }))
        }
        let handshake = PeerHandshake(
            greeter: greeter, settings: settings, address: address, isTLS: role != nil,
            trouble: trouble)
        try pipeline.addHandler(handshake)
        return handshake
    }

    /// An event of TLS as the reason of a connection's end: its address is named elsewhere.
    private static func text(of event: TransportEvent) -> String {
        switch event {
        case .handshakeFailed(_, let reason): "TLS handshake: \(reason)"
        case .connectionFailed(_, let reason): reason
        case .connectionTimedOut(_, let phase): "\(phase) was not finished in time"
        case .plainTextOnTLS: "it spoke plain text to an https peer URL; use https in both URLs"
        default: event.description
        }
    }

    /// The address as people write it.
    static func text(of address: SocketAddress?) -> String {
        guard let address, let host = address.ipAddress, let port = address.port else {
            return "unknown"
        }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
