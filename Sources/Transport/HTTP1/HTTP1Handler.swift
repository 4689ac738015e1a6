// HTTP1Handler.swift: HTTP/1.1 requests and answers of one connection.
// Belongs here: collecting a bounded request, keep-alive, idle connections. Never here: parsing
// (NIOHTTP1). NIO's pipelining handler before this one lets a request through only after the answer
// to the one before.

import NIOCore
import NIOHTTP1

// Guarded by the connection's event loop.
final class HTTP1Handler: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case idle
        case receiving(HTTPRequestHead)
        /// The last answer is given; whatever still arrives is ignored.
        case closing
        case handling(keepAlive: Bool, isHead: Bool)
    }

    private let loop: LoopContext
    private let peer: PeerInfo
    private let limits: ConnectionLimits
    private var state = State.idle
    private var body: [UInt8] = []
    private var context: ChannelHandlerContext?
    private var timeout: Scheduled<Void>?
    private var isDraining = false

    init(loop: LoopContext, peer: PeerInfo, limits: ConnectionLimits) {
        self.loop = loop
        self.peer = peer
        self.limits = limits
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        startTimer()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timeout?.cancel()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        self.context = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let parserError = error as? HTTPParserError else {
            loop.reportFailure(.connectionFailed(peer: peer.address, reason: "\(error)"))
            context.close(promise: nil)
            return
        }
        loop.reportFailure(.protocolError(peer: peer.address, reason: "HTTP/1.1: \(parserError)"))
        switch state {
        case .handling, .closing:
            context.close(promise: nil)
            return
        case .idle, .receiving: break
        }
        let status = parserError == .headerOverflow ? 431 : 400
        write(HTTPResponse(status: status), keepAlive: false, isHead: false)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is DrainEvent {
            isDraining = true
            if case .idle = state { context.close(promise: nil) }
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            begin(head)
        case .body(let buffer):
            loop.counters.received(bytes: buffer.readableBytes, messageBytes: 0)
            append(buffer)
        case .end:
            end()
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        guard case .idle = state else { return }
        let size = head.headers.reduce(head.uri.utf8.count) { size, field in
            size + field.name.utf8.count + field.value.utf8.count + 32
        }
        guard size <= limits.headerListBytesMax else {
            write(HTTPResponse(status: 431), keepAlive: false, isHead: false)
            return
        }
        if head.headers["expect"].contains(where: { $0.lowercased() == "100-continue" }) {
            let goOn = HTTPResponseHead(version: head.version, status: .continue)
            context?.writeAndFlush(wrapOutboundOut(.head(goOn)), promise: nil)
        }
        state = .receiving(head)
    }

    private func append(_ buffer: ByteBuffer) {
        guard case .receiving = state else { return }
        guard body.count + buffer.readableBytes <= limits.httpBodyBytesMax else {
            body = []
            write(HTTPResponse(status: 413), keepAlive: false, isHead: false)
            return
        }
        body.append(contentsOf: buffer.readableBytesView)
    }

    private func end() {
        guard case .receiving(let head) = state, let context else { return }
        let body = self.body
        self.body = []
        timeout?.cancel()
        state = .handling(keepAlive: head.isKeepAlive && !isDraining, isHead: head.method == .HEAD)
        let request = HTTPRequest(
            method: head.method.rawValue, target: head.uri,
            headers: head.headers.map { ($0.name.lowercased(), $0.value) }, body: body, peer: peer)
        let eventLoop = context.eventLoop
        loop.http.handle(request) { response in
            if eventLoop.inEventLoop {
                self.answer(response)
            } else {
                eventLoop.execute { self.answer(response) }
            }
        }
    }

    private func answer(_ response: HTTPResponse) {
        guard case .handling(let keepAlive, let isHead) = state else { return }
        write(response, keepAlive: keepAlive && !isDraining, isHead: isHead)
    }

    private func write(_ response: HTTPResponse, keepAlive: Bool, isHead: Bool) {
        guard let context else { return }
        state = keepAlive ? .idle : .closing
        var headers = HTTPHeaders(response.headers.filter { $0.0 != "content-length" })
        headers.add(name: "content-length", value: String(response.body.count))
        if !keepAlive { headers.replaceOrAdd(name: "connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: response.status),
            headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !isHead && !response.body.isEmpty {
            loop.counters.sent(bytes: response.body.count, messageBytes: 0)
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.body)))), promise: nil)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        startTimer()
        guard !keepAlive else { return }
        let channel = context.channel
        written.futureResult.whenComplete { _ in channel.close(promise: nil) }
    }

    private func startTimer() {
        timeout?.cancel()
        timeout = loop.eventLoop.scheduleTask(in: .nanoseconds(limits.httpIdleTimeoutNanoseconds)) {
            [weak self] in
            self?.timedOut()
        }
    }

    private func timedOut() {
        if case .idle = state {
            context?.close(promise: nil)
            return
        }
        loop.report(.connectionTimedOut(peer: peer.address, phase: "HTTP/1.1 request incomplete"))
        context?.close(promise: nil)
    }
}
