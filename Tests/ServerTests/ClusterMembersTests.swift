// ClusterMembersTests.swift: members that come, go, lag and are damaged, in one process.
// Belongs here: what the replicas of a cluster do about it. Never here: rules of one request
// (ReplicaMembersTests.swift).
// Source: etcd semantics K2-K6, K9; Raft paper §6; design sections 6 and 7.

import Raft
import Storage
import Testing
import TestSupport

@testable import Server

@Suite struct ClusterMembersTests {
    private static func settled(_ count: Int = 3) throws -> ClusterWorld {
        let cluster = try ClusterWorld(count)
        _ = try #require(cluster.awaitLeader())
        // Long enough for contacts to count in a membership change (K3).
        cluster.run(milliseconds: 6000)
        return cluster
    }

    /// Adds a member as the leader names it, and starts it.
    private static func add(
        _ cluster: ClusterWorld, isLearner: Bool
    ) throws -> (place: Int, id: UInt64) {
        let leader = try #require(cluster.leader)
        let place = cluster.rigs.count
        let request = MemberAddRequest(
            peerURLs: ClusterWorld.row(place).peerURLs, isLearner: isLearner)
        guard case .answer(let bytes)? = cluster.ask(leader, .memberAdd(request, nonce: 9)) else {
            let seen = cluster[leader].output.outcomes.last
            throw StorageError.busy(what: "the member was not added: \(String(describing: seen))")
        }
        let added = try MemberAddResponse(decoding: bytes).added
        #expect(try cluster.join(id: added.id) == place)
        cluster.run(milliseconds: 1500)
        return (place, added.id)
    }

    private static func voters(_ rig: ReplicaRig) -> Int {
        rig.replica.node.membership.voters.count
    }

    @Test("K9: every member writes down its own name and URLs")
    func publishing() throws {
        let cluster = try ClusterWorld(3)
        _ = try #require(cluster.awaitLeader())
        cluster.run(milliseconds: 1000)
        for rig in cluster.rigs.compactMap({ $0 }) {
            #expect(rig.replica.members.count == 3)
            for (place, row) in rig.replica.members.enumerated() {
                #expect(row.clientURLs == ["http://127.0.0.1:\(3380 + place)"])
            }
        }
    }

    @Test("K2, K6: a learner gets everything and has no vote, until it is promoted")
    func learner() throws {
        let cluster = try Self.settled()
        let leader = try #require(cluster.leader)
        guard case .answer? = cluster.ask(leader, .put("before", "1")) else {
            Issue.record("no answer")
            return
        }
        let (place, id) = try Self.add(cluster, isLearner: true)
        #expect(cluster[place].status.isLearner)
        #expect(try cluster[place].content().keys["before"] != nil)
        #expect(Self.voters(cluster[place]) == 3)
        let outcome = cluster.ask((leader + 1) % 3, .memberPromote(MemberPromoteRequest(id: id)))
        guard case .answer? = outcome else {
            Issue.record("the promotion failed: \(String(describing: outcome))")
            return
        }
        cluster.run(milliseconds: 300)
        #expect(!cluster[place].status.isLearner)
        for rig in cluster.rigs.compactMap({ $0 }) { #expect(Self.voters(rig) == 4) }
    }

    @Test("K5: a removed member is told, and the others go on without it")
    func removal() throws {
        let cluster = try Self.settled()
        let leader = try #require(cluster.leader)
        let gone = (leader + 1) % 3
        let request = MemberRemoveRequest(id: ClusterWorld.id(gone))
        guard case .answer? = cluster.ask(leader, .memberRemove(request)) else {
            Issue.record("the removal failed")
            return
        }
        cluster.run(milliseconds: 500)
        #expect(cluster[gone].output.reports.contains(.removed))
        #expect(Self.voters(cluster[leader]) == 2)
        guard case .answer? = cluster.ask(leader, .put("after", "1")) else {
            Issue.record("no answer")
            return
        }
    }

    @Test("K5: a leader that is removed leaves the lead to another")
    func removalOfTheLeader() throws {
        let cluster = try Self.settled()
        let leader = try #require(cluster.leader)
        let request = MemberRemoveRequest(id: ClusterWorld.id(leader))
        guard case .answer? = cluster.ask((leader + 1) % 3, .memberRemove(request)) else {
            Issue.record("the removal failed")
            return
        }
        let next = try #require(cluster.awaitLeader(not: leader))
        #expect(Self.voters(cluster[next]) == 2)
        #expect(cluster[leader].output.reports.contains(.removed))
        guard case .answer? = cluster.ask(next, .put("after", "1")) else {
            Issue.record("no answer")
            return
        }
    }

    @Test("K4: a sole member goes on alone until the new one has caught up, and then asks it")
    func growing() throws {
        let cluster = try ClusterWorld(1)
        _ = try #require(cluster.awaitLeader())
        #expect(cluster[0].status.readsLocally)
        let (place, _) = try Self.add(cluster, isLearner: false)
        cluster.run(milliseconds: 1000)
        #expect(!cluster[0].status.readsLocally)
        #expect(Self.voters(cluster[place]) == 2)
        guard case .answer? = cluster.ask(place, .put("two", "1")) else {
            Issue.record("no answer")
            return
        }
        cluster.isolate(place)
        #expect(cluster.ask(0, .put("alone", "1"), within: 500) == nil)
    }

    @Test("rejoin: a member that lost its disk comes back under a fresh id and votes again")
    func replacement() throws {
        let cluster = try Self.settled()
        let leader = try #require(cluster.leader)
        let lost = (leader + 1) % 3
        _ = cluster.ask(leader, .put("kept", "1"))
        cluster.kill(lost)
        cluster.run(milliseconds: 4000)
        let request = MemberReplaceRequest(oldID: ClusterWorld.id(lost), name: "m\(lost)")
        guard case .answer(let bytes)? = cluster.ask(leader, .memberReplace(request, nonce: 3))
        else {
            Issue.record("the replacement failed: \(cluster[leader].output.outcomes)")
            return
        }
        let added = try MemberAddResponse(decoding: bytes).added
        let place = try cluster.join(id: added.id)
        cluster.run(milliseconds: 4000)
        #expect(Self.voters(cluster[leader]) == 3)
        #expect(!cluster[place].status.isLearner)
        #expect(try cluster[place].content().keys["kept"] != nil)
    }

    @Test("damage: a page that can't be applied is asked for, and nothing more is applied")
    func damage() throws {
        let cluster = try Self.settled()
        let leader = try #require(cluster.leader)
        let sick = (leader + 1) % 3
        for number in 0..<50 { _ = cluster.ask(leader, .put("k\(number)", "value")) }
        while try !cluster[sick].checkpointStep(pages: 64) { cluster.settle() }
        cluster.kill(sick)
        let pages = cluster.disk(of: sick).contents("data/db").count / 4096
        for page in 1..<pages { cluster.disk(of: sick).flipBit("data/db", offset: page * 4096 + 9) }
        try cluster.start(sick, founders: 3)
        cluster.run(milliseconds: 500)
        for number in 0..<50 { _ = cluster.ask(leader, .put("k\(number)", "new")) }
        cluster.run(milliseconds: 1500)
        let rig = cluster[sick]
        guard case .pages(let found)? = rig.replica.damage else {
            Issue.record("\(String(describing: rig.replica.damage)), \(rig.output.reports)")
            return
        }
        #expect(!found.isEmpty)
        // An alarm of this member alone: CORRUPT would end the writes of all.
        #expect(rig.status.isDamaged && rig.status.alarmKinds == 0)
        #expect(!cluster[leader].status.isDamaged)
        #expect(rig.output.repairs.contains(.pages(found)))
        #expect(rig.replica.failure == nil)
        // The others are not held up.
        guard case .answer? = cluster.ask(leader, .put("on", "1")) else {
            Issue.record("no answer")
            return
        }
    }

    /// Of scenario corruption, seed 8000056: each second attempt came too soon after the last to be begun, and so the
    /// third member was never asked; leadership went to and fro between the two that were damaged.
    @Test("damage: all are asked by turns, and leadership comes to one that is whole")
    func damageOfTwo() throws {
        let cluster = try Self.settled()
        let error = StorageError.corruptPage(page: 3, reason: "test")
        for place in 0..<2 {
            cluster[place].output.refusesRepairs = true
            cluster[place].replica.found(.pages([3]), because: error)
        }
        cluster.run(milliseconds: 20_000)
        #expect(cluster.leader == 2)
        let rig = cluster[0]
        let handedOver = rig.output.reports.count {
            if case .handingOver = $0 { true } else { false }
        }
        #expect(handedOver <= 2)
        // What was not begun is no attempt.
        #expect(rig.replica.repairAttempts == 0)
        rig.output.refusesRepairs = false
        cluster.run(milliseconds: 5000)
        #expect(rig.output.repairSources.starts(with: [2, 1, 2, 1].map(ClusterWorld.id)))
    }

    @Test("damage: a sole member has nobody to ask, and raises CORRUPT")
    func damageAlone() throws {
        let rig = try ReplicaRig.started()
        let error = StorageError.corruptPage(page: 3, reason: "test")
        rig.replica.found(.pages([3]), because: error)
        rig.settle(after: 100)
        #expect(rig.output.reports.contains(.damaged(error)))
        #expect(rig.status.isDamaged)
        #expect(rig.ask(.put("k", "v")) == .failure(EtcdError.corrupt.status))
    }

    @Test("damage: a follower that can't read events from its history goes on, and is mended")
    func damageOfHistory() throws {
        let cluster = try Self.settled()
        let leader = try #require(cluster.leader)
        let sick = (leader + 1) % 3
        let value = String(repeating: "v", count: 1000)
        for number in 0..<40 { _ = cluster.ask(leader, .put("k\(number)", value)) }
        while try !cluster[sick].checkpointStep(pages: 64) { cluster.settle() }
        let pages = cluster.disk(of: sick).contents("data/db").count / 4096
        var found = 0
        for page in 1..<pages {
            cluster.kill(sick, .everything)
            cluster.disk(of: sick).flipBit("data/db", offset: page * 4096 + 9)
            try cluster.start(sick, founders: 3)
            cluster[sick].send(.subscribe(true))
            cluster.run(milliseconds: 500)
            _ = cluster.ask(leader, .put("after", "\(page)"))
            cluster.run(milliseconds: 500)
            #expect(cluster[sick].replica.failure == nil, "page \(page + 1)")
            if let damage = cluster[sick].replica.damage {
                found += 1
                #expect(damage == .pages([UInt32(page) + 1]))
            }
            cluster.disk(of: sick).flipBit("data/db", offset: page * 4096 + 9)
        }
        #expect(found > 0)
    }

    @Test("damage: whoever meets a bad page, also who sends it to another member, has it mended")
    func damageMetBySender() throws {
        let cluster = try Self.settled()
        let leader = try #require(cluster.leader)
        let sick = (leader + 1) % 3
        for number in 0..<40 {
            _ = cluster.ask(leader, .put("k\(number)", String(repeating: "v", count: 1000)))
        }
        while try !cluster[sick].checkpointStep(pages: 64) { cluster.settle() }
        cluster.kill(sick, .everything)
        let page = UInt32(cluster.disk(of: sick).contents("data/db").count / 4096 - 2)
        cluster.disk(of: sick).flipBit("data/db", offset: Int(page - 1) * 4096 + 9)
        try cluster.start(sick, founders: 3)
        cluster.run(milliseconds: 500)
        #expect(cluster[sick].replica.damage == nil)
        let source = try cluster[sick].pages.openSnapshotSource(for: .nothing)
        #expect(throws: StorageError.self) { while try source.next(bytesMax: 1 << 20) != nil {} }
        cluster.run(milliseconds: 500)
        #expect(cluster[sick].replica.damage == .pages([page]))
        #expect(cluster[sick].output.repairs.contains(.pages([page])))
    }

    /// Of scenario corruption, seed 4007488: SQLite takes a free page without reading it, so nobody noted that its
    /// old bytes were bad, and each batch that took it failed until a scrub came by.
    @Test("damage: a free page that is bad is told of by the first batch that takes it")
    func damageOfFreePage() throws {
        let rig = try ReplicaRig.started()
        let value = String(repeating: "v", count: 3000)
        for number in 0..<20 { _ = rig.ask(.put("k\(number)", value)) }
        for number in 0..<20 {
            let key = Bytes(Array("k\(number)".utf8))
            _ = rig.ask(.deleteRange(DeleteRangeRequest(key: key)))
        }
        let revision = try rig.content().revision
        _ = rig.ask(.compact(CompactionRequest(revision: revision)))
        for _ in 0..<20 { rig.settle(after: 10) }
        while try !rig.checkpointStep(pages: 64) { rig.settle() }
        #expect(rig.pages.statistics().freePages > 10)
        var takenUnread = 0
        for page in 2...rig.pages.committedState.pageCount {
            let disk = rig.disk.afterCrash(.everything)
            disk.flipBit("data/db", offset: Int(page - 1) * 4096 + 9)
            let again = try ReplicaRig(disk: disk, seed: 8)
            again.start()
            again.settle()
            guard again.replica.damage == nil else { continue }
            let outcome = again.ask(.put("new", String(repeating: "n", count: 20_000)))
            guard outcome == .failure(EtcdError.corrupt.status) else { continue }
            let error = StorageError.corruptPage(
                page: page, reason: "the file's bytes do not match their checksum")
            #expect(again.replica.damage == .pages([page]))
            #expect(again.output.reports.contains(.damaged(error)))
            if again.output.reports.contains(.requestFailed(error)) { takenUnread += 1 }
        }
        #expect(takenUnread > 0)
    }
}
