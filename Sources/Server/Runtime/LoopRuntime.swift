// LoopRuntime.swift: binds the services of one event loop to NIO, Transport and the replica's inbox.
// Belongs here: adapters. Never here: behaviour (Front, Endpoints, WatchHub).

internal import Glibc
internal import NIOCore
internal import Storage
internal import Transport

/// The environment of the services on a NIO event loop.
final class NIOLoopEnvironment: LoopEnvironment {
    private let loop: any EventLoop
    private let inbox: ReplicaInbox
    private let pool: ComputePool
    private var outgoing: [ReplicaRequest] = []
    private(set) var turn: UInt64 = 0
    private var isFlushScheduled = false
    /// Set while the transport hands in what it read: its end of turn flushes.
    var isInTurn = false
    /// Called for requests that the inbox had no room for.
    var refused: ((ReplicaRequest) -> Void)?

    init(loop: any EventLoop, inbox: ReplicaInbox, pool: ComputePool) {
        self.loop = loop
        self.inbox = inbox
        self.pool = pool
    }

    var now: Tick { MonotonicClock.now }

    /// The clock by which Transport says when calls began.
    var nowNanoseconds: Int64 { Int64(loop.now.uptimeNanoseconds) }

    var nonce: UInt64 { UInt64.random(in: .min ... .max) }

    var wallClockSeconds: Int64 { Int64(time(nil)) }

    func compute(
        _ work: @escaping @Sendable () -> [UInt8]?, then done: @escaping ([UInt8]?) -> Void
    ) -> Bool {
        pool.run(work, on: loop, then: NIOLoopBound(done, eventLoop: loop))
    }

    func later(_ body: @escaping () -> Void) {
        let bound = NIOLoopBound(body, eventLoop: loop)
        loop.execute { bound.value() }
    }

    func after(milliseconds: UInt64, _ body: @escaping () -> Void) {
        let bound = NIOLoopBound(body, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(Int64(milliseconds))) { bound.value() }
    }

    func submit(_ request: ReplicaRequest) {
        outgoing.append(request)
        guard !isInTurn, !isFlushScheduled else { return }
        isFlushScheduled = true
        // Requests made outside a turn of the transport are handed over in a turn of their own.
        later { [self] in flush() }
    }

    /// Hands the requests of a turn to the replica, with one lock for all.
    func flush() {
        isFlushScheduled = false
        isInTurn = false
        turn += 1
        guard !outgoing.isEmpty else { return }
        inbox.add(&outgoing)
        guard !outgoing.isEmpty else { return }
        let tooMany = outgoing
        outgoing.removeAll(keepingCapacity: true)
        tooMany.forEach { refused?($0) }
    }
}

/// Answers the RPCs of one event loop.
final class LoopRPCHandler: RPCHandler {
    private let calls: CallRunner
    private let environment: NIOLoopEnvironment
    private let methods = Method.allCases

    init(calls: CallRunner, environment: NIOLoopEnvironment) {
        self.calls = calls
        self.environment = environment
    }

    func start(_ call: RPCCall) {
        calls.start(call, methods[call.methodIndex], metadata: call.metadata)
    }

    func received(_ call: RPCCall, _ message: [UInt8]) {
        guard call.isOpen else { return }
        environment.isInTurn = true
        calls.receive(call, methods[call.methodIndex], message)
    }

    func sent(_ call: RPCCall) {
        calls.sent(methods[call.methodIndex])
    }

    func halfClosed(_ call: RPCCall) {
        calls.halfClosed(methods[call.methodIndex], holder: call.context)
    }

    func cancelled(_ call: RPCCall, _ reason: CancelReason) {
        calls.cancelled(holder: call.context)
        call.context = nil
    }

    func drained(_ call: RPCCall) {
        calls.drained(holder: call.context)
    }

    func finished(_ call: RPCCall, _ code: GRPCCode) {
        calls.finished(call, methods[call.methodIndex], code)
    }

    func endOfTurn() {
        environment.flush()
    }
}

/// Answers the HTTP requests of one event loop.
final class LoopHTTPHandler: HTTPHandler {
    private let endpoints: Endpoints

    init(endpoints: Endpoints) {
        self.endpoints = endpoints
    }

    func handle(_ request: HTTPRequest, respond: @escaping @Sendable (HTTPResponse) -> Void) {
        endpoints.handle(request, respond: respond)
    }

    func open(_ request: HTTPRequest, _ stream: HTTPStream) -> Bool {
        endpoints.open(request, stream)
    }

    func accepts(webSocket request: HTTPRequest) -> Bool {
        endpoints.accepts(webSocket: request)
    }

    func received(_ stream: HTTPStream, _ message: [UInt8]) {
        endpoints.gateway?.received(stream, message)
    }

    func halfClosed(_ stream: HTTPStream) { endpoints.gateway?.halfClosed(stream) }

    func drained(_ stream: HTTPStream) { endpoints.gateway?.drained(stream) }

    func closed(_ stream: HTTPStream) { endpoints.gateway?.closed(stream) }
}
