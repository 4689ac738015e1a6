// World.swift: one cluster with its machines, network and clients under virtual time.
// Belongs here: time, the parts, starting and ending processes. Elsewhere: +Phases (a run from end to end).
// Never here: faults (Faults/), checks (Invariants.swift, Checkers/).
// Everything runs on the thread that calls `step`; the same setup gives the same run, event by event.

import Raft
import Storage

@testable import Server

/// Why a run failed.
public struct Failure: Equatable, Sendable {
    /// The rule that was broken.
    public let rule: String
    /// What happened, for people.
    public let text: String

    /// A broken rule.
    public init(rule: String, text: String) {
        self.rule = rule
        self.text = text
    }
}

/// A simulated world.
public final class World {
    let setup: WorldSetup
    /// Virtual time.
    public private(set) var now = Moment.beginning
    private let queue = EventQueue()
    let trace: Trace
    /// What was reached at least once.
    public let marks = Marks()
    /// The faults that happened.
    public let faults = FaultCounter()
    /// The points that the seed has switched on.
    public let chances: Chances
    var processDice: Dice
    var diskDice: Dice
    var clientDice: Dice
    var faultDice: Dice
    private(set) var nodes: [SimulatedNode] = []
    // Made by `init`. Like all parts of the world they refer to it by `unowned(unsafe)`: it outlives them, for
    // nothing happens but by its `run`, and to count them at each step would cost a tenth of all time.
    private(set) var network: Network! = nil
    private(set) var invariants: Invariants! = nil
    private(set) var plan: FaultPlan! = nil
    private(set) var clients: ClientGroup! = nil
    /// The first rule that was broken; nothing happens after it.
    private(set) var failure: Failure?
    /// Events that happened.
    private(set) var steps: UInt64 = 0
    /// What a harness wants to hold at the end, given what each member holds then.
    var checks: [(World, [FinalContent]) -> Failure?] = []
    /// When a member became the leader last.
    var reignBegan = Moment.beginning
    /// Processes start again by themselves.
    var restarts = true

    init(setup: WorldSetup, keepsLines: Bool) {
        self.setup = setup
        trace = Trace(keepsLines: keepsLines)
        chances = Chances(
            points: setup.chancePoints, odds: setup.chanceOdds,
            dice: Dice(seed: setup.seed, .process, number: 1))
        processDice = Dice(seed: setup.seed, .process)
        diskDice = Dice(seed: setup.seed, .disk)
        clientDice = Dice(seed: setup.seed, .clients)
        faultDice = Dice(seed: setup.seed, .faults)
        network = Network(
            world: self, settings: setup.network, dice: Dice(seed: setup.seed, .network))
        invariants = Invariants(world: self)
        plan = FaultPlan(world: self)
        clients = ClientGroup(world: self)
    }

    // MARK: time

    func schedule(at moment: Moment, _ body: @escaping () -> Void) {
        queue.add(at: max(moment, now), .anything(body))
    }

    func schedule(after microseconds: UInt64, _ body: @escaping () -> Void) {
        queue.add(at: now.after(microseconds: microseconds), .anything(body))
    }

    func schedule(at moment: Moment, _ happening: consuming Happening) {
        queue.add(at: max(moment, now), happening)
    }

    /// Whether what comes to a machine now is to be left in `parked`: a paused process finds it when it goes on,
    /// in the order in which it came.
    ///
    /// What lies there from before is done first.
    func isPaused(_ node: SimulatedNode) -> Bool {
        guard node.isRunning(at: now) else { return true }
        if !node.parked.isEmpty { resume(node) }
        return false
    }

    /// Does what was left lying during a pause, if that is over.
    func resume(_ node: SimulatedNode) {
        guard node.isRunning(at: now), !node.parked.isEmpty else { return }
        let waiting = node.parked
        node.parked = []
        for body in waiting { body() }
    }

    /// Lets events happen up to a moment, or until a rule is broken or `isDone` says so.
    func run(until end: Moment, unless isDone: () -> Bool = { false }) {
        while failure == nil, let next = queue.nextTime, next <= end, !isDone() {
            now = next
            steps += 1
            trace.mix(next.microseconds)
            switch queue.removeFirst() {
            case .anything(let body): body()
            case .process(let node, let number, let body): run(node, number, body)
            case .wake(let node, let number): wake(node, number)
            case .arrival(let packet, let link, let epoch, let isThere):
                network.arrive(packet, on: link, epoch: epoch, isThere: isThere)
            }
        }
        if failure == nil, !isDone() { now = max(now, end) }
    }

    private func run(
        _ node: SimulatedNode, _ number: Int, _ body: @escaping (MemberProcess) -> Void
    ) {
        guard node.running(number) != nil else { return }
        guard !isPaused(node) else {
            return node.parked.append { if let process = node.running(number) { body(process) } }
        }
        if let process = node.running(number) { body(process) }
    }

    private func wake(_ node: SimulatedNode, _ number: Int) {
        // What is not due yet is no event to a paused process either.
        guard let process = node.running(number), process.isWakeDue() else { return }
        run(node, number) { $0.wakeUp() }
    }

    /// Lets go of what will never happen, and of calls that will never end.
    ///
    /// Both hold parts of the world that hold them. What came out of the run, and what the members hold, stays.
    func release() {
        queue.removeAll()
        for node in nodes { node.parked = [] }
        plan.release()
        clients.abandonCalls()
        for node in nodes { for loop in node.process?.loops ?? [] { loop.close() } }
    }

    // MARK: records

    /// Ends the run: a rule was broken.
    func fail(_ rule: String, _ text: String) {
        guard failure == nil else { return }
        failure = Failure(rule: rule, text: text)
    }

    func note(
        _ kind: TraceKind, _ node: Int, _ first: UInt64 = 0, _ second: UInt64 = 0,
        _ text: @autoclosure () -> String = ""
    ) {
        trace.note(kind, at: now, node: node, first, second, text)
    }

    func noteMessage(_ message: Message, _ from: Int, _ to: Int, _ bytes: Int) {
        note(.message, from, UInt64(to), UInt64(bytes), "to n\(to) \(message.body.word)")
    }

    // MARK: machines

    /// Adds a machine; `identity` is who it is in the cluster.
    func addNode(
        identity: Identity, founders: [MemberRow], peers: [MemberRow]
    ) -> SimulatedNode {
        let place = nodes.count
        let disk = SimulatedDisk(
            dice: Dice(seed: setup.seed, .disk, number: UInt64(place + 1)), counter: faults)
        disk.faults = setup.disk
        var dice = Dice(seed: setup.seed, .node, number: UInt64(place) << 32)
        let width = setup.clockDriftPerMillion
        let clock = NodeClock(
            startMicroseconds: dice.within(0...UInt64.seconds(1000)),
            driftPerMillion: Int64(dice.within(0...2 * width)) - Int64(width))
        let node = SimulatedNode(
            place: place, disk: disk, clock: clock, identity: identity, founders: founders,
            peers: peers)
        if clock.isWrong { faults.count(.clockDrift) }
        nodes.append(node)
        return node
    }

    /// The machine of a member.
    func place(of member: UInt64) -> Int? {
        nodes.firstIndex { $0.identity.memberID == member }
    }

    /// Starts a process on a machine, unless one runs or the machine is to stay down.
    func start(_ node: SimulatedNode) {
        guard node.process == nil, !node.isRetired, !node.isHeldDown, !node.awaitsIdentity else {
            return
        }
        do throws(StorageError) {
            let process = try MemberProcess(world: self, node: node)
            node.process = process
            if process.store.tornTail != nil { marks.reach(.tornTailCut) }
            switch process.store.installed {
            case .nothing: break
            case .installed: marks.reach(.snapshotInstalled)
            case .discarded: marks.reach(.snapshotDiscarded)
            }
            note(.started, node.place, UInt64(node.starts), process.store.log.lastIndex)
            invariants.started(process)
            process.start()
        } catch {
            marks.reach(.openFailed)
            node.disk.processEnded()
            note(.ended, node.place, 1, 0, "can't open: \(error)")
            if error.isDamage, node.disk.isSpoiled { return giveUp(node) }
            let faults = node.disk.faults
            let isExplained =
                faults.readErrors + faults.writeErrors + faults.syncErrors > 0
                || node.disk.isSpoiled || faults.capacityBytes < 1 << 40
            guard isExplained else {
                return fail("open", "\(node.name) can't open its store: \(error)")
            }
            startLater(node, after: .seconds(1))
        }
    }

    /// A member refuses to start on what is left of its data: whoever runs the cluster replaces it.
    private func giveUp(_ node: SimulatedNode) {
        marks.reach(.refusedOnDamage)
        node.isRetired = true
        clients.operators.replaceLost()
    }

    func startLater(_ node: SimulatedNode, after delay: UInt64) {
        guard restarts else { return }
        schedule(after: delay) { [self] in
            if restarts { start(node) }
        }
    }

    /// Ends the process of a machine; who starts it again depends on why it ended.
    func end(_ node: SimulatedNode, _ end: ProcessEnd) {
        guard let process = node.process else { return }
        note(.ended, node.place, 0, 0, "\(end)")
        if case .stopped = end { process.closeStore() }
        if case .reinstall = end { process.closeStore() }
        node.process = nil
        clients.processEnded(process)
        for loop in process.loops { loop.close() }
        switch end {
        case .powerLost(let loss):
            node.disk.powerLost(loss)
            network.processEnded(node.place, isHeard: false)
        case .killed, .stopped, .failed, .removed, .reinstall:
            node.disk.processEnded()
            network.processEnded(node.place, isHeard: true)
        }
        switch end {
        case .reinstall: startLater(node, after: .milliseconds(10))
        case .failed(let reason):
            note(.ended, node.place, 2, 0, reason)
            startLater(node, after: .seconds(1) + processDice.within(0...UInt64.seconds(1)))
        case .removed: node.isRetired = true
        case .killed, .powerLost, .stopped: break
        }
    }
}

extension StorageError {
    /// Whether bytes are not what they should be.
    fileprivate var isDamage: Bool {
        switch self {
        case .corrupt, .corruptPage: true
        case .busy, .disk, .incompatible, .unfinished, .occupied, .sqlite: false
        }
    }
}

extension Message.Body {
    /// The name of the message, for traces.
    var word: String {
        switch self {
        case .preVoteRequest: "preVoteRequest"
        case .preVoteAnswer(let granted): granted ? "preVote yes" : "preVote no"
        case .voteRequest: "voteRequest"
        case .voteAnswer(let granted): granted ? "vote yes" : "vote no"
        case .append(let previous, let entries, let commit):
            "append \(previous.index.rawValue)+\(entries.count) commit \(commit.rawValue)"
        case .appendAccepted(let match): "accepted \(match.rawValue)"
        case .appendRejected(let previous, _): "rejected \(previous.rawValue)"
        case .heartbeat: "heartbeat"
        case .heartbeatAnswer: "heartbeatAnswer"
        case .readIndexRequest: "readIndexRequest"
        case .readIndexAnswer: "readIndexAnswer"
        case .timeoutNow: "timeoutNow"
        case .snapshotOffer: "snapshotOffer"
        }
    }
}
