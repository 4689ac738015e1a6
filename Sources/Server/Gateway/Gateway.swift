// Gateway.swift: JSON over HTTP in front of the gRPC services: requests into their wire form.
// Belongs here: paths, headers, bodies and frames into messages. Never here: handlers: a message goes
// where the same message of gRPC goes, and meets the same checks.
// Source: etcd's gateway rules (services.tsv, head comments); etcd semantics G10-G12, A13.

internal import Storage
internal import Transport

/// Serves the gateway's paths on one event loop.
final class Gateway {
    private let calls: CallRunner
    private let environment: any LoopEnvironment
    private let messageBytesMax: Int

    /// - Parameter messageBytesMax: the greatest request in its wire form, as for gRPC.
    init(calls: CallRunner, environment: any LoopEnvironment, messageBytesMax: Int) {
        self.calls = calls
        self.environment = environment
        self.messageBytesMax = messageBytesMax
    }

    /// Serves a request, whose path is the gateway's.
    ///
    /// - Parameter headers: what every answer on this port carries.
    func open(_ request: HTTPRequest, _ stream: HTTPStream, headers: [(String, String)]) {
        func refuse(_ status: RPCStatus) {
            stream.respond(
                HTTPResponse(
                    status: GatewayStatus.http(status.code),
                    headers: [("content-type", "application/json")] + headers,
                    body: GatewayStatus.body(status)))
        }
        guard let route = GatewayRoutes.route(request.path) else {
            return refuse(RPCStatus(.notFound, "Not Found"))
        }
        guard stream.isWebSocket || request.method == "POST" else {
            return refuse(RPCStatus(.unimplemented, "Method Not Allowed"))
        }
        guard let method = Method.byPath[route.path] else {
            return refuse(RPCStatus(.unimplemented, "\(route.path) is not part of this version"))
        }
        let timeout = request.header("grpc-timeout")
        guard let nanoseconds = timeout.map({ Timeout.parse($0) }) ?? .max else {
            return refuse(
                RPCStatus(.invalidArgument, "invalid grpc-timeout: \(timeout ?? "")"))
        }
        let metadata = Self.metadata(request)
        let call = GatewayCall(
            stream, method: method, route: route, peer: request.peer,
            credentials: Credentials(token: metadata.token ?? metadata.authorization),
            headers: headers)
        let session = GatewaySession(call: call)
        stream.context = session
        call.resumed = { [weak self, weak session] in
            guard let self, let session else { return }
            self.advanceLater(session)
        }
        call.sent = { [calls] in calls.sent(method) }
        call.finished = { [calls, unowned call] code in calls.finished(call, method, code) }
        calls.start(call, method, metadata: metadata)
        if timeout != nil { limit(session, nanoseconds: nanoseconds) }
        guard call.isOpen, !stream.isWebSocket else { return }
        session.add(request.body)
        session.isComplete = true
        advance(session)
    }

    // MARK: what the transport tells

    /// A message came over a WebSocket.
    func received(_ stream: HTTPStream, _ message: [UInt8]) {
        guard let session = stream.context as? GatewaySession else { return }
        session.add(message)
        advance(session)
        guard session.waitingBytes > Gateway.waitingBytesMax, !session.isHeld else { return }
        session.isHeld = true
        session.call.setReading(false)
    }

    func halfClosed(_ stream: HTTPStream) {
        guard let session = stream.context as? GatewaySession else { return }
        session.isComplete = true
        advance(session)
    }

    func drained(_ stream: HTTPStream) {
        guard let session = stream.context as? GatewaySession else { return }
        calls.drained(holder: session.call.held)
        advanceLater(session)
    }

    func closed(_ stream: HTTPStream) {
        guard let session = stream.context as? GatewaySession else { return }
        stream.context = nil
        calls.cancelled(holder: session.call.held)
        session.call.abandon()
    }

    // MARK: messages

    /// Hands messages to the service until it, or the client, has to catch up.
    private func advance(_ session: GatewaySession) {
        handOver(session)
        guard session.isHeld, session.waitingBytes < Gateway.waitingBytesMax / 2 else { return }
        session.isHeld = false
        if !session.call.isPaused { session.call.setReading(true) }
    }

    private func handOver(_ session: GatewaySession) {
        let call = session.call
        var left = Gateway.messagesPerTurn
        while call.isOpen, !session.isHalfClosed {
            if call.isPaused || call.bufferedBytes > Gateway.bufferedBytesMax { return }
            guard left > 0 else { return advanceLater(session) }
            left -= 1
            do throws(JSONError) {
                guard let message = try session.next() else {
                    if session.isComplete { halfClose(session) }
                    return
                }
                receive(session, message)
            } catch {
                end(call, RPCStatus(.invalidArgument, "\(error)"))
            }
        }
    }

    private func receive(_ session: GatewaySession, _ message: [UInt8]) {
        let call = session.call
        guard message.count <= messageBytesMax else {
            let text =
                "grpc: received message larger than max (\(message.count) vs. \(messageBytesMax))"
            return end(call, RPCStatus(.resourceExhausted, text))
        }
        call.count(received: message.count)
        calls.receive(call, call.method, message)
        if call.method.kind != .bidi { halfClose(session) }
    }

    private func halfClose(_ session: GatewaySession) {
        session.isHalfClosed = true
        let call = session.call
        guard call.isOpen, call.method.kind != .unary else { return }
        calls.halfClosed(call.method, holder: call.held)
    }

    private func advanceLater(_ session: GatewaySession) {
        guard !session.isScheduled else { return }
        session.isScheduled = true
        environment.later { [self] in
            session.isScheduled = false
            advance(session)
        }
    }

    /// Ends the call when its time is over.
    private func limit(_ session: GatewaySession, nanoseconds: UInt64) {
        let milliseconds = nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 == 0 ? 0 : 1)
        environment.after(milliseconds: min(milliseconds, UInt64(Int32.max))) {
            [weak self, weak session] in
            guard let self, let session, session.call.isOpen else { return }
            self.end(session.call, EtcdError.contextDeadlineExceeded.status)
        }
    }

    /// Ends a call by the gateway's own decision; the service is told.
    private func end(_ call: GatewayCall, _ status: RPCStatus) {
        let holder = call.held
        call.finish(status)
        calls.cancelled(holder: holder)
    }

    /// The metadata that gRPC would carry: `Authorization` as it is, and `Grpc-Metadata-NAME`.
    static func metadata(_ request: HTTPRequest) -> CallMetadata {
        func value(_ name: String) -> String? { request.header("grpc-metadata-" + name) }
        var metadata = CallMetadata()
        metadata.token = value("token")
        metadata.authorization = request.header("authorization") ?? value("authorization")
        metadata.hasLeader = value("hasleader") == "true"
        metadata.clientAPIVersion = value("client-api-version")
        return metadata
    }

    /// Messages handed over before other calls of the loop have their turn.
    private static let messagesPerTurn = 64
    /// Unsent bytes of a call above which no more of its messages are taken.
    private static let bufferedBytesMax = 1 << 20
    /// Bytes of messages over a WebSocket that may wait for the service.
    private static let waitingBytesMax = 1 << 20
}

/// The messages of one call that have come and not been handed over.
private final class GatewaySession {
    let call: GatewayCall
    /// Whether nothing more will come.
    var isComplete = false
    /// Whether the service knows that.
    var isHalfClosed = false
    var isScheduled = false
    /// Whether no more is read because too much waits.
    var isHeld = false
    private(set) var waitingBytes = 0
    private var waiting: [[UInt8]] = []
    private var source: MessageFromJSON?
    private var hasMessage = false

    /// What a message costs besides its bytes: empty ones must not be free.
    private static let messageCost = 64

    init(call: GatewayCall) {
        self.call = call
    }

    func add(_ bytes: [UInt8]) {
        // Only streams have more than one.
        guard call.method.kind == .bidi || !hasMessage else { return }
        hasMessage = true
        waiting.append(bytes)
        waitingBytes += bytes.count + Self.messageCost
    }

    /// The next message in its wire form; nil if there is none now.
    func next() throws(JSONError) -> [UInt8]? {
        while true {
            if source == nil {
                guard !waiting.isEmpty else { return nil }
                let bytes = waiting.removeFirst()
                waitingBytes -= bytes.count + Self.messageCost
                guard call.method.kind == .bidi else {
                    return try MessageFromJSON.single(bytes, call.route.request)
                }
                source = MessageFromJSON(bytes)
            }
            if let message = try source?.next(call.route.request) { return message }
            source = nil
        }
    }
}
