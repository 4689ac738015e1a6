// RecordingHandlers.swift: handlers that write down what Transport tells them and act as a test
// says.

import NIOCore
import Synchronization

@testable import Transport

/// Records every callback; `onReceived` and the others act.
final class RecordingRPC: RPCHandler {
    enum Event: Equatable {
        case start(Int)
        case received([UInt8])
        case halfClosed
        case cancelled(CancelReason)
        case drained
        case endOfTurn
    }

    private(set) var events: [Event] = []
    private(set) var calls: [RPCCall] = []
    var onStart: (RPCCall) -> Void = { _ in }
    var onReceived: (RPCCall, [UInt8]) -> Void = { call, message in
        call.send(message)
        if call.kind == .unary { call.finish(.ok) }
    }
    var onHalfClosed: (RPCCall) -> Void = { $0.finish(.ok) }
    var onDrained: (RPCCall) -> Void = { _ in }
    var onEndOfTurn: () -> Void = {}

    /// The events without turn ends.
    var callEvents: [Event] { events.filter { $0 != .endOfTurn } }

    func start(_ call: RPCCall) {
        events.append(.start(call.methodIndex))
        calls.append(call)
        onStart(call)
    }

    func received(_ call: RPCCall, _ message: [UInt8]) {
        events.append(.received(message))
        onReceived(call, message)
    }

    func halfClosed(_ call: RPCCall) {
        events.append(.halfClosed)
        onHalfClosed(call)
    }

    func cancelled(_ call: RPCCall, _ reason: CancelReason) {
        events.append(.cancelled(reason))
    }

    func drained(_ call: RPCCall) {
        events.append(.drained)
        onDrained(call)
    }

    func endOfTurn() {
        events.append(.endOfTurn)
        onEndOfTurn()
    }
}

/// Answers with a description of the request.
final class DescribingHTTP: HTTPHandler {
    private(set) var requests: [HTTPRequest] = []
    var onRequest: (HTTPRequest, @escaping @Sendable (HTTPResponse) -> Void) -> Void = {
        request, respond in
        let query = request.query.map { "\($0.0)=\($0.1)" }.joined(separator: ",")
        let text = "\(request.method) \(request.path) [\(query)] \(request.body.count)"
        respond(
            HTTPResponse(
                status: 200, headers: [("content-type", "text/plain")], body: Array(text.utf8)))
    }

    /// Takes requests whose answers come in parts.
    var onOpen: (HTTPRequest, HTTPStream) -> Bool = { _, _ in false }
    private(set) var closedStreams = 0

    func handle(_ request: HTTPRequest, respond: @escaping @Sendable (HTTPResponse) -> Void) {
        requests.append(request)
        onRequest(request, respond)
    }

    func open(_ request: HTTPRequest, _ stream: HTTPStream) -> Bool { onOpen(request, stream) }

    func closed(_ stream: HTTPStream) { closedStreams += 1 }
}

/// Events a listener reported, from any thread.
final class EventLog: Sendable {
    private let events = Mutex<[TransportEvent]>([])

    func append(_ event: TransportEvent) {
        events.withLock { $0.append(event) }
    }

    var all: [TransportEvent] { events.withLock { $0 } }
}

/// The methods every test serves.
let testMethods = [
    RPCMethod(path: "/test.Echo/Unary", kind: .unary),
    RPCMethod(path: "/test.Echo/List", kind: .serverStream),
    RPCMethod(path: "/test.Echo/Chat", kind: .bidi),
]
