// FakeLoop.swift: an event loop and a call that a test holds in its hand.
// Belongs here: what stands in for a connection and its loop. Never here: replicas and stores (ServerSupport.swift).

import Testing
import Transport

@testable import Server

/// An event loop whose turns and timers the test runs.
final class FakeLoop: LoopEnvironment {
    private(set) var now = Tick(milliseconds: 0)
    /// What the next request gets that needs one.
    var nonce: UInt64 {
        get {
            defer { nextNonce &+= nonceStep }
            return nextNonce
        }
        set { nextNonce = newValue }
    }
    /// How far one nonce is from the next; 0: all are the same.
    var nonceStep: UInt64 = 0
    private var nextNonce: UInt64 = 1
    private var turns: [() -> Void] = []
    private var timers: [(due: Tick, body: () -> Void)] = []
    /// Requests for the replica that nobody took yet.
    private(set) var submitted: [ReplicaRequest] = []
    private(set) var turn: UInt64 = 0
    /// Whether the replica's queue has no room.
    var isQueueFull = false
    /// Told, a turn later, of a request for which there was none.
    var refused: ((CallTicket) -> Void)?
    var wallClockSeconds: Int64 = 1_000_000
    /// Whether the threads that compute have no room.
    var isComputeFull = false

    func compute(
        _ work: @escaping @Sendable () -> [UInt8]?, then done: @escaping ([UInt8]?) -> Void
    ) -> Bool {
        guard !isComputeFull else { return false }
        turns.append { done(work()) }
        return true
    }

    func later(_ body: @escaping () -> Void) { turns.append(body) }

    func after(milliseconds: UInt64, _ body: @escaping () -> Void) {
        timers.append((now.advanced(milliseconds: milliseconds), body))
    }

    func submit(_ request: ReplicaRequest) {
        guard isQueueFull, case .call(let ticket) = request.origin else {
            return submitted.append(request)
        }
        turns.append { [self] in refused?(ticket) }
    }

    /// Runs what waits for the next turn; false if nothing does.
    func runTurn() -> Bool {
        let bodies = turns
        turns = []
        bodies.forEach { $0() }
        return !bodies.isEmpty
    }

    /// Lets time pass and runs the timers that are due.
    func pass(milliseconds: UInt64) {
        now = now.advanced(milliseconds: milliseconds)
        let due = timers.filter { $0.due <= now }
        timers.removeAll { $0.due <= now }
        due.forEach { $0.body() }
    }

    /// Drops what waits: it holds the front end, which holds this loop.
    func forget() {
        turns = []
        timers = []
        submitted = []
        refused = nil
    }

    func takeSubmitted() -> [ReplicaRequest] {
        defer { submitted = [] }
        turn += 1
        return submitted
    }
}

/// A call that keeps what is sent on it.
final class FakeCall: ServiceCall {
    var credentials = Credentials()
    var held: AnyObject?
    var bufferedBytes = 0
    var isOpen = true
    private(set) var messages: [[UInt8]] = []
    private(set) var status: RPCStatus?

    func send(_ message: consuming [UInt8]) {
        if status != nil { Issue.record("a message after the end of the call") }
        messages.append(message)
    }
    func beginMessage(length: Int) { messages.append([]) }
    func sendPart(_ bytes: consuming [UInt8]) { messages[messages.count - 1] += bytes }
    func pauseReceiving() {}
    func resumeReceiving() {}

    func finish(_ status: RPCStatus) {
        if self.status != nil { Issue.record("a second end of the call") }
        self.status = status
        isOpen = false
    }
}
