// ReplicaBackgroundTests.swift: what a leader does on its own: leases, compaction, alarms.
// Belongs here: time passing over a whole member. Never here: LeaseClock alone, Compactor alone.
// Source: etcd semantics L1-L7, L10, L11, C1-C6, M2-M4; design section 6, point 5.

import Storage
import Testing
import TestSupport
import Transport

@testable import EtcdResponses
@testable import Server

@Suite struct ReplicaBackgroundTests {
    private static func granted(_ rig: ReplicaRig, id: Int64, ttl: Int64) throws {
        guard case .answer? = rig.ask(.leaseGrant(LeaseGrantRequest(ttl: ttl, id: id))) else {
            Issue.record("the lease was not granted")
            return
        }
    }

    private static func lease(_ outcome: Outcome?) throws -> DecodedLease {
        guard case .answer(let bytes)? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return DecodedLease()
        }
        return try DecodedLease(decoding: bytes)
    }

    // MARK: leases

    @Test(
        "lease: its keys live for all of its time and go soon after, in one revision and key order")
    func expiry() throws {
        // Given a lease with keys, and one that lasts
        let rig = try ReplicaRig.started()
        rig.send(.subscribe(true))
        try Self.granted(rig, id: 5, ttl: 10)
        try Self.granted(rig, id: 6, ttl: 1000)
        let start = rig.now
        for key in ["b", "a", "c"] { _ = rig.ask(.put(key, "v", lease: 5)) }
        _ = rig.ask(.put("d", "v", lease: 6))
        // When time passes in small steps, then the keys are there up to the last millisecond
        while rig.now < start + 9_999 {
            rig.settle(after: 303)
            if rig.now < start + 10_000 { #expect(try rig.content().keys.count == 4) }
        }
        // And gone within a second after
        rig.output.clear()
        while rig.now < start + 11_000 { rig.settle(after: 100) }
        #expect(try rig.content().keys.keys.sorted() == ["d"])
        #expect(try rig.content().leases == [6: 1000])
        guard case .events(let batch)? = rig.output.messages.first?.message else {
            Issue.record("\(rig.output.messages)")
            return
        }
        #expect(batch.events.map(\.key) == ["a", "b", "c"])
        #expect(batch.events.map(\.record.revision.main) == [6, 6, 6])
        #expect(batch.events.allSatisfy { !$0.record.isLive })
    }

    @Test(
        "lease: nothing is revoked while the disk is silent, and an expired lease is revoked once")
    func revokedOnce() throws {
        let rig = try ReplicaRig.started()
        try Self.granted(rig, id: 5, ttl: 2)
        _ = rig.ask(.put("a", "v", lease: 5))
        rig.turn(after: 2_000)
        rig.turn(after: 2_000)
        #expect(try rig.content().keys.count == 1)
        rig.settle()
        #expect(try rig.content().keys.isEmpty)
        #expect(try rig.content().revision == 3)
        #expect(rig.status.leases == 0)
    }

    @Test("lease: a keep-alive gives the full time again, from the time of its turn")
    func keepAlive() throws {
        let rig = try ReplicaRig.started()
        try Self.granted(rig, id: 5, ttl: 10)
        let start = rig.now
        rig.settle(after: 6_000)
        #expect(try Self.lease(rig.ask(.leaseKeepAlive(LeaseKeepAliveRequest(id: 5)))).ttl == 10)
        rig.settle(after: 9_900)
        #expect(rig.now == start + 15_900)
        #expect(try rig.content().leases == [5: 10])
        rig.settle(after: 1_100)
        #expect(try rig.content().leases.isEmpty)
        #expect(try Self.lease(rig.ask(.leaseKeepAlive(LeaseKeepAliveRequest(id: 5)))).ttl == 0)
    }

    @Test(
        "lease: bug SU2: a keep-alive after a silence counts from when it came"
    )
    func keepAliveAfterSilence() throws {
        // Given a member that slept since the lease was granted, as an idle one does
        let rig = try ReplicaRig.started()
        try Self.granted(rig, id: 5, ttl: 10)
        // When a keep-alive is the next thing to come in
        let answer = rig.ask(.leaseKeepAlive(LeaseKeepAliveRequest(id: 5)), after: 9_000)
        #expect(try Self.lease(answer).ttl == 10)
        // Then the lease lives for all of its time from there
        rig.settle(after: 5_000)
        rig.settle(after: 4_900)
        #expect(try rig.content().leases == [5: 10])
    }

    @Test(
        "lease: time to live counts down in whole seconds, keys are told when asked, -1 is unknown")
    func timeToLive() throws {
        let rig = try ReplicaRig.started()
        try Self.granted(rig, id: 5, ttl: 10)
        for key in ["b", "a"] { _ = rig.ask(.put(key, "v", lease: 5)) }
        rig.settle(after: 3_100)
        let bare = try DecodedTimeToLive(
            rig.ask(.leaseTimeToLive(LeaseTimeToLiveRequest(id: 5, keys: false))))
        #expect(bare == DecodedTimeToLive(id: 5, ttl: 6, grantedTTL: 10, keys: []))
        let full = try DecodedTimeToLive(
            rig.ask(.leaseTimeToLive(LeaseTimeToLiveRequest(id: 5, keys: true))))
        #expect(full.keys.sorted() == ["a", "b"])
        let unknown = try DecodedTimeToLive(
            rig.ask(.leaseTimeToLive(LeaseTimeToLiveRequest(id: 6, keys: true))))
        #expect(unknown == DecodedTimeToLive(id: 6, ttl: -1, grantedTTL: 0, keys: []))
    }

    @Test("lease: an answer that rests on a batch waits for it")
    func questionWaits() throws {
        let rig = try ReplicaRig.started()
        rig.output.clear()
        let grant = rig.send(.leaseGrant(LeaseGrantRequest(ttl: 10, id: 5)))
        rig.turn()
        let question = rig.send(.leaseTimeToLive(LeaseTimeToLiveRequest(id: 5, keys: false)))
        rig.turn()
        #expect(rig.output.messages.isEmpty)
        rig.settle()
        #expect(rig.output.outcomes.map(\.ticket) == [grant, question])
    }

    @Test("lease: after a restart each lease has its full time again and an election timeout more")
    func restart() throws {
        let rig = try ReplicaRig.started()
        try Self.granted(rig, id: 5, ttl: 10)
        rig.settle(after: 9_000)
        let again = try ReplicaRig(disk: rig.disk.afterCrash(.nothing), now: 500)
        again.start()
        again.settle()
        again.settle(after: 10_900)
        #expect(try again.content().leases == [5: 10])
        again.settle(after: 200)
        #expect(try again.content().leases.isEmpty)
    }

    @Test("lease: a long one has its remaining time written down, which a restart goes on from")
    func checkpointed() throws {
        // Given a lease of an hour (L11), of which half is over
        let rig = try ReplicaRig.started()
        try Self.granted(rig, id: 5, ttl: 3600)
        try Self.granted(rig, id: 6, ttl: 200_000)
        for _ in 0..<6 { rig.settle(after: 300_001) }
        let again = try ReplicaRig(disk: rig.disk.afterCrash(.nothing), now: 0)
        again.start()
        again.settle()
        // Then the next leader gives it the other half
        again.settle(after: 1_700_000)
        #expect(try again.content().leases[5] == 3600)
        again.settle(after: 102_000)
        #expect(try again.content().leases[5] == nil)
        #expect(try again.content().leases[6] == 200_000)
    }

    @Test("lease: a keep-alive after its time was written down is written down too")
    func renewedAfterCheckpoint() throws {
        let rig = try ReplicaRig.started()
        try Self.granted(rig, id: 5, ttl: 3600)
        for _ in 0..<6 { rig.settle(after: 300_001) }
        _ = rig.ask(.leaseKeepAlive(LeaseKeepAliveRequest(id: 5)))
        rig.settle(after: 1)
        let again = try ReplicaRig(disk: rig.disk.afterCrash(.nothing), now: 0)
        again.start()
        again.settle()
        again.settle(after: 3_590_000)
        #expect(try again.content().leases[5] == 3600)
    }

    @Test("lease: more are due than one batch revokes: the rest follow, none is forgotten")
    func many() throws {
        let rig = try ReplicaRig.started()
        let count = ReplicaLimits.expiredLeasesPerBatchMax + 30
        for id in 1...count { rig.send(.leaseGrant(LeaseGrantRequest(ttl: 5, id: Int64(id)))) }
        rig.settle()
        #expect(rig.status.leases == count)
        rig.settle(after: 5_000)
        #expect(rig.status.leases == 30)
        rig.settle(after: ReplicaLimits.leaseCheckMilliseconds)
        #expect(rig.status.leases == 0)
        #expect(try rig.content().leases.isEmpty)
    }

    // MARK: compaction

    @Test(
        "compaction: it holds at once, rows go in paced steps, who waits is answered last"
    )
    func physicalCompaction() throws {
        // Given a history
        let rig = try ReplicaRig.started {
            $0.compactionBatchLimit = 4
            $0.compactionSleepMilliseconds = 10
        }
        for number in 0..<20 { _ = rig.ask(.put("k", "\(number)")) }
        rig.output.clear()
        // When it is compacted, once plainly and once physically
        let plain = rig.send(.compact(CompactionRequest(revision: 15)))
        let physical = rig.send(.compact(CompactionRequest(revision: 20, physical: true)))
        rig.settle()
        // Then it counts at once, but only some rows are gone
        #expect(rig.output.outcomes.map(\.ticket) == [plain])
        #expect(try rig.content().compacted == 20)
        let rows = try Self.rows(rig)
        #expect(rows > 4)
        // And with time all go, and then the waiter is answered
        rig.settle(after: 9)
        #expect(try Self.rows(rig) == rows)
        for _ in 0..<8 {
            rig.settle(after: 10)
        }
        #expect(rig.output.outcomes.map(\.ticket) == [plain, physical])
        #expect(try Self.rows(rig) == 2)
        #expect(rig.output.reports.last == .compacted(revision: 20))
        let compacted = rig.ask(.compact(CompactionRequest(revision: 20)))
        #expect(compacted == .failure(EtcdError.compacted.status))
        let future = rig.ask(.compact(CompactionRequest(revision: 22)))
        #expect(future == .failure(EtcdError.futureRevision.status))
    }

    private static func rows(_ rig: ReplicaRig) throws(StorageError) -> Int64 {
        try rig.read { (reader, _) throws(StorageError) in
            try reader.connection.integer("SELECT count(*) FROM log") ?? -1
        }
    }

    @Test("compaction: one that a crash interrupted goes on after the restart")
    func compactionGoesOn() throws {
        let rig = try ReplicaRig.started { $0.compactionBatchLimit = 4 }
        for number in 0..<30 { _ = rig.ask(.put("k", "\(number)")) }
        _ = rig.ask(.compact(CompactionRequest(revision: 31)))
        #expect(try Self.rows(rig) > 1)
        let again = try ReplicaRig(disk: rig.disk.afterCrash(.nothing), now: 0) {
            $0.compactionBatchLimit = 4
        }
        again.start()
        for _ in 0..<20 { again.settle(after: 10) }
        #expect(try Self.rows(again) == 1)
        #expect(again.output.reports.last == .compacted(revision: 31))
    }

    @Test("compaction: the automatic one goes through the log and keeps what it should")
    func automatic() throws {
        let rig = try ReplicaRig.started { $0.autoCompaction = .revisions(5) }
        for number in 0..<20 { _ = rig.ask(.put("k", "\(number)")) }
        rig.settle(after: 299_000)
        #expect(try rig.content().compacted == -1)
        rig.settle(after: 1_000)
        #expect(try rig.content().compacted == 16)
    }

    // MARK: alarms

    /// A store in which puts were refused because of the quota.
    private func full() throws -> ReplicaRig {
        let rig = try ReplicaRig.started { $0.executor.quotaBytes = 400_000 }
        var count = 0
        while rig.ask(.put("k\(count)", String(repeating: "x", count: 5_000))) != Self.noSpace,
            count < 200
        {
            count += 1
        }
        #expect((5..<200).contains(count))
        #expect(rig.status.alarmKinds == 1 << 1)
        return rig
    }

    private static let noSpace = Outcome.failure(EtcdError.noSpace.status)

    private func isTaken(_ outcome: Outcome?) -> Bool {
        if case .answer? = outcome { true } else { false }
    }

    /// Deletes all keys and compacts their history away.
    private func makeRoom(in rig: ReplicaRig) throws {
        #expect(isTaken(rig.ask(.delete("k", end: "\0"))))
        let revision = try rig.content().revision
        #expect(
            isTaken(
                rig.ask(
                    .compact(CompactionRequest(revision: revision, physical: true)), after: 2_000)))
    }

    @Test("quota: what does not fit raises the alarm, which ends once there is room again")
    func quota() throws {
        // Given a store with room for a few pages, all of them used
        let rig = try full()
        #expect(rig.output.reports.contains(.quotaReached(true)))
        // Then even what would fit is refused, and deleting alone gives no room: history counts
        #expect(rig.ask(.put("k", "")) == Self.noSpace)
        #expect(isTaken(rig.ask(.delete("k0"))))
        #expect(rig.ask(.put("k", "")) == Self.noSpace)
        // When what was deleted is compacted away
        try makeRoom(in: rig)
        // Then the alarm is gone, for everybody
        #expect(rig.status.alarmKinds == 0)
        let told = rig.output.reports.last { if case .quotaReached = $0 { true } else { false } }
        #expect(told == .quotaReached(false))
        #expect(isTaken(rig.ask(.put("k", ""))))
    }

    @Test("quota: the alarm outlives a restart, and ends where the quota is raised")
    func quotaRaised() throws {
        let rig = try full()
        // Given the same quota after a crash
        let again = try ReplicaRig(disk: rig.disk.afterCrash(.nothing)) {
            $0.executor.quotaBytes = 400_000
        }
        again.start()
        again.settle()
        #expect(again.ask(.put("k", "")) == Self.noSpace)
        // When it is started with more
        let more = try ReplicaRig(disk: again.disk.afterCrash(.nothing)) {
            $0.executor.quotaBytes = 4_000_000
        }
        more.start()
        more.settle()
        #expect(isTaken(more.ask(.put("k", ""))))
        #expect(more.status.alarmKinds == 0)
    }

    @Test("quota: an alarm that an operator raised, or raised too, is theirs to clear")
    func quotaAndOperator() throws {
        let rig = try full()
        let member = ReplicaRig.identity.memberID
        let raise = AlarmRequest(action: .activate, memberID: member, alarm: .noSpace)
        #expect(isTaken(rig.ask(.alarm(raise))))
        try makeRoom(in: rig)
        #expect(rig.ask(.put("k", "")) == Self.noSpace)
        let clear = AlarmRequest(action: .deactivate, memberID: member, alarm: .noSpace)
        #expect(isTaken(rig.ask(.alarm(clear))))
        #expect(isTaken(rig.ask(.put("k", ""))))
        #expect(rig.status.alarmKinds == 0)
    }

    @Test("quota: an alarm with two causes ends with the second")
    func quotaAndDisk() throws {
        let rig = try full()
        rig.disk.setCapacity(rig.disk.usedBytes + SpaceGuard.reserveBytes - 1)
        rig.settle(after: SpaceGuard.lookMilliseconds)
        rig.disk.setCapacity(.max)
        rig.settle(after: SpaceGuard.lookMilliseconds)
        // The disk has space again, and the quota is as full as it was.
        #expect(rig.status.alarmKinds == 1 << 1)
        #expect(rig.ask(.put("k", "")) == Self.noSpace)
        try makeRoom(in: rig)
        #expect(rig.status.alarmKinds == 0)
    }

    @Test("quota: marks leave a gap, so that the alarm does not come and go with every put")
    func quotaMarks() {
        #expect(QuotaMarks.low(1000) == 900)
        #expect(!QuotaMarks.isNear(1000, bytesInUse: 800, wasNear: false))
        #expect(QuotaMarks.isNear(1000, bytesInUse: 801, wasNear: false))
        #expect(QuotaMarks.isNear(1000, bytesInUse: 701, wasNear: true))
        #expect(!QuotaMarks.isNear(1000, bytesInUse: 700, wasNear: true))
    }
}

/// LeaseTimeToLiveResponse, less its header.
struct DecodedTimeToLive: WireDecodable {
    var id: Int64 = 0
    var ttl: Int64 = 0
    var grantedTTL: Int64 = 0
    var keys: [String] = []

    init() {}

    init(id: Int64, ttl: Int64, grantedTTL: Int64, keys: [String]) {
        self.id = id
        self.ttl = ttl
        self.grantedTTL = grantedTTL
        self.keys = keys
    }

    init(_ outcome: Outcome?) throws {
        guard case .answer(let bytes)? = outcome else {
            Issue.record("\(String(describing: outcome))")
            self.init()
            return
        }
        try self.init(decoding: bytes)
    }

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 2: id = try reader.int64(field)
            case 3: ttl = try reader.int64(field)
            case 4: grantedTTL = try reader.int64(field)
            case 5: keys.append(String(decoding: try reader.bytes(field).array, as: UTF8.self))
            default: try reader.skip(field)
            }
        }
    }
}
