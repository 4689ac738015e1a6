// ProtocolDetector.swift: finds out which protocol a new connection speaks, installs it, and
// leaves. Belongs here: the HTTP/2 preface, ALPN's verdict, the wait for first bytes. Never here:
// the protocols. Source: etcd semantics G15; RFC 9113 section 3.4.

import NIOCore

// Guarded by the connection's event loop.
final class ProtocolDetector: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private enum Verdict {
        case http1
        case http2
        case tls
        case undecided
    }

    private static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    private let loop: LoopContext
    private var peer: PeerInfo
    private let limits: ConnectionLimits
    private let servesRPC: Bool
    private var received: ByteBuffer?
    private var timeout: Scheduled<Void>?
    private var isDecided = false

    init(loop: LoopContext, peer: PeerInfo, limits: ConnectionLimits, servesRPC: Bool) {
        self.loop = loop
        self.peer = peer
        self.limits = limits
        self.servesRPC = servesRPC
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if !peer.isTLS { startTimer(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timeout?.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.reportFailure(.connectionFailed(peer: peer.address, reason: SystemErrorText.of(error)))
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is DrainEvent, !isDecided {
            context.close(promise: nil)
        } else if let handshake = event as? TLSHandshakeEvent {
            if let fault = handshake.certificateFault {
                loop.reportFailure(.handshakeFailed(peer: peer.address, reason: fault))
                context.close(promise: nil)
                return
            }
            peer.certificateCommonName = handshake.commonName
            switch handshake.applicationProtocol {
            case "h2": install(.http2, context)
            case "http/1.1": install(.http1, context)
            // A client without ALPN may speak either; its first bytes tell.
            default: startTimer(context)
            }
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard !isDecided else {
            context.fireChannelRead(data)
            return
        }
        if var earlier = received {
            earlier.writeBuffer(&buffer)
            received = earlier
        } else {
            received = buffer
        }
        install(judge(), context)
    }

    private func judge() -> Verdict {
        guard let received else { return .undecided }
        return received.withUnsafeReadableBytes { bytes in
            if bytes.first == 0x16, !peer.isTLS { return .tls }
            let count = min(bytes.count, Self.preface.utf8CodeUnitCount)
            let expected = UnsafeRawBufferPointer(start: Self.preface.utf8Start, count: count)
            guard equalBytes(UnsafeRawBufferPointer(rebasing: bytes[..<count]), expected) else {
                return .http1
            }
            return count == Self.preface.utf8CodeUnitCount ? .http2 : .undecided
        }
    }

    private func install(_ verdict: Verdict, _ context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        do {
            switch verdict {
            case .undecided: return
            case .tls:
                loop.reportFailure(.tlsOnPlainText(peer: peer.address))
                context.close(promise: nil)
                return
            case .http2:
                try pipeline.addHandler(
                    HTTP2Connection(loop: loop, peer: peer, limits: limits, servesRPC: servesRPC))
            case .http1:
                try HTTP1Pipeline(loop: loop, peer: peer, limits: limits).install(in: pipeline)
            }
        } catch {
            context.fireErrorCaught(error)
            context.close(promise: nil)
            return
        }
        isDecided = true
        timeout?.cancel()
        if let received {
            self.received = nil
            context.fireChannelRead(wrapInboundOut(received))
        }
        pipeline.removeHandler(self, promise: nil)
    }

    private func startTimer(_ context: ChannelHandlerContext) {
        let channel = context.channel
        timeout = loop.eventLoop.scheduleTask(
            in: .nanoseconds(limits.firstByteTimeoutNanoseconds)
        ) { [weak self] in
            guard let self, !self.isDecided else { return }
            self.loop.reportFailure(
                .connectionTimedOut(peer: self.peer.address, phase: "no request arrived"))
            channel.close(promise: nil)
        }
    }
}
