// ReplicaCrashTests.swift: a member loses power somewhere in its life; nothing acknowledged is lost.
// Belongs here: crash points, the model, reopening. Never here: one part's crashes (StorageTests).
// Source: design section 6, points 1, 2 and 4; section 7, first line.

import Storage
import Testing
import TestSupport

@testable import EtcdResponses
@testable import Server

@Suite struct ReplicaCrashTests {
    /// Requests that reach the replica together: one batch, one entry.
    private typealias Group = [ReplicaRequest.Body]

    /// What is known after each group, in a life without a crash.
    private struct Milestone {
        let model: ModelStore
        let hash: DecodedHashKV
    }

    private static let groupCount = 28
    /// A log that does not roll over in a life.
    private static let segmentBytes = 256 << 10
    /// One that does.
    private static let smallestSegmentBytes = 8 << 10

    /// The same requests for the same seed; each is acceptable where it stands.
    private static func workload(seed: UInt64) -> [Group] {
        var random = WireRandom(seed: seed)
        var groups: [Group] = []
        var model = ModelStore()
        var lease: Int64 = 0
        func add(_ body: ReplicaRequest.Body) {
            model.apply(body)
            groups[groups.count - 1].append(body)
        }
        for number in 0..<groupCount {
            groups.append([])
            for _ in 0...Int.random(in: 0..<5, using: &random) {
                let key = "k\(Int.random(in: 0..<40, using: &random))"
                let value = String(repeating: "v", count: Int.random(in: 0..<700, using: &random))
                switch Int.random(in: 0..<10, using: &random) {
                case 0: add(.delete(key))
                case 1: add(.delete("k1", end: "k3"))
                case 2:
                    add(
                        .txn(
                            TxnRequest(
                                success: [
                                    .put(PutRequest(key: "pair/a", value: Bytes(value))),
                                    .put(PutRequest(key: "pair/b", value: Bytes(value))),
                                    .deleteRange(DeleteRangeRequest(key: Bytes(key))),
                                ])))
                case 3:
                    lease += 1
                    add(.leaseGrant(LeaseGrantRequest(ttl: 100_000, id: lease)))
                    add(.put("leased/\(lease)", value, lease: lease))
                case 4 where model.leases[lease] != nil:
                    add(.leaseRevoke(LeaseRevokeRequest(id: lease)))
                default: add(.put(key, "\(number) \(value)"))
                }
            }
            if number % 9 == 8, model.revision - 4 > model.compacted {
                add(.compact(CompactionRequest(revision: model.revision - 4)))
            }
        }
        return groups
    }

    /// Runs the workload, checkpoints going on beside it, until the disk fails.
    ///
    /// Tells of the start, and then of each group once all of it was answered.
    private static func run(
        _ rig: ReplicaRig, _ groups: ArraySlice<Group>, answered: (_ group: Int?) throws -> Void
    ) throws {
        rig.start()
        rig.settle()
        guard rig.status.readsLocally else { return }
        try answered(nil)
        for (number, group) in zip(groups.indices, groups) {
            let tickets = group.map { rig.send($0) }
            rig.settle(after: 20)
            for ticket in tickets {
                guard case .answer? = rig.output.outcome(of: ticket) else { return }
            }
            try answered(number)
            rig.output.clear()
            if number % 12 >= 2 {
                do {
                    if try rig.checkpointStep(pages: 4) { try rig.keepHouse() }
                } catch {
                    guard rig.disk.isCrashed else { throw error }
                    return
                }
            }
        }
    }

    /// A disk on which the log's first segment is there and nothing else.
    private static func freshDisk(segmentBytes: Int = segmentBytes) throws -> FaultyDisk {
        let disk = FaultyDisk()
        try ReplicaRig.prepareLog(disk, segmentBytes: segmentBytes)
        return disk
    }

    /// Opens what a crash left, twice, and finds one of the milestones from the acknowledged one
    /// on.
    ///
    /// - Returns: which one.
    @discardableResult
    private static func expectRecovered(
        _ disk: FaultyDisk, from acknowledged: Int, in milestones: [Milestone], _ what: Comment
    ) throws -> Int {
        // Opening changes nothing that counts: after a second crash at once it opens the same.
        let first = try ReplicaRig(disk: disk).pages.committedState
        let rig = try ReplicaRig(disk: disk.afterCrash(.nothing), seed: 99)
        #expect(rig.pages.committedState == first, what)
        rig.start()
        rig.settle()
        #expect(rig.status.readsLocally, what)
        let content = try rig.content()
        let place = try #require(milestones.lastIndex { $0.model == content }, what)
        #expect(place >= acknowledged, what)
        #expect(try rig.hashKV() == milestones[place].hash, what)
        #expect(try rig.integrity() == "ok", what)
        // And the store goes on from there.
        let answer = rig.ask(.put("after", "crash"))
        guard case .answer? = answer else {
            Issue.record("\(what): \(String(describing: answer))")
            return place
        }
        #expect(try rig.content().revision == content.revision + 1, what)
        return place
    }

    /// A life without a crash: what was known along the way, and the operations of its disk.
    private struct CalmLife {
        let groups: [Group]
        let milestones: [Milestone]
        let operations: Range<Int>
        /// The first entry that its log still has.
        let firstIndex: UInt64
    }

    private static func live(seed: UInt64, segmentBytes: Int = segmentBytes) throws -> CalmLife {
        let groups = Self.workload(seed: seed)
        let disk = try Self.freshDisk(segmentBytes: segmentBytes)
        let first = disk.operations.count
        let rig = try ReplicaRig(disk: disk)
        var model = ModelStore()
        var milestones: [Milestone] = []
        try Self.run(rig, groups[...]) { number in
            if let number { groups[number].forEach { model.apply($0) } }
            #expect(try rig.content() == model, "group \(String(describing: number))")
            milestones.append(Milestone(model: model, hash: try rig.hashKV()))
        }
        try #require(milestones.count == groups.count + 1)
        #expect(rig.output.reports.allSatisfy { !$0.isFailure })
        return CalmLife(
            groups: groups, milestones: milestones, operations: first..<disk.operations.count,
            firstIndex: rig.log.firstIndex)
    }

    /// Runs until the power goes after an operation, and looks at what survived.
    private static func crash(
        _ life: CalmLife, afterOperation point: Int, _ survival: Survival,
        segmentBytes: Int = segmentBytes
    ) throws {
        let disk = try Self.freshDisk(segmentBytes: segmentBytes)
        disk.crash(afterOperation: point)
        var acknowledged = 0
        do {
            let rig = try ReplicaRig(disk: disk)
            try Self.run(rig, life.groups[...]) { acknowledged = $0.map { $0 + 1 } ?? 0 }
        } catch let error as StorageError {
            #expect(disk.isCrashed, "\(error)")
        }
        try Self.expectRecovered(
            disk.afterCrash(survival), from: acknowledged, in: life.milestones,
            "\(survival), crash after operation \(point) of \(life.operations)")
    }

    @Test(
        "crash: whatever the moment, acknowledged writes are there and others are whole or absent",
        arguments: [
            Survival.nothing, .everything, .evens, .odds, .random(seed: 11), .random(seed: 12),
        ])
    func anyMoment(survival: Survival) throws {
        let life = try Self.live(seed: 1)
        try #require(life.operations.count > 60)
        // Every operation where nothing survives; of the others each mode tries a part of its own.
        let step = survival == .nothing ? 1 : 3
        let first = life.operations.lowerBound + Int(Self.salt(survival)) % step
        for point in stride(from: first, to: life.operations.upperBound, by: step) {
            try Self.crash(life, afterOperation: point, survival)
        }
    }

    private static func salt(_ survival: Survival) -> UInt64 {
        switch survival {
        case .nothing, .everything: 0
        case .evens: 1
        case .odds: 2
        case .random(let seed): seed
        }
    }

    @Test(
        "crash: the log rolls over and is cut, and the power goes somewhere about that",
        arguments: [Survival.nothing, .random(seed: 21)])
    func logIsCut(survival: Survival) throws {
        let life = try Self.live(seed: 2, segmentBytes: Self.smallestSegmentBytes)
        // Preparing a segment of the usual size is most of these operations: few of them are tried.
        try #require(life.operations.count > 130)
        #expect(life.firstIndex > 1)
        let step = life.operations.count / 6
        for point in stride(
            from: life.operations.lowerBound + 60, to: life.operations.upperBound, by: step)
        {
            try Self.crash(
                life, afterOperation: point, survival, segmentBytes: Self.smallestSegmentBytes)
        }
    }

    @Test(
        "crash: member after member crashes, also while it recovers",
        arguments: 100..<108 as Range<UInt64>)
    func manyLives(seed: UInt64) throws {
        // Given a workload and a sequence of crashes, both fixed by the seed
        let life = try Self.live(seed: seed)
        var random = WireRandom(seed: seed)
        var disk = try Self.freshDisk()
        var next = 0
        for number in 0..<Self.livesMax where next < life.groups.count {
            // When a member runs for some operations, from where the former one had come
            let budget = Int.random(in: 0..<24, using: &random)
            disk.crash(afterOperation: disk.operations.count + budget)
            var acknowledged = next
            do {
                let rig = try ReplicaRig(disk: disk, seed: random.next())
                try Self.run(rig, life.groups[next...]) {
                    if let done = $0 { acknowledged = done + 1 }
                }
            } catch let error as StorageError {
                #expect(disk.isCrashed, "\(error)")
            }
            let survival = Survival.random(seed: random.next())
            disk = disk.afterCrash(survival)
            // Then what survived holds all of it, and the next one goes on from there
            let what: Comment = "seed \(seed), life \(number), \(survival)"
            let copy = disk.afterCrash(.nothing)
            next = try Self.expectRecovered(
                disk.afterCrash(.nothing), from: acknowledged, in: life.milestones, what)
            disk = copy
        }
        #expect(next > life.groups.count / 2)
    }

    /// Each start takes some operations of its life's few.
    private static let livesMax = 45
}

extension ReplicaEvent {
    fileprivate var isFailure: Bool {
        switch self {
        case .requestFailed, .stopped, .diskFull: true
        case .becameLeader, .leaderChanged, .membersChanged, .damaged, .removed, .handingOver,
            .readable, .compacted, .quotaNear, .quotaReached:
            false
        }
    }
}
