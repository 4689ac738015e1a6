// WebSocketHandler.swift: one WebSocket connection as a stream of messages.
// Belongs here: which frames mean what, the closing handshake. Never here: framing and the upgrade
// (NIOWebSocket), what a message means (Server).
// Source: RFC 6455 sections 5.1, 5.5, 7.4.

import NIOCore
import NIOWebSocket

// Guarded by the connection's event loop.
final class WebSocketHandler: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let loop: LoopContext
    private let request: HTTPRequest
    private let messageBytesMax: Int
    /// What has come of a message in parts; nil between messages.
    private var partial: [UInt8]?
    private var context: ChannelHandlerContext?
    private var stream: HTTPStream?
    private var account = WriteAccount()
    private var isClosing = false
    private var isFlushScheduled = false

    init(loop: LoopContext, request: HTTPRequest, messageBytesMax: Int) {
        self.loop = loop
        self.request = request
        self.messageBytesMax = messageBytesMax
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let stream = HTTPStream(sink: self, isWebSocket: true)
        self.stream = stream
        // The answer to the upgrade is written first.
        loop.eventLoop.execute { [self] in
            guard self.context != nil else { return }
            if !loop.http.open(request, stream) { abort() }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { gone() }

    func channelInactive(context: ChannelHandlerContext) {
        gone()
        context.fireChannelInactive()
    }

    private func gone() {
        context = nil
        guard let stream else { return }
        self.stream = nil
        guard stream.isOpen else { return }
        stream.leave()
        loop.http.closed(stream)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.reportFailure(
            .protocolError(peer: request.peer.address, reason: "WebSocket: \(error)"))
        close(.protocolError)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is DrainEvent { return close(.goingAway) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        loop.counters.received(bytes: frame.data.readableBytes, messageBytes: 0)
        guard !isClosing else { return }
        guard frame.maskKey != nil else { return close(.protocolError) }
        switch frame.opcode {
        case .text, .binary:
            guard partial == nil else { return close(.protocolError) }
            partial = []
            append(frame)
        case .continuation:
            guard partial != nil else { return close(.protocolError) }
            append(frame)
        case .ping:
            send(WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData))
        case .connectionClose:
            isClosing = true
            if let stream, stream.isOpen { loop.http.halfClosed(stream) }
            send(WebSocketFrame(fin: true, opcode: .connectionClose, data: frame.unmaskedData))
        case .pong: break
        default: close(.protocolError)
        }
    }

    /// Adds a part to the message, and delivers it if it is the last.
    private func append(_ frame: WebSocketFrame) {
        let data = frame.unmaskedData
        guard (partial?.count ?? 0) + data.readableBytes <= messageBytesMax else {
            return close(.messageTooLarge)
        }
        partial?.append(contentsOf: data.readableBytesView)
        guard frame.fin, let message = partial else { return }
        partial = nil
        guard let stream, stream.isOpen else { return }
        loop.http.received(stream, message)
    }

    private func send(_ frame: WebSocketFrame) {
        guard let context else { return }
        let count = frame.data.readableBytes
        account.add(count)
        loop.counters.sent(bytes: count, messageBytes: 0)
        let written = loop.eventLoop.makePromise(of: Void.self)
        let channel = context.channel
        let isLast = frame.opcode == .connectionClose
        written.futureResult.whenComplete { [self] _ in
            if isLast { return channel.close(promise: nil) }
            guard account.remove(count), let stream, stream.isOpen else { return }
            loop.http.drained(stream)
        }
        context.write(wrapOutboundOut(frame), promise: written)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.eventLoop.execute { [self] in
            isFlushScheduled = false
            self.context?.flush()
        }
    }

    private func close(_ code: WebSocketErrorCode) {
        guard let context, !isClosing else { return }
        isClosing = true
        var data = context.channel.allocator.buffer(capacity: 2)
        data.write(webSocketErrorCode: code)
        send(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))
    }
}

extension WebSocketHandler: HTTPStreamSink {
    var bufferedBytes: Int { account.bytes }

    func respond(_ response: HTTPResponse) {
        write(response.body)
        end()
    }

    func begin(_ response: HTTPResponse) {}

    func write(_ bytes: [UInt8]) {
        guard !isClosing, !bytes.isEmpty else { return }
        send(WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(bytes: bytes)))
    }

    func end() {
        stream = nil
        close(.normalClosure)
    }

    func abort() {
        stream = nil
        close(.unexpectedServerError)
    }

    func setReading(_ isOn: Bool) {
        // On a channel that is closing this fails, and means nothing any more.
        context?.channel.setOption(.autoRead, value: isOn).whenFailure { _ in }
    }
}
