// ClusterFaultTests.swift: what a restart, a stale leader, a cut log or hostile bytes must not bring about.
// Belongs here: regressions between members, each with its story. Never here: the usual course
// (ClusterTests.swift).
// Source: design section 6; etcd semantics G12, K9, L12; Raft's contract, "Bounds".

import Raft
import Storage
import Testing
import TestSupport
import Transport

@testable import Server

@Suite struct ClusterFaultTests {
    private func cluster(
        _ adjust: @escaping (inout ReplicaSettings) -> Void = { _ in }
    ) throws -> (ClusterWorld, leader: Int) {
        let cluster = try ClusterWorld(3, adjust)
        _ = try #require(cluster.awaitLeader())
        cluster.run(milliseconds: 300)
        return (cluster, try #require(cluster.leader))
    }

    private static func request(_ key: String) -> ReplicaRequest {
        ReplicaRequest(origin: .replica, body: .put(key, "1"), byteCount: 8)
    }

    // A member that restarted counted its requests from 1 again. The leader's late answer to a request of
    // before then acknowledged another one, which had not been carried out.
    @Test("forwarding: an answer to what was asked before a restart meets no request of now")
    func sequences() {
        var before = ForwardTable(seed: 1)
        var after = ForwardTable(seed: 2)
        let old = before.add(Self.request("a"), leader: 1).sequence
        let new = after.add(Self.request("b"), leader: 1).sequence
        #expect(old != new)
        #expect(after.take(old) == nil)
        #expect(after.take(new) != nil)
        #expect(ForwardTable(seed: .max).count == 0)
    }

    // A leader answered renewals from memory as long as it took itself for the leader. Who was cut off with it
    // believed in a lease that the next leader revoked.
    @Test("L12: a leader that is cut off does not say that a lease was renewed")
    func staleRenewal() throws {
        let (cluster, leader) = try cluster()
        let grant = ReplicaRequest.Body.leaseGrant(LeaseGrantRequest(ttl: 60, id: 5))
        guard case .answer? = cluster.ask(leader, grant) else {
            Issue.record("no lease")
            return
        }
        let renewal = ReplicaRequest.Body.leaseKeepAlive(LeaseKeepAliveRequest(id: 5))
        guard case .answer? = cluster.ask(leader, renewal) else {
            Issue.record("a leader that is heard did not renew the lease")
            return
        }
        cluster.isolate(leader)
        let ticket = cluster[leader].send(renewal)
        cluster.settle()
        #expect(cluster[leader].output.outcome(of: ticket) == nil)
        _ = try #require(cluster.awaitLeader(not: leader))
        cluster.run(milliseconds: 3000)
        #expect(
            cluster[leader].output.outcome(of: ticket)
                == .failure(EtcdError.leaderChanged.status))
    }

    // A follower's request proved that the leader led when it was sent. The leader stood still, another was elected
    // and revoked the lease, and then the answer came.
    @Test("L12: the answer of a leader that another has followed since does not renew a lease")
    func lateRenewal() throws {
        let (cluster, leader) = try cluster()
        let grant = ReplicaRequest.Body.leaseGrant(LeaseGrantRequest(ttl: 60, id: 5))
        #expect(cluster.ask(leader, grant) != nil)
        let place = (leader + 1) % 3
        let follower = cluster[place]
        let renewal = ReplicaRequest.Body.leaseKeepAlive(LeaseKeepAliveRequest(id: 5))
        let ticket = follower.send(renewal)
        follower.turn(at: cluster.now)
        for case (_, .requests(let bytes)) in follower.output.takeTraffic() {
            for fields in try WireList<ForwardedRequestFields>(decoding: bytes).elements {
                cluster[leader].take(try fields.request(from: ClusterWorld.id(place)))
            }
        }
        cluster[leader].turn(at: cluster.now)
        var late: [ForwardedAnswer] = []
        for case (_, .answers(let bytes)) in cluster[leader].output.takeTraffic() {
            late += try WireList<ForwardedAnswerFields>(decoding: bytes).elements.compactMap(
                \.answer)
        }
        #expect(late.count == 1, "the leader answers at once: the request proves that it leads")
        cluster.isolate(leader)
        _ = try #require(cluster.awaitLeader(not: leader))
        #expect(follower.output.outcome(of: ticket) == nil)
        late.forEach(follower.replica.answered)
        follower.turn(at: cluster.now)
        #expect(
            follower.output.outcome(of: ticket) == .failure(EtcdError.leaderChanged.status))
    }

    // The leader's log had been cut on disk, by another thread, before its core was told. Asked for entries that
    // were gone it asked the core again, which asked it again, until the stack was used up.
    @Test("lag: entries that were just cut off the log are asked for once, then a snapshot is")
    func cutLog() throws {
        let (cluster, leader) = try cluster()
        let behind = (leader + 1) % 3
        cluster.kill(behind)
        // More than the first segment of the log, of what can't be compressed.
        var generator = LeaseIDGenerator(seed: 1)
        for number in 0..<24 {
            let value = (0..<1024).map { _ in "\(generator.next())" }.joined()
            _ = cluster.ask(leader, .put("k\(number)", value))
        }
        // A member that starts anew holds no applied entries in memory.
        for place in 0..<3 where place != behind { cluster.kill(place) }
        for place in 0..<3 where place != behind { try cluster.start(place, founders: 3) }
        let next = try #require(cluster.awaitLeader())
        cluster.run(milliseconds: 300)
        let first = cluster[next].log.firstIndex
        while try !cluster[next].checkpointStep(pages: 1024) { cluster.settle() }
        #expect(cluster[next].log.firstIndex > first)
        try cluster.start(behind, founders: 3)
        cluster.run(milliseconds: 1000)
        #expect(cluster.snapshotFetches.contains { $0.member == behind })
        #expect(cluster[next].replica.failure == nil)
    }

    // Once its name had waited too long for the way to the leader a member never published it again, and a new
    // one never became a voter.
    @Test("K9: a member whose way to the leader was cut publishes itself once it is not")
    func latePublishing() throws {
        let cluster = try ClusterWorld(3)
        let leader = try #require(cluster.awaitLeader())
        cluster.run(milliseconds: 1000)
        let late = (leader + 1) % 3
        cluster.kill(late)
        // When it starts with another URL, and hears the leader but can't speak to it
        cluster.advertise(late, "http://127.0.0.1:9999")
        try cluster.start(late, founders: 3)
        cluster.refusesRequests = true
        cluster.run(milliseconds: 9000)
        cluster.refusesRequests = false
        cluster.run(milliseconds: 1000)
        // Then it is known under the new one
        let row = cluster[leader].replica.members.first { $0.id == ClusterWorld.id(late) }
        #expect(row?.clientURLs == ["http://127.0.0.1:9999"])
    }

    // More than 20 MiB of requests or answers in one turn ended the process: no frame takes so much.
    @Test("G12: what a turn forwards is cut into frames; an answer may be larger than any")
    func frames() throws {
        let large = [UInt8](repeating: 7, count: 1 << 20)
        let requests = (1...30).map { number in
            ForwardedRequestFields(
                sequence: number, kind: ForwardedRequestFields.Kind.put.rawValue,
                message: Bytes(large))
        }
        let frames = ForwardFrames.frames(of: requests)
        #expect(frames.flatMap(\.sequences) == Array(1...30))
        #expect(frames.allSatisfy { $0.frame.payload.count < PeerLimits().frameBytesMax.forward })

        let huge = [UInt8](repeating: 9, count: 50 << 20)
        let answers = [huge, [1], large, [2]].enumerated().map { number, bytes in
            ForwardedAnswer(sequence: UInt64(number), index: 1, content: .message(bytes))
        }
        let parts = AnswerParts()
        var found: [ForwardedAnswerFields] = []
        for frame in ForwardFrames.frames(of: answers) {
            #expect(frame.payload.count < PeerLimits().frameBytesMax.forward)
            guard frame.kind == PeerFrame.answers.rawValue else {
                try parts.add(frame.payload)
                continue
            }
            found += try WireList<ForwardedAnswerFields>(
                decoding: parts.join(frame.payload)
            ).elements
        }
        #expect(found == answers.map(ForwardedAnswerFields.init))
        #expect(throws: WireError.tooManyItems) {
            for _ in 0...64 { try AnswerParts.full(parts, with: large) }
        }
    }

    @Test("codec: numbers from which nobody can count on are no message")
    func hostileNumbers() throws {
        for kind in 1...13 as ClosedRange<UInt64> {
            var fields = RaftMessageFields()
            (fields.kind, fields.from, fields.to) = (kind, 1, 2)
            #expect(fields.message != nil)
            for path in [
                \RaftMessageFields.term, \.index, \.indexTerm, \.commit,
            ] as [WritableKeyPath<RaftMessageFields, UInt64>] {
                var hostile = fields
                hostile[keyPath: path] = .max
                #expect(hostile.message == nil)
            }
        }
        var rejection = RaftMessageFields()
        rejection.kind = RaftMessageFields.Kind.appendRejected.rawValue
        rejection.number = .max
        #expect(rejection.message == nil)
        var append = RaftMessageFields()
        append.kind = RaftMessageFields.Kind.append.rawValue
        append.entries = [RaftMessageFields.EntryFields(term: .max, kind: 0, payload: Bytes())]
        #expect(append.message == nil)
    }
}

extension AnswerParts {
    /// Adds a part many times over.
    fileprivate static func full(_ parts: AnswerParts, with part: [UInt8]) throws {
        for _ in 0..<8 { try parts.add(part) }
    }
}
