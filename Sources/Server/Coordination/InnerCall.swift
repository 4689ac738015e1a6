// InnerCall.swift: a call that the server makes of itself, in the name of a client's call.
// Belongs here: one answer, or the messages of one watch. Never here: what they are for.
// Source: etcd's Lock and Election are clients of its KV, Lease and Watch services (X1-X8), so that
// every check a client meets there holds here too.

internal import Transport

/// A call of one answer; confined to its event loop.
final class InnerCall: ServiceCall {
    /// The client's call, in whose name this one is made.
    let outer: any ServiceCall
    var held: AnyObject?
    let bufferedBytes = 0
    private(set) var isOpen = true
    private var message: [UInt8] = []
    private var ended: ((Result<[UInt8], RPCStatus>) -> Void)?

    init(
        in outer: any ServiceCall, ended: @escaping (Result<[UInt8], RPCStatus>) -> Void
    ) {
        self.outer = outer
        self.ended = ended
    }

    var credentials: Credentials { outer.credentials }

    func send(_ message: consuming [UInt8]) { self.message = message }
    func beginMessage(length: Int) { message.reserveCapacity(length) }
    func sendPart(_ bytes: consuming [UInt8]) { message += bytes }
    func pauseReceiving() {}
    func resumeReceiving() {}

    func finish(_ status: RPCStatus) {
        guard isOpen else { return }
        isOpen = false
        held = nil
        let ended = ended
        self.ended = nil
        ended?(status.code == .ok ? .success(message) : .failure(status))
    }
}

/// A watch stream with one watch; confined to its event loop.
final class InnerWatch: ServiceCall {
    /// The client's call, in whose name this one is made.
    let outer: any ServiceCall
    var held: AnyObject?
    private let environment: any LoopEnvironment
    /// Nil once the watch is over.
    private var received: ((Result<[UInt8], RPCStatus>) -> Void)?

    init(
        in outer: any ServiceCall, environment: any LoopEnvironment,
        received: @escaping (Result<[UInt8], RPCStatus>) -> Void
    ) {
        self.outer = outer
        self.environment = environment
        self.received = received
    }

    var credentials: Credentials { outer.credentials }
    var isOpen: Bool { received != nil }

    /// Whoever does not take what the watch leads to holds the watch back.
    var bufferedBytes: Int { outer.bufferedBytes }

    func send(_ message: consuming [UInt8]) {
        let bytes = message
        // The hub is in the middle of its work, and what follows may close this watch.
        environment.later { [weak self] in self?.received?(.success(bytes)) }
    }

    func beginMessage(length: Int) { preconditionFailure("a watch does not send in parts") }
    func sendPart(_ bytes: consuming [UInt8]) {
        preconditionFailure("a watch does not send in parts")
    }
    func pauseReceiving() {}
    func resumeReceiving() {}

    func finish(_ status: RPCStatus) {
        environment.later { [weak self] in
            let received = self?.received
            self?.close()
            received?(.failure(status))
        }
    }

    /// Nothing is told any more.
    func close() { received = nil }
}

extension Front {
    /// Makes a call in the name of another; `then` gets the answer, perhaps at once.
    func ask<Answer: WireDecodable>(
        _ method: Method, _ request: some WireMessage, for outer: any ServiceCall,
        _ then: @escaping (Result<Answer, RPCStatus>) -> Void
    ) {
        let call = InnerCall(in: outer) { result in
            then(result.flatMap { Front.read($0) })
        }
        receive(call, method, request.encoded())
    }

    /// Watches in the name of a call, until `stop`; `then` gets each message in a turn of its own.
    func observe(
        _ request: WatchCreateRequest, for outer: any ServiceCall,
        _ then: @escaping (Result<WatchAnswer, RPCStatus>) -> Void
    ) -> InnerWatch {
        let watch = InnerWatch(in: outer, environment: context.environment) { result in
            then(result.flatMap { Front.read($0) })
        }
        start(watch, .watch)
        receive(watch, .watch, WatchRequest.create(request).encoded())
        return watch
    }

    /// Ends a watch made by `observe`.
    func stop(_ watch: InnerWatch) {
        watch.close()
        cancel(holder: watch.held)
        watch.held = nil
    }

    private static func read<Answer: WireDecodable>(
        _ bytes: [UInt8]
    ) -> Result<Answer, RPCStatus> {
        do throws(WireError) {
            return .success(try Answer(decoding: bytes))
        } catch {
            return .failure(
                RPCStatus(.internal, "an answer of this server cannot be read: \(error)"))
        }
    }
}
