// HTTP1Handler.swift: HTTP/1.1 requests and answers of one connection.
// Belongs here: collecting a bounded request, keep-alive, idle connections. Never here: parsing
// (NIOHTTP1). NIO's pipelining handler before this one lets a request through only after the answer
// to the one before.

import NIOCore
import NIOHTTP1
import NIOWebSocket

// Guarded by the connection's event loop.
final class HTTP1Handler: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case idle
        case receiving(HTTPRequestHead)
        /// The last answer is given; whatever still arrives is ignored.
        case closing
        case handling(keepAlive: Bool, isHead: Bool)
        /// The answer has begun and comes in parts.
        case streaming(keepAlive: Bool)
    }

    private let loop: LoopContext
    private let peer: PeerInfo
    private let limits: ConnectionLimits
    private var state = State.idle
    private var body: [UInt8] = []
    private var context: ChannelHandlerContext?
    private var timeout: Scheduled<Void>?
    private var isDraining = false
    private var version = HTTPVersion.http1_1
    /// The answer that the handler gives in parts, while it does.
    private var stream: HTTPStream?
    private var account = WriteAccount()
    private var isFlushScheduled = false

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
        gone()
    }

    func channelInactive(context: ChannelHandlerContext) {
        gone()
        context.fireChannelInactive()
    }

    private func gone() {
        timeout?.cancel()
        context = nil
        guard let stream else { return }
        self.stream = nil
        guard stream.isOpen else { return }
        stream.leave()
        loop.http.closed(stream)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The request that asked for it follows, and is answered as one that did not.
        if error is NIOWebSocketUpgradeError { return }
        guard let parserError = error as? HTTPParserError else {
            loop.reportFailure(
                .connectionFailed(peer: peer.address, reason: SystemErrorText.of(error)))
            context.close(promise: nil)
            return
        }
        loop.reportFailure(.protocolError(peer: peer.address, reason: "HTTP/1.1: \(parserError)"))
        switch state {
        case .handling, .streaming, .closing:
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
            requestEnded()
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

    private func requestEnded() {
        guard case .receiving(let head) = state, let context else { return }
        let body = self.body
        self.body = []
        timeout?.cancel()
        state = .handling(keepAlive: head.isKeepAlive && !isDraining, isHead: head.method == .HEAD)
        let request = HTTPRequest(
            method: head.method.rawValue, target: head.uri,
            headers: head.headers.map { ($0.name.lowercased(), $0.value) }, body: body, peer: peer)
        version = head.version
        let stream = HTTPStream(sink: self, isWebSocket: false)
        self.stream = stream
        if loop.http.open(request, stream) { return }
        self.stream = nil
        stream.leave()
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

extension HTTP1Handler: HTTPStreamSink {
    var bufferedBytes: Int { account.bytes }

    func respond(_ response: HTTPResponse) {
        stream = nil
        answer(response)
    }

    func begin(_ response: HTTPResponse) {
        guard let context, case .handling(let keepAlive, _) = state else { return }
        // Without chunks the end of the connection is the end of the answer.
        let isKept = keepAlive && version == .http1_1 && !isDraining
        state = .streaming(keepAlive: isKept)
        var headers = HTTPHeaders(response.headers.filter { $0.0 != "content-length" })
        if !isKept { headers.replaceOrAdd(name: "connection", value: "close") }
        let head = HTTPResponseHead(
            version: version, status: HTTPResponseStatus(statusCode: response.status),
            headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        flushLater()
    }

    func write(_ bytes: [UInt8]) {
        guard let context, case .streaming = state else { return }
        let count = bytes.count
        account.add(count)
        loop.counters.sent(bytes: count, messageBytes: 0)
        let written = loop.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { [self] _ in
            guard account.remove(count), let stream, stream.isOpen else { return }
            loop.http.drained(stream)
        }
        context.write(
            wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: written)
        flushLater()
    }

    /// Many small parts of one turn leave in one write.
    private func flushLater() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.eventLoop.execute { [self] in
            isFlushScheduled = false
            context?.flush()
        }
    }

    func end() {
        stream = nil
        guard let context, case .streaming(let keepAlive) = state else { return }
        let isKept = keepAlive && !isDraining
        state = isKept ? .idle : .closing
        let channel = context.channel
        let written = loop.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        startTimer()
        if !isKept { written.futureResult.whenComplete { _ in channel.close(promise: nil) } }
    }

    func abort() {
        stream = nil
        state = .closing
        context?.close(promise: nil)
    }

    func setReading(_ isOn: Bool) {}
}
