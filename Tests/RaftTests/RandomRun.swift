// RandomRun.swift: a cluster driven by chance: lost, late, doubled messages; slow disks; crashes;
// members that come and go, leadership handed on, logs cut.
// Belongs here: the run and how it heals. Never here: the odds (RandomRun+Odds.swift), single
// events (RandomRun+Events.swift), what must hold (SafetyChecker.swift).
// One seed fixes everything, and is printed with every failure.
import Raft

/// One run; the odds themselves are drawn from the seed, so that runs differ in kind.
struct RandomRun {
    let seed: UInt64
    var generator: SeededGenerator
    var odds: Odds
    var cluster: Cluster
    var checker: SafetyChecker
    var nextContext: UInt64 = 1
    var nextPayload: UInt64 = 1
    var transfersBegun = 0

    /// A member that hears nobody and that nobody hears, for a while.
    var isolated: MemberID?
    /// Nothing gets from the one to the other, for a while.
    var cut: (from: MemberID, to: MemberID)?
    /// Snapshots under way to a member.
    var downloads: [(to: MemberID, snapshot: Snapshot)] = []

    /// Lets messages go that must wait for the disk, to prove that the checks see it.
    private let sendsBeforeSave: Bool
    private var isHealing = false

    init(seed: UInt64, sendsBeforeSave: Bool = false) {
        self.seed = seed
        self.sendsBeforeSave = sendsBeforeSave
        var generator = SeededGenerator(seed: seed)
        odds = Odds(from: &generator)
        cluster = odds.makeCluster(seed: seed, from: &generator)
        checker = SafetyChecker(initial: cluster.members[0].checkpoint.membership)
        self.generator = generator
    }

    /// Safety first, under all faults; then all is healed and progress is demanded.
    mutating func run(steps: Int) -> [String] {
        for _ in 0..<steps where checker.violations.isEmpty { disturb() }
        if checker.violations.isEmpty { heal() }
        return checker.violations
    }

    mutating func chance(_ percent: Int, of total: Int = 100) -> Bool {
        Int.random(in: 0..<total, using: &generator) < percent
    }

    mutating func someMember() -> MemberID {
        cluster.members[Int.random(in: 0..<cluster.members.count, using: &generator)].id
    }

    /// A member that leads, if any, or now and then the given one.
    private mutating func leaderMostly(_ id: MemberID) -> MemberID {
        guard chance(70) else { return id }
        return cluster.members.first { $0.node?.role == .leader }?.id ?? id
    }

    mutating func step(_ id: MemberID, _ input: Input) {
        observe(id, cluster.step(id, input))
    }

    mutating func observe(_ id: MemberID, _ effects: Effects?) {
        guard let effects else { return }
        checker.observe(id, effects, in: cluster)
        if sendsBeforeSave { cluster.network += effects.sendAfterSave }
        for request in effects.needEntries { observe(id, cluster.load(request, for: id)) }
        if let offer = effects.snapshotOffered { fetch(offer, for: id) }
        if effects.mayLeaveJoint, isHealing || chance(30) {
            let next = cluster.members[cluster.position(of: id)].node?.membership.left
            if let next { step(id, .proposeMembership(next, payload: [7])) }
        }
    }

    /// Begins to fetch a snapshot from any member that has one.
    private mutating func fetch(_ offer: SnapshotOffer, for id: MemberID) {
        guard downloads.count < 3 || isHealing else { return }
        // One that was never told its configuration has none to put into a snapshot.
        let sources = cluster.members.filter {
            $0.applied >= offer.reaching && !$0.state.membership.voters.isEmpty
        }
        guard let source = sources.randomElement(using: &generator) else { return }
        downloads.append((id, source.state))
    }

    /// Puts a snapshot that has come in place, if it is still of use.
    mutating func install(_ position: Int) {
        let (id, snapshot) = downloads.remove(at: position)
        guard let effects = cluster.install(snapshot, on: id) else { return }
        checker.installed(snapshot)
        observe(id, effects)
    }

    private mutating func disturb() {
        let id = someMember()
        if chance(odds.crashPerMille, of: 1000) { return crash(id) }
        if chance(odds.tickPercent) { return step(id, .tick) }
        if chance(odds.savePercent) { return observe(id, cluster.finishSave(id)) }
        switch Int.random(in: 0..<48, using: &generator) {
        case 0...2: propose(id)
        case 3:
            read(id)
            for member in [leaderMostly(id), someMember()] { passRoundOn(member) }
        case 4, 5: restart(id)
        case 6, 7: observe(id, cluster.apply(id))
        case 8: cluster.members[cluster.position(of: id)].makeCheckpoint()
        case 9: if chance(20) { step(id, .peerDisconnected(someMember())) }
        case 10: if chance(10) { step(id, .campaign) }
        case 11: if chance(5) { isolated = isolated == nil && odds.isCut ? id : nil }
        case 12: if chance(5) { cut = cut == nil && odds.isCut ? (id, someMember()) : nil }
        case 13: if chance(odds.changePercent) { changeMembers(leaderMostly(id)) }
        case 14: if chance(odds.transferPercent) { transfer(leaderMostly(id)) }
        case 15: if chance(odds.compactPercent) { compact(id) }
        case 16: if !downloads.isEmpty { install(0) }
        default: deliver()
        }
    }

    /// Everything works from here on: one leader must come, and its members must get everything.
    private mutating func heal() {
        isHealing = true
        isolated = nil
        cut = nil
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
            // Then no more: whoever lags has to get there without anything new to help.
            if proposals <= 6 { propose(leader.id) }
            if proposals > 6, isConverged(on: leader) { return }
        }
        let state = cluster.members.map { member in
            "\(member.id.rawValue): \(String(describing: member.node?.role)) last "
                + "\(String(describing: member.node?.last)) commit \(member.toApply) "
                + "\(String(describing: member.node?.membership))"
        }
        checker.fail("no progress after healing: \(state)")
    }

    private func isConverged(on leader: Member) -> Bool {
        guard let membership = leader.node?.membership, !membership.isJoint,
            checker.agreedCount > 5
        else { return false }
        return cluster.members.allSatisfy { member in
            !membership.contains(member.id)
                || Int(member.toApply.rawValue) == checker.agreedCount
        }
    }

    private mutating func quiesceOnce() -> Bool {
        var didWork = !downloads.isEmpty
        while !downloads.isEmpty { install(0) }
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
