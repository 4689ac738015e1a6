// GatewayCall.swift: a call that came as JSON over HTTP, as the services see any call.
// Belongs here: answers into JSON, and the end. Never here: requests (Gateway.swift), services.
// Source: etcd's gateway rules (services.tsv): one object for a unary call, a line
// {"result":...} for each message of a stream, {"error":...} as the last line of one that failed.

internal import Transport

/// One call over HTTP; confined to its event loop.
final class GatewayCall: ClientCall {
    let began = Int64(MonotonicClock.nanoseconds)
    let remoteAddress: String
    let certificateCommonName: String?
    /// The name in a client's certificate is no part of it: it is the HTTP client's, and the gateway asks for
    /// many (A13).
    let credentials: Credentials
    var user: String?
    var lastMessage: [UInt8] = []
    private(set) var receivedBytes = 0
    private(set) var sentBytes = 0
    private(set) var finalStatus: RPCStatus?
    let method: Method
    let route: GatewayRoute
    /// What the service keeps of the call.
    var held: AnyObject?
    /// Called once, with the code the call ended with.
    var finished: ((GRPCCode) -> Void)?
    /// Called for each message of a stream.
    var sent: (() -> Void)?
    /// Called when the service takes messages again.
    var resumed: (() -> Void)?
    private(set) var isOpen = true
    /// Whether the service wants no more messages for now.
    private(set) var isPaused = false

    private let stream: HTTPStream
    private let headers: [(String, String)]
    /// The answer of a unary call, until the call ends.
    private var answer: [UInt8] = []
    /// A message that the service gives in parts.
    private var parts: MessageToJSON?

    /// - Parameter headers: what every answer on this port carries.
    init(
        _ stream: HTTPStream, method: Method, route: GatewayRoute, peer: PeerInfo,
        credentials: Credentials, headers: [(String, String)]
    ) {
        remoteAddress = peer.address
        certificateCommonName = peer.certificateCommonName
        self.credentials = credentials
        self.stream = stream
        self.method = method
        self.route = route
        self.headers = headers
    }

    private var isUnary: Bool { method.kind == .unary }

    var bufferedBytes: Int { stream.bufferedBytes }

    /// Counts a message that is handed to the service.
    func count(received bytes: Int) { receivedBytes += bytes }

    func send(_ message: consuming [UInt8]) {
        guard isOpen else { return }
        sentBytes += message.count
        var text: [UInt8] = []
        text.reserveCapacity(message.count * 3 / 2 + 64)
        if !isUnary { text.append(contentsOf: #"{"result":"#.utf8) }
        do throws(WireError) {
            try MessageToJSON.whole(message, route.response, into: &text)
        } catch {
            return finish(Self.unwritable(error))
        }
        if isUnary {
            answer = text
        } else {
            text.append(contentsOf: "}\n".utf8)
            sent?()
            begin()
            stream.write(stream.isWebSocket ? Array(text.dropLast()) : text)
        }
    }

    // A long answer leaves as it is read from the store; an error then breaks the connection off.
    func beginMessage(length: Int) {
        guard isOpen else { return }
        parts = MessageToJSON(route.response)
        begin()
        if !isUnary { stream.write(Array(#"{"result":"#.utf8)) }
    }

    func sendPart(_ bytes: consuming [UInt8]) {
        guard isOpen else { return }
        sentBytes += bytes.count
        var text: [UInt8] = []
        do throws(WireError) {
            try parts?.add(bytes, to: &text)
        } catch {
            return finish(Self.unwritable(error))
        }
        write(part: text)
    }

    // A WebSocket message has no parts: it is collected, as etcd does.
    private func write(part text: [UInt8]) {
        guard stream.isWebSocket else { return stream.write(text) }
        answer += text
    }

    private static func unwritable(_ error: WireError) -> RPCStatus {
        RPCStatus(.internal, "the answer cannot be written as JSON: \(error)")
    }

    func finish(_ status: RPCStatus) {
        guard isOpen else { return }
        isOpen = false
        finalStatus = status
        conclude(status)
        stream.context = nil
        held = nil
        finished?(status.code)
        finished = nil
        sent = nil
        resumed = nil
    }

    private func conclude(_ status: RPCStatus) {
        guard status.code == .ok else { return fail(status) }
        guard isUnary else {
            begin()
            return stream.end()
        }
        guard parts != nil else { return respond(200, answer) }
        var text: [UInt8] = []
        do throws(WireError) {
            try parts?.finish(&text)
        } catch {
            return stream.abort()
        }
        write(part: text)
        if stream.isWebSocket { stream.write(answer) }
        stream.end()
    }

    private func fail(_ status: RPCStatus) {
        if parts != nil { return stream.abort() }
        guard !isUnary else {
            return respond(GatewayStatus.http(status.code), GatewayStatus.body(status))
        }
        let line = GatewayStatus.line(status)
        guard stream.hasBegun || stream.isWebSocket else {
            return respond(GatewayStatus.http(status.code), line)
        }
        stream.write(stream.isWebSocket ? Array(line.dropLast()) : line)
        stream.end()
    }

    private func respond(_ status: Int, _ body: [UInt8]) {
        stream.respond(
            HTTPResponse(status: status, headers: Self.headers(headers), body: body))
    }

    private func begin() {
        guard !stream.hasBegun, !stream.isWebSocket else { return }
        stream.begin(status: 200, headers: Self.headers(headers))
    }

    /// What answers of the gateway carry besides what all on this port do.
    static func headers(_ others: [(String, String)]) -> [(String, String)] {
        [
            ("content-type", "application/json"),
            ("grpc-metadata-content-type", "application/grpc"),
        ] + others
    }

    /// The client is gone: nothing can be said any more.
    func abandon() {
        guard isOpen else { return }
        isOpen = false
        held = nil
        sent = nil
        resumed = nil
        finished?(.cancelled)
        finished = nil
    }

    /// Reads from the client, or not, for a reason of the gateway's own.
    func setReading(_ isOn: Bool) {
        if isOn { stream.resumeReceiving() } else { stream.pauseReceiving() }
    }

    func pauseReceiving() {
        isPaused = true
        stream.pauseReceiving()
    }

    func resumeReceiving() {
        guard isPaused else { return }
        isPaused = false
        stream.resumeReceiving()
        resumed?()
    }
}
