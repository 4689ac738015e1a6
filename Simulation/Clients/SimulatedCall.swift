// SimulatedCall.swift: a call of a client on a member, as a connection would carry it.
// Belongs here: delays, what breaks it. Never here: what is asked (the clients), what is answered (Server/API).
// Invariant: messages reach the client in order, and none after the end.

import Transport

@testable import Server

/// One call; the server's end and the client's end in one.
final class SimulatedCall: ServiceCall {
    unowned(unsafe) let world: World
    let place: Int
    let method: Method
    /// The number of the process that took it.
    private var processNumber: Int?
    /// What the services keep with the call.
    var held: AnyObject?
    /// What the client proves itself with.
    let credentials: Credentials
    private(set) var bufferedBytes = 0
    /// The server's end can still answer.
    private(set) var isOpen = true
    /// The client still listens.
    var isListening: Bool { client != nil }
    /// The request has reached the member: whatever happens then, it may have been carried out.
    private(set) var isDelivered = false
    private var parts: [UInt8] = []
    private var partsExpected = 0
    private var lastArrival = Moment.beginning
    private var lastSending = Moment.beginning
    /// The client's end, which holds the client; nil from the moment it hears of nothing more.
    private var client: (onMessage: ([UInt8]) -> Void, onEnd: (RPCStatus) -> Void)?
    private var loop: MemberLoop?

    init(
        world: World, place: Int, method: Method, token: String? = nil,
        onMessage: @escaping ([UInt8]) -> Void,
        onEnd: @escaping (RPCStatus) -> Void
    ) {
        self.world = world
        self.place = place
        self.method = method
        credentials = Credentials(token: token, commonName: Self.administrator)
        client = (onMessage, onEnd)
    }

    /// Whom the certificate of all clients names; a token that comes along counts for more.
    private static let administrator = "root"

    /// The text of the end of a call that no member took.
    static let refused = "connection refused"

    /// The process that took it; nil before, and once it has ended.
    private var process: MemberProcess? {
        processNumber.flatMap { world.nodes[place].running($0) }
    }

    /// Whether a process has taken the call.
    func isTaken(by process: MemberProcess) -> Bool {
        process.node.place == place && process.number == processNumber
    }

    // MARK: the client's side

    /// Sends a message to the member; the first one opens the call.
    func request(_ message: [UInt8]) {
        world.trace.mix(message)
        lastSending = max(
            lastSending.after(microseconds: 1), world.now.after(microseconds: latency()))
        world.schedule(at: lastSending) { [self] in deliver(message) }
    }

    /// The client hangs up: it learns nothing more.
    func cancel() {
        guard isListening else { return }
        client = nil
        lastSending = max(lastSending, world.now.after(microseconds: latency()))
        world.schedule(at: lastSending) { [self] in
            isOpen = false
            if process != nil { loop?.front.cancel(holder: held) }
            held = nil
            loop = nil
        }
    }

    /// The world is over: lets go of both ends, which hold the call themselves.
    func abandon() {
        isOpen = false
        client = nil
        held = nil
        loop = nil
    }

    private func latency() -> UInt64 { 50 + world.clientDice.heavyTail(mean: 100) }

    private func deliver(_ message: [UInt8]) {
        let node = world.nodes[place]
        guard !world.isPaused(node) else {
            return node.parked.append { [self] in deliver(message, to: node) }
        }
        deliver(message, to: node)
    }

    private func deliver(_ message: [UInt8], to node: SimulatedNode) {
        guard isListening || process != nil else { return }
        if process == nil {
            guard !isDelivered, let running = node.process, running.isReadable,
                running.knowsMembers
            else { return end(RPCStatus(.unavailable, Self.refused)) }
            processNumber = running.number
            loop = running.loops[world.clientDice.below(running.loops.count)]
            isDelivered = true
            attend { $0.start(self, method) }
        }
        attend { $0.receive(self, method, message) }
    }

    /// Lets the services work on the call.
    private func attend(_ body: (Front) -> Void) {
        guard isOpen, process != nil, let loop else { return }
        body(loop.front)
    }

    /// The connection is gone.
    func connectionLost() {
        isOpen = false
        // The services hold the call, and are held by it.
        held = nil
        loop = nil
        end(RPCStatus(.unavailable, "connection lost"))
    }

    private func end(_ status: RPCStatus) {
        arrive(after: latency()) { [self] in
            guard let heard = client else { return }
            client = nil
            heard.onEnd(status)
        }
    }

    private func arrive(after delay: UInt64, _ body: @escaping () -> Void) {
        lastArrival = max(lastArrival.after(microseconds: 1), world.now.after(microseconds: delay))
        world.schedule(at: lastArrival, body)
    }

    // MARK: ServiceCall, the server's side

    func send(_ message: consuming [UInt8]) {
        let bytes = message
        world.trace.mix(bytes)
        bufferedBytes += bytes.count
        arrive(after: latency()) { [self] in
            bufferedBytes -= bytes.count
            client?.onMessage(bytes)
            if bufferedBytes == 0, isOpen, process != nil {
                loop?.front.drained(holder: held)
            }
        }
    }

    func beginMessage(length: Int) {
        parts = []
        partsExpected = length
        if length == 0 { send([]) }
    }

    func sendPart(_ bytes: consuming [UInt8]) {
        parts += bytes
        guard parts.count == partsExpected else { return }
        let message = parts
        parts = []
        send(message)
    }

    func finish(_ status: RPCStatus) {
        guard isOpen else { return }
        isOpen = false
        held = nil
        end(status)
    }

    // A client of this world never sends so much that it would have to be held back.
    func pauseReceiving() {}
    func resumeReceiving() {}
}
