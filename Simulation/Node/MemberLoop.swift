// MemberLoop.swift: one event loop of a member with its services, on virtual time.
// Belongs here: timers, the mailbox, handing calls in. Never here: what the services do (Server/API).
// Source: Server/Runtime/LoopSet.swift and LoopRuntime.swift.

import Storage

@testable import Server

/// What a loop is made of.
struct LoopParts {
    unowned(unsafe) let world: World
    unowned(unsafe) let node: SimulatedNode
    let identity: Identity
    let status: SharedStatus
    let pages: PageStore
    let seed: UInt64
}

/// One event loop.
final class MemberLoop: LoopEnvironment {
    private let processNumber: Int
    private unowned(unsafe) let world: World
    private unowned(unsafe) let node: SimulatedNode
    private let index: Int
    private var dice: Dice
    private var outgoing: [ReplicaRequest] = []
    private(set) var turn: UInt64 = 0
    private var isFlushScheduled = false
    private(set) var eventBytesWaiting = 0
    private var services: Front?
    private let parts: LoopParts

    init(_ parts: LoopParts, index: Int) {
        self.parts = parts
        self.index = index
        world = parts.world
        node = parts.node
        processNumber = parts.node.starts
        dice = Dice(seed: parts.seed, .node, number: UInt64(index))
    }

    /// The process; nil once it has ended.
    private var process: MemberProcess? { node.running(processNumber) }

    /// The services, made when they are first wanted.
    var front: Front {
        if let services { return services }
        let store = LoopStore(pages: parts.pages) { _ in }
        var limits = FrontLimits()
        limits.version = Product.etcdVersion
        limits.auth.trustsCertificates = true
        // The least there is: what hashing takes is drawn, see `compute`.
        limits.auth.bcryptCost = 4
        let context = LoopContext(
            identity: parts.identity, limits: limits, status: parts.status, store: store,
            environment: self, loop: Int32(index), pages: parts.pages)
        let hub = WatchHub(
            identity: parts.identity, status: parts.status, store: store, environment: self,
            loop: Int32(index), fragmentBytesMax: 1 << 20,
            progressMilliseconds: world.setup.progressMilliseconds)
        let made = Front(context: context, watches: hub)
        services = made
        return made
    }

    /// Lets go of the services, which hold this loop as their environment.
    func close() {
        services?.abandon()
        services = nil
    }

    // MARK: LoopEnvironment

    var now: Tick { node.clock.tick(at: world.now) }

    var nonce: UInt64 { dice.next() }

    // Its zero means nothing, as that of a node's clock.
    var wallClockSeconds: Int64 { Int64(world.now.microseconds / 1_000_000) }

    func compute(
        _ work: @escaping @Sendable () -> [UInt8]?, then done: @escaping ([UInt8]?) -> Void
    ) -> Bool {
        let delay = world.processDice.within(1...Self.computeMicrosecondsMax)
        process?.after(microseconds: delay) { _ in done(work()) }
        return true
    }

    /// What hashing a password takes at most on the threads for that.
    private static let computeMicrosecondsMax: UInt64 = 200_000

    func later(_ body: @escaping () -> Void) {
        process?.after(microseconds: 1) { _ in body() }
    }

    func after(milliseconds: UInt64, _ body: @escaping () -> Void) {
        wait(until: now.advanced(milliseconds: milliseconds), body)
    }

    /// The clock may have stood still meanwhile: then the time has not come yet.
    private func wait(until tick: Tick, _ body: @escaping () -> Void) {
        process?.at(node.clock.moment(of: tick, now: world.now)) { [self] _ in
            if now >= tick { body() } else { wait(until: tick, body) }
        }
    }

    func submit(_ request: ReplicaRequest) {
        outgoing.append(request)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        process?.after(microseconds: 1) { [self] _ in flush() }
    }

    private func flush() {
        isFlushScheduled = false
        turn += 1
        let batch = outgoing
        outgoing = []
        guard let process, !batch.isEmpty, !process.add(batch) else { return }
        for request in batch {
            guard case .call(let ticket) = request.origin else { continue }
            front.take(.failure(ticket, EtcdError.tooManyRequests.status))
        }
    }

    // MARK: the mailbox

    /// Takes what the replica posted, a little later, as another thread would.
    func receive(_ messages: [LoopMessage]) {
        for case .events(let events) in messages { eventBytesWaiting += events.byteCount }
        var delay = world.processDice.within(1...world.setup.turnMicroseconds)
        if world.chances.strikes(.lateDelivery) {
            delay += world.chances.draw(0...UInt64.milliseconds(200))
        }
        // Two deliveries never overtake each other.
        lastDelivery = max(
            lastDelivery.after(microseconds: 1), world.now.after(microseconds: delay))
        process?.at(lastDelivery) { [self] _ in
            for message in messages {
                if case .events(let events) = message { eventBytesWaiting -= events.byteCount }
                front.take(message)
            }
        }
    }

    private var lastDelivery = Moment.beginning
}
