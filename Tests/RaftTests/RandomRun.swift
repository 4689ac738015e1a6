// RandomRun.swift: a cluster driven by chance: lost, late, doubled messages; slow disks; crashes.
// Belongs here: the choices. Never here: what must hold (SafetyChecker.swift).
// One seed fixes everything, and is printed with every failure.
import Raft

/// One run; the odds themselves are drawn from the seed, so that runs differ in kind.
struct RandomRun {
    let seed: UInt64
    var generator: SeededGenerator
    var cluster: Cluster
    var checker = SafetyChecker()
    var nextContext: UInt64 = 1
    var nextPayload: UInt64 = 1

    private var lossPercent: Int
    private var doublePercent: Int
    private var crashPerMille: Int
    private var savePercent: Int
    private var tickPercent: Int
    /// Lets messages go that must wait for the disk, to prove that the checks see it.
    private let sendsBeforeSave: Bool
    private let isCut: Bool
    /// A member that hears nobody and that nobody hears, for a while.
    private var isolated: MemberID?

    init(seed: UInt64, sendsBeforeSave: Bool = false) {
        self.seed = seed
        var generator = SeededGenerator(seed: seed)
        let size = UInt64([1, 2, 3, 3, 3, 4, 5, 5][Int.random(in: 0..<8, using: &generator)])
        let preVote = Bool.random(using: &generator)
        let checkQuorum = Bool.random(using: &generator)
        let retained = [0, 200, 1 << 20][Int.random(in: 0..<3, using: &generator)]
        let window = [1, 3, 256][Int.random(in: 0..<3, using: &generator)]
        isCut = Bool.random(using: &generator)
        let jitter = [3, 10][Int.random(in: 0..<2, using: &generator)]
        let timeout = [3, 10][Int.random(in: 0..<2, using: &generator)]
        let unapplied = [300, 1 << 20][Int.random(in: 0..<2, using: &generator)]
        lossPercent = [0, 2, 20][Int.random(in: 0..<3, using: &generator)]
        doublePercent = [0, 10][Int.random(in: 0..<2, using: &generator)]
        crashPerMille = [0, 2, 10, 40][Int.random(in: 0..<4, using: &generator)]
        savePercent = [5, 20, 40][Int.random(in: 0..<3, using: &generator)]
        tickPercent = [5, 15, 40][Int.random(in: 0..<3, using: &generator)]
        cluster = Cluster(voters: Array(1...size)) { configuration in
            configuration.seed = seed &* 31 &+ configuration.id.rawValue
            configuration.preVote = preVote
            configuration.checkQuorum = checkQuorum
            configuration.electionJitterTicks = jitter
            configuration.electionTimeoutTicks = timeout
            configuration.limits.retainedBytesMax = retained
            configuration.limits.inflightAppendsMax = window
            configuration.limits.unappliedBytesMax = unapplied
            configuration.limits.appendBytesMax = 150
        }
        self.generator = generator
        self.sendsBeforeSave = sendsBeforeSave
    }

    /// Safety first, under all faults; then all is healed and progress is demanded.
    mutating func run(steps: Int) -> [String] {
        for _ in 0..<steps where checker.violations.isEmpty { disturb() }
        if checker.violations.isEmpty { heal() }
        return checker.violations
    }

    private mutating func chance(_ percent: Int, of total: Int = 100) -> Bool {
        Int.random(in: 0..<total, using: &generator) < percent
    }

    private mutating func someMember() -> MemberID {
        cluster.members[Int.random(in: 0..<cluster.members.count, using: &generator)].id
    }

    private mutating func observe(_ id: MemberID, _ effects: Effects?) {
        guard let effects else { return }
        checker.observe(id, effects, in: cluster)
        if sendsBeforeSave { cluster.network += effects.sendAfterSave }
        for request in effects.needEntries { observe(id, cluster.load(request, for: id)) }
    }

    private mutating func step(_ id: MemberID, _ input: Input) {
        observe(id, cluster.step(id, input))
    }

    private mutating func disturb() {
        let id = someMember()
        if chance(crashPerMille, of: 1000) { return crash(id) }
        if chance(tickPercent) { return step(id, .tick) }
        if chance(savePercent) { return observe(id, cluster.finishSave(id)) }
        switch Int.random(in: 0..<40, using: &generator) {
        case 0...2: propose(id)
        case 3: read(id)
        case 4, 5: restart(id)
        case 6, 7: observe(id, cluster.apply(id))
        case 8: checkpoint(id)
        case 9: if chance(20) { step(id, .peerDisconnected(someMember())) }
        case 10: if chance(10) { step(id, .campaign) }
        case 11: if chance(5) { isolated = isolated == nil && isCut ? id : nil }
        default: deliver()
        }
    }

    private mutating func propose(_ id: MemberID) {
        let count = Int.random(in: 1...3, using: &generator)
        var payloads: [[UInt8]] = []
        for _ in 0..<count {
            nextPayload += 1
            let size = Int.random(in: 8...40, using: &generator)
            var payload = Array(repeating: UInt8(truncatingIfNeeded: nextPayload), count: size)
            payload[0] = UInt8(truncatingIfNeeded: nextPayload >> 8)
            payloads.append(payload)
        }
        step(id, .propose(payloads))
    }

    private mutating func read(_ id: MemberID) {
        let context = ReadContext(nextContext)
        nextContext += 1
        checker.asked(context)
        step(id, .readIndex(context))
    }

    private mutating func deliver() {
        guard !cluster.network.isEmpty else { return }
        // Mostly in order, sometimes not.
        let reach = chance(80) ? 1 : cluster.network.count
        let message = cluster.network.remove(at: Int.random(in: 0..<reach, using: &generator))
        if message.to == isolated, chance(80) {
            // Comes when the cut is over, if not lost.
            cluster.network.append(message)
            return
        }
        if chance(lossPercent) { return }
        if message.to == isolated || message.from == isolated { return }
        if chance(doublePercent) { cluster.network.append(message) }
        step(message.to, .received(message))
    }

    private mutating func crash(_ id: MemberID) {
        let position = cluster.position(of: id)
        // What the disk was told may have reached it, in order, up to any point.
        while !cluster.members[position].disk.pending.isEmpty, chance(50) {
            _ = cluster.members[position].disk.finishOldest()
        }
        cluster.members[position].crash()
        if chance(30) {
            restart(id)
            if chance(50) { step(id, .campaign) }
        }
    }

    private mutating func restart(_ id: MemberID) {
        let position = cluster.position(of: id)
        if cluster.members[position].node == nil { cluster.members[position].start() }
    }

    private mutating func checkpoint(_ id: MemberID) {
        let position = cluster.position(of: id)
        let member = cluster.members[position]
        let onDisk = min(member.applied, member.node?.durable ?? .zero)
        cluster.members[position].checkpoint = max(member.checkpoint, onDisk)
    }

    /// Everything works from here on: one leader must come, and everybody must get everything.
    private mutating func heal() {
        isolated = nil
        for member in cluster.members { restart(member.id) }
        var proposals = 0
        for _ in 0..<2_000 {
            for member in cluster.members { step(member.id, .tick) }
            var rounds = 0
            while rounds < 200, quiesceOnce() { rounds += 1 }
            guard let leader = cluster.members.first(where: { $0.node?.role == .leader }) else {
                continue
            }
            proposals += 1
            propose(leader.id)
            if proposals > 5, isConverged { return }
        }
        let state = cluster.members.map { member in
            "\(member.id.rawValue): \(String(describing: member.node?.role)) last "
                + "\(String(describing: member.node?.last)) commit \(member.toApply)"
        }
        checker.fail("no progress after healing: \(state)")
    }

    private var isConverged: Bool {
        let ends = cluster.members.map { $0.toApply }
        guard let first = ends.first, checker.agreedCount > 5 else { return false }
        return ends.allSatisfy { $0 == first } && Int(first.rawValue) == checker.agreedCount
    }

    private mutating func quiesceOnce() -> Bool {
        var didWork = false
        let messages = cluster.network
        cluster.network = []
        for message in messages {
            didWork = true
            step(message.to, .received(message))
        }
        for member in cluster.members {
            while let effects = cluster.finishSave(member.id) {
                didWork = true
                observe(member.id, effects)
            }
            while let effects = cluster.apply(member.id) {
                didWork = true
                observe(member.id, effects)
            }
        }
        return didWork
    }
}
