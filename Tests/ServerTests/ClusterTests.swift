// ClusterTests.swift: three members in one process: replication, forwarding, failover, reads.
// Belongs here: what holds between members. Never here: one member's requests (ReplicaTests.swift).
// Source: design sections 3 and 6; etcd semantics G4, G7, G8, M9.

import Raft
import Storage
import Testing
import TestSupport

@testable import Server

@Suite struct ClusterTests {
    private func cluster(_ count: Int = 3) throws -> ClusterWorld {
        let cluster = try ClusterWorld(count)
        _ = try #require(cluster.awaitLeader())
        cluster.run(milliseconds: 300)
        return cluster
    }

    private func expectEqual(_ cluster: ClusterWorld) throws {
        let hashes = cluster.rigs.compactMap { $0?.pages.committedState.databaseHash }
        #expect(Set(hashes).count == 1)
        for rig in cluster.rigs.compactMap({ $0 }) { #expect(try rig.integrity() == "ok") }
    }

    @Test("replication: a put on any member is answered there and is everywhere")
    func replication() throws {
        let cluster = try cluster()
        for place in 0..<3 {
            guard case .answer(let bytes)? = cluster.ask(place, .put("k\(place)", "v")) else {
                Issue.record("member \(place) did not answer")
                return
            }
            let header = try AnsweringMember(decoding: bytes)
            #expect(header.memberID == ClusterWorld.id(place))
        }
        cluster.run(milliseconds: 200)
        for place in 0..<3 {
            #expect(try cluster[place].content().keys.count == 3)
        }
        try expectEqual(cluster)
    }

    @Test("failover: a killed leader is replaced at once, and loses nothing acknowledged")
    func failover() throws {
        let cluster = try cluster()
        let leader = try #require(cluster.leader)
        let other = (leader + 1) % 3
        #expect(cluster.ask(other, .put("a", "1")) != nil)
        cluster.kill(leader)
        let before = cluster.now
        let next = try #require(cluster.awaitLeader(not: leader))
        #expect(cluster.now - before < 100)
        guard case .answer? = cluster.ask(next, .put("b", "2")) else {
            Issue.record("the new leader did not answer")
            return
        }
        try cluster.start(leader, founders: 3)
        cluster.run(milliseconds: 2000)
        for place in 0..<3 {
            #expect(try cluster[place].content().keys.keys.sorted() == ["a", "b"])
        }
        try expectEqual(cluster)
    }

    @Test("failover: requests that wait for a leader are carried out by the next one")
    func waitingRequests() throws {
        let cluster = try cluster()
        let leader = try #require(cluster.leader)
        let other = (leader + 1) % 3
        cluster.isolate(leader)
        cluster.run(milliseconds: 50)
        let ticket = cluster[other].send(.put("w", "1"))
        cluster.run(milliseconds: 4000)
        guard case .answer? = cluster[other].output.outcome(of: ticket) else {
            Issue.record("\(String(describing: cluster[other].output.outcome(of: ticket)))")
            return
        }
    }

    @Test("a leader that lost its quorum steps down; what it could not commit fails or is agreed")
    func orphans() throws {
        let cluster = try cluster()
        let leader = try #require(cluster.leader)
        cluster.isolate(leader)
        let ticket = cluster[leader].send(.put("lost", "1"))
        let next = try #require(cluster.awaitLeader(not: leader))
        #expect(cluster[leader].output.outcome(of: ticket) == nil)
        guard case .answer? = cluster.ask(next, .put("kept", "1")) else {
            Issue.record("no answer")
            return
        }
        cluster.isolate(leader, false)
        cluster.run(milliseconds: 1000)
        #expect(
            cluster[leader].output.outcome(of: ticket)
                == .failure(EtcdError.timeoutLeaderFailure.status))
        for place in 0..<3 { #expect(try cluster[place].content().keys.keys.sorted() == ["kept"]) }
        try expectEqual(cluster)
    }

    @Test("G7: a linearizable read on a follower waits until it has what was acknowledged")
    func reads() throws {
        let cluster = try cluster()
        let leader = try #require(cluster.leader)
        let follower = (leader + 1) % 3
        cluster.cuts.insert(ClusterWorld.Way(from: leader, to: follower))
        #expect(cluster.ask(leader, .put("r", "1")) != nil)
        let ticket = cluster[follower].send(.readIndex)
        cluster.run(milliseconds: 100)
        #expect(!cluster[follower].output.isReadable(ticket))
        cluster.cuts = []
        cluster.run(milliseconds: 1500)
        #expect(cluster[follower].output.isReadable(ticket))
        #expect(try cluster[follower].content().keys["r"] != nil)
    }

    @Test("watches: a follower delivers the events of each revision, in order")
    func followerEvents() throws {
        let cluster = try cluster()
        let leader = try #require(cluster.leader)
        let follower = (leader + 1) % 3
        cluster[follower].send(.subscribe(true))
        cluster.settle()
        for number in 0..<20 { _ = cluster.ask(number % 3, .put("e\(number % 5)", "\(number)")) }
        cluster.run(milliseconds: 200)
        var values: [String] = []
        for case (_, .events(let batch)) in cluster[follower].output.messages {
            values += batch.events.map { String(decoding: $0.value.array, as: UTF8.self) }
        }
        #expect(values == (0..<20).map(String.init))
    }

    @Test("M9: leadership moves to the member asked for, and nobody's write fails")
    func moveLeader() throws {
        let cluster = try cluster()
        let leader = try #require(cluster.leader)
        let target = (leader + 2) % 3
        let writes = (0..<3).map { place in (place, cluster[place].send(.put("m\(place)", "1"))) }
        let move = cluster[leader].send(.moveLeader(to: ClusterWorld.id(target)))
        cluster.run(milliseconds: 500)
        #expect(cluster[leader].output.outcome(of: move) == .answer([]))
        #expect(cluster.leader == target)
        for (place, ticket) in writes {
            guard case .answer? = cluster[place].output.outcome(of: ticket) else {
                Issue.record("member \(place): the write failed")
                continue
            }
        }
        #expect(
            cluster.ask(leader, .moveLeader(to: ClusterWorld.id(leader)))
                == .failure(EtcdError.notLeader.status))
        #expect(
            cluster.ask(target, .moveLeader(to: 77))
                == .failure(EtcdError.badLeaderTransferee.status))
    }

    @Test("restart of all members at once: every acknowledged write is there")
    func restartOfAll() throws {
        let cluster = try cluster()
        for number in 0..<10 {
            guard case .answer? = cluster.ask(number % 3, .put("k\(number)", "v")) else {
                Issue.record("no answer")
                return
            }
        }
        for place in 0..<3 { cluster.kill(place) }
        for place in 0..<3 { try cluster.start(place, founders: 3) }
        _ = try #require(cluster.awaitLeader())
        cluster.run(milliseconds: 500)
        for place in 0..<3 { #expect(try cluster[place].content().keys.count == 10) }
        try expectEqual(cluster)
    }
}

/// A response's header, whatever the response.
private struct AnsweringMember: WireDecodable {
    var memberID: UInt64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            guard field.number == 1 else {
                try reader.skip(field)
                continue
            }
            var header = ResponseHeader()
            try reader.message(field, into: &header)
            memberID = header.memberID
        }
    }
}
