// ClusterWorld.swift: several members stepped by hand, with a network of the test's own between them.
// Belongs here: delivery, cuts, time, crashes. Never here: expectations; the simulator's world (Simulation/).
// What members send passes the codec that real connections use.

import Raft
import Storage
import TestSupport

@testable import Server

/// Members that share a clock and a network.
final class ClusterWorld {
    /// One way between two members.
    struct Way: Hashable {
        let from: Int
        let to: Int
    }

    private(set) var rigs: [ReplicaRig?]
    private var disks: [FaultyDisk]
    private(set) var now: UInt64 = 1000
    /// Ways on which everything is lost.
    var cuts: Set<Way> = []
    private let adjust: (inout ReplicaSettings) -> Void
    private var starts = 0
    private var ids: [UInt64] = []
    private(set) var snapshotFetches: [(member: Int, from: UInt64)] = []
    /// Nothing is forwarded: connections for requests don't stand.
    var refusesRequests = false
    private var clientURLs: [Int: String] = [:]

    static func id(_ place: Int) -> UInt64 { 0xa1 + UInt64(place) }

    static func row(_ place: Int, role: MemberRow.Role = .voter) -> MemberRow {
        MemberRow(
            id: id(place), name: "m\(place)", peerURLs: ["http://127.0.0.1:\(2380 + place)"],
            clientURLs: [], role: role)
    }

    init(_ count: Int, _ adjust: @escaping (inout ReplicaSettings) -> Void = { _ in }) throws {
        self.adjust = adjust
        rigs = Array(repeating: nil, count: count)
        disks = []
        for _ in 0..<count { try addDisk() }
        ids = (0..<count).map(Self.id)
        for place in 0..<count { try start(place, founders: count) }
    }

    private func addDisk() throws {
        let disk = FaultyDisk()
        try ReplicaRig.prepareLog(disk, segmentBytes: 256 << 10)
        disks.append(disk)
    }

    /// Opens a member's store and lets it run; `founders` of 0 is one that is about to join.
    func start(_ place: Int, founders: Int) throws {
        starts += 1
        let rig = try ReplicaRig(
            disk: disks[place], now: now, seed: UInt64(place + 1 + 100 * starts),
            identity: Identity(clusterID: 0xc1, memberID: ids[place]),
            founders: (0..<founders).map { Self.row($0) }
        ) { settings in
            settings.member = Self.row(place)
            settings.member.id = self.ids[place]
            settings.member.clientURLs = [
                self.clientURLs[place] ?? "http://127.0.0.1:\(3380 + place)"
            ]
            self.adjust(&settings)
        }
        rigs[place] = rig
        rig.start()
        for other in rigs.indices where other != place { rigs[other]?.replica.forwardReady() }
        rig.replica.forwardReady()
    }

    /// What a member says from its next start on that its client URL is.
    func advertise(_ place: Int, _ url: String) { clientURLs[place] = url }

    /// Starts a member that was added under an id on an empty disk; returns its place.
    func join(id: UInt64) throws -> Int {
        rigs.append(nil)
        ids.append(id)
        try addDisk()
        try start(rigs.count - 1, founders: 0)
        return rigs.count - 1
    }

    /// Power goes: what was not synced may be lost, and the others see its connections close.
    func kill(_ place: Int, _ survival: Survival = .nothing) {
        rigs[place] = nil
        disks[place] = disks[place].afterCrash(survival)
        for other in rigs.compactMap({ $0 }) {
            other.replica.disconnected(ids[place])
            other.replica.forwardLost(to: ids[place])
        }
    }

    /// A member by its place; traps if it is down.
    subscript(place: Int) -> ReplicaRig {
        guard let rig = rigs[place] else { preconditionFailure("member \(place) is down") }
        return rig
    }

    /// A member's disk.
    func disk(of place: Int) -> FaultyDisk { disks[place] }

    /// Cuts a member off in both directions, or joins it again.
    func isolate(_ place: Int, _ isCut: Bool = true) {
        for other in rigs.indices where other != place {
            for way in [Way(from: place, to: other), Way(from: other, to: place)] {
                if isCut { cuts.insert(way) } else { cuts.remove(way) }
            }
        }
    }

    // MARK: running

    /// Lets everybody run until nothing moves; time stands still.
    func settle() {
        for _ in 0..<1000 where exchange() {}
    }

    /// Passes time in steps of a tick, 25 ms.
    func run(milliseconds: UInt64) {
        let end = now + milliseconds
        settle()
        while now < end {
            now += 25
            settle()
        }
    }

    private func exchange() -> Bool {
        var moved = false
        for (place, rig) in rigs.enumerated() {
            guard let rig else { continue }
            rig.turn(at: now)
            if rig.save() { moved = true }
            for (member, traffic) in rig.output.takeTraffic() {
                moved = true
                deliver(traffic, from: place, to: ids.firstIndex(of: member) ?? rigs.count)
            }
            for source in rig.output.takeFetches() { snapshotFetches.append((place, source)) }
        }
        return moved
    }

    private func deliver(_ traffic: RigTraffic, from: Int, to: Int) {
        guard to < rigs.count, let rig = rigs[to], !cuts.contains(Way(from: from, to: to)) else {
            if case .requests(let bytes) = traffic { refuse(bytes, of: from) }
            return
        }
        do {
            switch traffic {
            case .message(let bytes):
                guard let message = try RaftMessageFields(decoding: bytes).message else {
                    preconditionFailure("a message can't be read back")
                }
                rig.replica.received(message)
            case .requests(let bytes) where refusesRequests: refuse(bytes, of: from)
            case .requests(let bytes):
                let list = try WireList<ForwardedRequestFields>(decoding: bytes)
                for fields in list.elements {
                    rig.take(try fields.request(from: ids[from]))
                }
            case .answers(let bytes):
                let list = try WireList<ForwardedAnswerFields>(decoding: bytes)
                list.elements.compactMap(\.answer).forEach(rig.replica.answered)
            }
        } catch {
            preconditionFailure("what was encoded can't be decoded: \(error)")
        }
    }

    private func refuse(_ bytes: [UInt8], of place: Int) {
        guard let list = WireList<ForwardedRequestFields>(valid: bytes) else { return }
        rigs[place]?.replica.forwardRefused(list.elements.map(\.sequence))
    }

    // MARK: looking

    /// The member that leads in the highest term.
    var leader: Int? {
        var found: (place: Int, term: Term)?
        for (place, rig) in rigs.enumerated() {
            guard let node = rig?.replica.node, node.role == .leader else { continue }
            if let known = found, known.term >= node.term { continue }
            found = (place, node.term)
        }
        return found?.place
    }

    /// Runs until a member other than `excluded` leads and has committed in its term.
    func awaitLeader(not excluded: Int? = nil) -> Int? {
        for _ in 0..<400 {
            run(milliseconds: 25)
            if let place = leader, place != excluded {
                let node = self[place].replica.node
                if node.commit >= self[place].replica.termStart { return place }
            }
        }
        return nil
    }

    /// Sends a request to a member and runs until it has ended, or `milliseconds` have passed.
    func ask(
        _ place: Int, _ body: ReplicaRequest.Body, within milliseconds: UInt64 = 3000,
        by authority: Authority = .nobody
    ) -> Outcome? {
        let ticket = self[place].send(body, by: authority)
        let end = now + milliseconds
        settle()
        while now < end {
            if let outcome = self[place].output.outcome(of: ticket) { return outcome }
            run(milliseconds: 25)
        }
        return self[place].output.outcome(of: ticket)
    }
}
