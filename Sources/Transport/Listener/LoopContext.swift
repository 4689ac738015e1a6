// LoopContext.swift: what all connections of one event loop share: handlers, the turn's end, the
// deadline timer. Belongs here: once-per-turn work. Never here: anything of one connection. A turn:
// sockets are read, handlers called, answers queued; then, in a task that runs after all sockets of
// the turn, `endOfTurn` is called once and each connection with something to say writes once.
// Owner: its event loop. `register`, `markDirty`, `arm` and `touchRPC` are called on it only.

import NIOCore

// Guarded by its event loop.
final class LoopContext: @unchecked Sendable {
    let eventLoop: any EventLoop
    let index: Int
    let rpc: any RPCHandler
    let http: any HTTPHandler
    let methods: MethodTable
    let counters: TransportCounters
    let report: @Sendable (TransportEvent) -> Void

    /// Frames of the connection that is being flushed.
    // Unchecked as in HTTP2Connection.swift.
    @exclusivity(unchecked) var output: ByteBuffer
    /// What the TLS connections of the loop share.
    let tlsBuffers = TLSBuffers()
    private(set) var connections: [HTTP2Connection] = []
    /// Calls, unsent bytes of answers, and bytes of incomplete requests of all connections.
    var callCount = 0
    var bufferedBytes = 0
    var partialBytes = 0
    private var dirty: [HTTP2Connection] = []
    private var flushing: [HTTP2Connection] = []
    private var isTurnScheduled = false
    private var isRPCTouched = false
    private var armedDeadline = UInt64.max
    private var deadlineTask: Scheduled<Void>?

    init(
        eventLoop: any EventLoop, index: Int, methods: MethodTable, rpc: any RPCHandler,
        http: any HTTPHandler, counters: TransportCounters,
        report: @escaping @Sendable (TransportEvent) -> Void
    ) {
        self.eventLoop = eventLoop
        self.index = index
        self.rpc = rpc
        self.http = http
        self.methods = methods
        self.counters = counters
        self.report = report
        self.output = ByteBufferAllocator().buffer(capacity: Limits.outputBufferBytes)
    }

    /// Reports an event that ended, or will end, a connection.
    func reportFailure(_ event: TransportEvent) {
        counters.failed()
        report(event)
    }

    /// The loop's monotonic clock.
    var nowNanoseconds: Int64 { Int64(eventLoop.now.uptimeNanoseconds) }

    func register(_ connection: HTTP2Connection) {
        connection.slot = connections.count
        connections.append(connection)
    }

    func unregister(_ connection: HTTP2Connection) {
        guard connection.slot >= 0 else { return }
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.slot] = last
            last.slot = connection.slot
        }
        connection.slot = -1
    }

    /// Empties the output buffer, which is reused unless the channel still holds its bytes.
    func clearOutput() {
        output.clear(minimumCapacity: Limits.outputBufferBytes)
    }

    /// Has the connection flushed at the end of this turn.
    func markDirty(_ connection: HTTP2Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(connection)
        scheduleTurn()
    }

    /// Has `endOfTurn` called at the end of this turn.
    func touchRPC() {
        isRPCTouched = true
        scheduleTurn()
    }

    private func scheduleTurn() {
        guard !isTurnScheduled else { return }
        isTurnScheduled = true
        eventLoop.execute { self.endTurn() }
    }

    private func endTurn() {
        isTurnScheduled = false
        if isRPCTouched {
            isRPCTouched = false
            rpc.endOfTurn()
        }
        swap(&dirty, &flushing)
        for connection in flushing { connection.flush() }
        flushing.removeAll(keepingCapacity: true)
    }

    /// Wakes the loop when a deadline passes.
    func arm(_ deadline: UInt64) {
        guard deadline < armedDeadline else { return }
        armedDeadline = deadline
        deadlineTask?.cancel()
        deadlineTask = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(deadline)) {
            self.expireCalls()
        }
    }

    private func expireCalls() {
        armedDeadline = .max
        let now = eventLoop.now.uptimeNanoseconds
        var next = UInt64.max
        for connection in connections { next = min(next, connection.expireCalls(at: now)) }
        if next != .max { arm(max(next, now + Limits.deadlineStepNanoseconds)) }
    }
}
