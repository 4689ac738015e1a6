// FaultPlan.swift: makes the faults of a run happen, and ends them.
// Belongs here: choosing victims. Elsewhere: +Disks (disks, and keeping a good copy of everything), +Processes
// (processes and clocks), +Lasting (what stays broken). Never here: what a fault does to a part.

@testable import Server

/// A fault while it lasts.
struct FaultBand {
    let word: String
    let places: [Int]
    let from: Moment
    var to: Moment
}

/// The faults of one world.
final class FaultPlan {
    unowned(unsafe) let world: World
    /// No fault begins any more.
    private(set) var isOver = false
    /// Faults that happened, for pictures.
    private(set) var bands: [FaultBand] = []
    /// How to end what lasts, with the number that its own end knows it by.
    private var endings: [(number: Int, end: () -> Void)] = []
    private var count = 0
    /// How long the next member stays away that votes, or wins an election; nil if none is to crash.
    private var awaitsVoter: UInt64?
    private var awaitsWinner: UInt64?
    /// The same for the next member that writes a checkpoint.
    private var awaitsCheckpoint: UInt64?
    /// What may be damaged for ever.
    var atlas = FaultAtlas()

    init(world: World) {
        self.world = world
    }

    /// Lets the rules of the setup begin.
    func begin() {
        atlas = FaultAtlas(machines: world.faultDice.reordered(Array(world.nodes.indices)))
        for rule in world.setup.rules { schedule(rule) }
    }

    /// Ends all faults.
    func heal() {
        isOver = true
        world.chances.isOver = true
        let lasting = endings
        endings = []
        for item in lasting { item.end() }
        for place in bands.indices where bands[place].to > world.now {
            bands[place].to = world.now
        }
        world.network.healAll()
        world.network.settings.losses = 0
        world.network.settings.duplicates = 0
        world.network.settings.resets = 0
        world.network.settings.reorders = 0
        for node in world.nodes {
            node.disk.faults = DiskFaults()
            node.turnMicroseconds = 0
            node.clock.thaw(at: world.now)
            node.pausedUntil = min(node.pausedUntil, world.now)
            world.schedule(after: 0) { [world] in world.resume(node) }
        }
        world.note(.healed, -1)
    }

    /// The world is over: what would have ended never does.
    func release() { endings = [] }

    private func schedule(_ rule: FaultRule) {
        world.schedule(after: world.faultDice.within(rule.every)) { [self] in
            guard !isOver else { return }
            let duration = world.faultDice.within(rule.last)
            happen(rule.word, duration)
            schedule(rule)
        }
    }

    private func happen(_ word: FaultWord, _ duration: UInt64) {
        switch word {
        case .partition: partition(duration)
        case .isolate: isolate(duration)
        case .oneway: oneWay(duration)
        case .deaf: deafen(duration)
        case .flap: flap(duration)
        case .clog: clog(duration)
        case .filter: filter(duration)
        case .crash: crash(.killed, .crash, duration)
        case .power: power(duration)
        case .blackout: blackout(duration)
        case .voter: awaitsVoter = duration
        case .winner: awaitsWinner = duration
        case .checkpoint: awaitsCheckpoint = duration
        case .restart: crash(.stopped, .cleanRestart, duration)
        case .loop: restartLoop(duration)
        case .pause: pause(duration)
        case .slow: slow(duration)
        case .jump: jump(duration)
        case .freeze: freeze(duration)
        case .slowdisk, .fulldisk, .baddisk: disk(word, duration)
        case .flip: flip()
        case .misdirect: misdirect(duration)
        case .rot: rot()
        case .wipe: world.clients.operators.loseMachine()
        case .lostdisk: loseDisk()
        case .move: world.clients.moveLeader()
        case .churn: world.clients.changeMembers()
        case .rush: world.clients.operators.rush()
        }
    }

    func band(_ kind: FaultKind, _ places: [Int], _ duration: UInt64) {
        world.faults.count(kind)
        let end = world.now.after(microseconds: duration)
        if bands.count < 10_000 {
            bands.append(FaultBand(word: kind.name, places: places, from: world.now, to: end))
        }
        world.note(.fault, places.first ?? -1, UInt64(kind.rawValue), duration, kind.name)
    }

    /// Ends a fault after a while, or when all are healed.
    func until(_ duration: UInt64, _ end: @escaping () -> Void) {
        count += 1
        let number = count
        endings.append((number, end))
        world.schedule(after: duration) { [self] in
            guard let place = endings.firstIndex(where: { $0.number == number }) else { return }
            endings.remove(at: place).end()
        }
    }

    // MARK: network

    private func cut(_ ways: [(from: Int, to: Int)], _ duration: UInt64) {
        let resets = world.faultDice.chance(percent: 30)
        for way in ways { world.network.block(from: way.from, to: way.to, resets: resets) }
        until(duration) { [self] in
            for way in ways { world.network.unblock(from: way.from, to: way.to) }
        }
    }

    private func partition(_ duration: UInt64) {
        let sides = world.nodes.map { _ in world.faultDice.chance(percent: 50) }
        var ways: [(from: Int, to: Int)] = []
        for from in sides.indices {
            for to in sides.indices where sides[from] != sides[to] { ways.append((from, to)) }
        }
        guard !ways.isEmpty else { return }
        band(.partition, sides.indices.filter { sides[$0] }, duration)
        cut(ways, duration)
    }

    private func isolate(_ duration: UInt64) {
        let victim = world.faultDice.below(world.nodes.count)
        var ways: [(from: Int, to: Int)] = []
        for other in world.nodes.indices where other != victim {
            ways += [(victim, other), (other, victim)]
        }
        band(.partition, [victim], duration)
        cut(ways, duration)
    }

    private func pair() -> (from: Int, to: Int)? {
        guard world.nodes.count > 1 else { return nil }
        let from = world.faultDice.below(world.nodes.count)
        let to = (from + 1 + world.faultDice.below(world.nodes.count - 1)) % world.nodes.count
        return (from, to)
    }

    private func oneWay(_ duration: UInt64) {
        guard let way = pair() else { return }
        band(.oneWayCut, [way.from, way.to], duration)
        cut([way], duration)
    }

    private func deafen(_ duration: UInt64) {
        let victim = world.faultDice.below(world.nodes.count)
        let hearsNobody = world.faultDice.chance(percent: 50)
        let others = world.nodes.indices.filter { $0 != victim }
        band(.deafness, [victim], duration)
        cut(others.map { hearsNobody ? ($0, victim) : (victim, $0) }, duration)
    }

    private func flap(_ duration: UInt64) {
        guard let way = pair() else { return }
        let end = world.now.after(microseconds: duration)
        band(.oneWayCut, [way.from, way.to], duration)
        flap(way, until: end)
    }

    private func flap(_ way: (from: Int, to: Int), until end: Moment) {
        guard world.now < end, !isOver else { return }
        cut(
            [way, (way.to, way.from)],
            world.faultDice.within(UInt64.milliseconds(10)...UInt64.milliseconds(500)))
        world.schedule(after: .milliseconds(500) + world.faultDice.within(0...UInt64.seconds(1))) {
            [self] in flap(way, until: end)
        }
    }

    private func clog(_ duration: UInt64) {
        guard let way = pair() else { return }
        let added = world.faultDice.within(UInt64.milliseconds(20)...UInt64.seconds(1))
        let place = Network.way(way.from, way.to)
        band(.clog, [way.from, way.to], duration)
        world.network.delays[place] += added
        until(duration) { [self] in
            world.network.delays[place] -= min(added, world.network.delays[place])
        }
    }

    private func filter(_ duration: UInt64) {
        guard let way = pair(), let kind = world.faultDice.pick(MessageFilter.allCases) else {
            return
        }
        let place = Network.way(way.from, way.to)
        band(.messagesFiltered, [way.from, way.to], duration)
        world.network.filters[place].append(kind)
        until(duration) { [self] in
            guard let at = world.network.filters[place].firstIndex(of: kind) else { return }
            world.network.filters[place].remove(at: at)
        }
    }

    // MARK: processes

    func victim() -> SimulatedNode? {
        world.faultDice.pick(world.nodes.filter { $0.process != nil })
    }

    private func crash(_ end: ProcessEnd, _ kind: FaultKind, _ duration: UInt64) {
        guard let node = victim() else { return }
        stop(node, end, kind, duration)
    }

    func stop(
        _ node: SimulatedNode, _ end: ProcessEnd, _ kind: FaultKind, _ duration: UInt64
    ) {
        guard end == .stopped || atlas.mayCrash(node) else { return }
        band(kind, [node.place], duration)
        world.end(node, end)
        until(duration) { [self] in world.start(node) }
    }

    private func power(_ duration: UInt64) {
        guard let node = victim() else { return }
        losePower(node, duration)
    }

    private func losePower(_ node: SimulatedNode, _ duration: UInt64) {
        guard atlas.mayCrash(node) else { return }
        let loss = world.faultDice.pick(PowerLoss.allCases) ?? .nothing
        if world.faultDice.chance(percent: 50), let process = node.process {
            // In the midst of a write: what is under way is done in part.
            world.faults.count(.tornWrite)
            node.disk.operationsLeft = world.faultDice.below(4)
            process.writeInVain()
        }
        stop(node, .powerLost(loss), .powerLoss, duration)
    }

    /// A member has voted for another.
    func voted(_ node: SimulatedNode) {
        guard let duration = awaitsVoter, !isOver else { return }
        awaitsVoter = nil
        crashSoon(node, duration)
    }

    /// A member has become the leader.
    func won(_ node: SimulatedNode) {
        guard let duration = awaitsWinner, !isOver else { return }
        awaitsWinner = nil
        crashSoon(node, duration)
    }

    /// A member writes pages of a checkpoint into its database file.
    func writesCheckpoint(_ node: SimulatedNode) {
        guard let duration = awaitsCheckpoint, !isOver, atlas.mayCrash(node),
            world.faultDice.chance(percent: 50)
        else { return }
        awaitsCheckpoint = nil
        world.faults.count(.tornWrite)
        node.disk.operationsLeft = world.faultDice.below(16)
        world.schedule(after: .milliseconds(5)) { [self] in
            guard node.process != nil, !isOver else { return }
            let loss = world.faultDice.pick(PowerLoss.allCases) ?? .nothing
            stop(node, .powerLost(loss), .powerLoss, duration)
        }
    }

    private func crashSoon(_ node: SimulatedNode, _ duration: UInt64) {
        world.schedule(after: world.faultDice.within(0...UInt64.milliseconds(3))) { [self] in
            guard node.process != nil, !isOver else { return }
            losePower(node, duration)
        }
    }

    private func blackout(_ duration: UInt64) {
        for node in world.nodes where node.process != nil { losePower(node, duration) }
    }
}
