// PeerHandshake.swift: the first bytes of a connection, on either side, as a channel handler.
// Belongs here: waiting for TLS and for the hello, the time limit, handing over to PeerSession.
// Never here: who may connect (PeerAcceptingGreeter.swift, PeerDialingGreeter.swift).
// A connection ends in exactly one of two ways here: the greeter's `opened`, or its `failed`.

import NIOCore

/// What an accepted and a dialed connection do differently; called on the connection's loop.
protocol PeerGreeter: AnyObject {
    /// Whether this side asked for the connection.
    var isDialed: Bool { get }
    /// What is said first; nil waits for the other side.
    func opening() -> ByteBuffer?
    /// What TLS has against the other side; nil is nothing.
    func secured(_ event: TLSHandshakeEvent) -> String?
    /// Judges the other side's hello or answer.
    func received(
        _ body: ByteBuffer, make: (PeerIntroduction) -> PeerConnection
    ) throws(PeerFault) -> PeerGreeting
    /// What to send to one whose hello cannot be read; nil is nothing.
    func reply(to fault: PeerFault) -> ByteBuffer?
    func opened(_ connection: PeerConnection)
    func closed(_ connection: PeerConnection)
    /// No connection came about.
    func failed(_ reason: String)
}

/// The verdict on a hello or an answer.
enum PeerGreeting {
    case open(PeerConnection, reply: ByteBuffer?)
    /// The greeter has already told whom it concerns.
    case close(reply: ByteBuffer?)
}

// Guarded by the connection's event loop.
final class PeerHandshake: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let greeter: any PeerGreeter
    private let settings: PeerSettings
    private let address: String
    private let trouble: PeerTrouble
    private var waitsForTLS: Bool
    private var received = ByteBuffer()
    private var timeout: Scheduled<Void>?
    private var isStarted = false
    private var isOver = false

    init(
        greeter: any PeerGreeter, settings: PeerSettings, address: String, isTLS: Bool,
        trouble: PeerTrouble
    ) {
        self.greeter = greeter
        self.settings = settings
        self.address = address
        self.trouble = trouble
        waitsForTLS = isTLS
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    private func start(_ context: ChannelHandlerContext) {
        guard !isStarted else { return }
        isStarted = true
        let channel = context.channel
        let limit = settings.limits.handshakeNanoseconds
        timeout = context.eventLoop.scheduleTask(in: .nanoseconds(limit)) {
            let phase = self.waitsForTLS ? "TLS" : "the hello"
            self.trouble.note("\(phase) was not finished within \(limit / 1_000_000) ms")
            channel.close(promise: nil)
        }
        if !waitsForTLS { sendOpening(context) }
    }

    private func sendOpening(_ context: ChannelHandlerContext) {
        guard let opening = greeter.opening() else { return }
        context.writeAndFlush(wrapOutboundOut(opening), promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? TLSHandshakeEvent else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        waitsForTLS = false
        if let fault = greeter.secured(event) {
            greeter.failed(fault)
            finish()
            context.close(promise: nil)
        } else {
            sendOpening(context)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard !isOver else { return }
        received.writeBuffer(&bytes)
        do throws(PeerFault) {
            guard let body = try PeerWire.openEnvelope(&received) else { return }
            var session: PeerSession?
            let greeting = try greeter.received(body) { other in
                let made = PeerSession(
                    channel: context.channel, kind: other.channel, settings: settings,
                    greeter: greeter, trouble: trouble)
                session = made
                return PeerConnection(other, address: address, session: made)
            }
            switch greeting {
            case .open(let connection, let reply):
                guard let session else { preconditionFailure("a connection without a session") }
                handOver(context, to: session, connection, reply)
            case .close(let reply):
                finish()
                close(context, reply)
            }
        } catch {
            greeter.failed("\(error)")
            finish()
            close(context, greeter.reply(to: error))
        }
    }

    private func handOver(
        _ context: ChannelHandlerContext, to session: PeerSession, _ connection: PeerConnection,
        _ reply: ByteBuffer?
    ) {
        finish()
        if let reply { context.writeAndFlush(wrapOutboundOut(reply), promise: nil) }
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(session, position: .after(self))
        } catch {
            // The pipeline is gone; the session sees that its channel is closed.
            trouble.note("\(error)")
        }
        session.open(connection, rest: received)
        received = ByteBuffer()
        pipeline.removeHandler(self, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    /// The channel is closed.
    func end() {
        guard !isOver else { return }
        greeter.failed(trouble.text ?? closedText)
        finish()
    }

    private var closedText: String {
        greeter.isDialed
            ? "the other side closed it before it answered; its log says why, and the URL's "
                + "scheme must be the one it listens with"
            : "the other side closed it before its hello was whole"
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        trouble.note(SystemErrorText.of(error))
        context.close(promise: nil)
    }

    private func close(_ context: ChannelHandlerContext, _ reply: ByteBuffer?) {
        if let reply { context.writeAndFlush(wrapOutboundOut(reply), promise: nil) }
        context.close(promise: nil)
    }

    private func finish() {
        isOver = true
        timeout?.cancel()
        timeout = nil
    }
}
