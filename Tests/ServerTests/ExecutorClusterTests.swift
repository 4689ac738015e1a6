// ExecutorClusterTests.swift: what each membership request checks, writes and answers.
// Belongs here: one rule a test, on a plain database in memory. Never here: the counts alone
// (ReconfigurationRulesTests), URLs (FrontClusterTests), commits (Replica's tests).
// Source: etcd semantics K1-K7, K9, G2, G4, G17, G18.

import Storage
import Testing

@testable import Server

/// An executor on a database with members; the leader is `ReplicaRig.identity`.
final class ClusterRig {
    let rig: ExecutorRig
    var view = ClusterView()
    static let own = ReplicaRig.identity.memberID

    /// The leader, and others with the roles given: ids 1, 2, … and all of them started.
    init(others: [MemberRow.Role], settings: ExecutorSettings = ExecutorSettings()) throws {
        var rows = [Self.row(Self.own)]
        for (place, role) in others.enumerated() { rows.append(Self.row(UInt64(place + 1), role)) }
        rig = try ExecutorRig(settings: settings, members: rows)
        view.lastIndex = 1000
        view.peers = rows.dropFirst().map {
            ClusterView.Peer(id: $0.id, contact: .steady, match: 1000)
        }
        rig.executor.clusterView = { [unowned self] in view }
    }

    static func row(_ id: UInt64, _ role: MemberRow.Role = .voter) -> MemberRow {
        MemberRow(
            id: id, name: "n\(id)", peerURLs: ["http://n\(id):1"], clientURLs: ["http://n\(id):2"],
            role: role)
    }

    /// What is stored now.
    var members: [MemberRow] {
        get throws { try MemberTable(connection: rig.connection).all() }
    }

    /// Runs a request that has to change the members; its answer.
    func change(_ body: ReplicaRequest.Body) throws -> [UInt8] {
        guard case .memberChange(let bytes) = try rig.executor.execute(body) else {
            preconditionFailure("the test expected a change of members by \(body)")
        }
        return bytes
    }

    func add(_ urls: [String], isLearner: Bool = false, nonce: UInt64 = 1) throws
        -> MemberAddResponse
    {
        try MemberAddResponse(
            decoding: change(
                .memberAdd(MemberAddRequest(peerURLs: urls, isLearner: isLearner), nonce: nonce)))
    }

    /// The refusal of a request, which must then have written nothing.
    func refusal(_ body: ReplicaRequest.Body) throws -> EtcdError? {
        let before = try members
        let failure = rig.refusal(body)
        #expect(try members == before)
        #expect(rig.executor.members == before)
        guard case .refused(let error) = failure else { return nil }
        return error
    }

    func lose(_ id: UInt64, _ contact: ClusterView.Contact = .none) {
        for place in view.peers.indices where view.peers[place].id == id {
            view.peers[place].contact = contact
        }
    }
}

@Suite struct ExecutorClusterTests {
    private static func add(_ url: String, isLearner: Bool = false) -> ReplicaRequest.Body {
        .memberAdd(MemberAddRequest(peerURLs: [url], isLearner: isLearner), nonce: 1)
    }

    private static func remove(_ id: UInt64) -> ReplicaRequest.Body {
        .memberRemove(MemberRemoveRequest(id: id))
    }

    private static func promote(_ id: UInt64) -> ReplicaRequest.Body {
        .memberPromote(MemberPromoteRequest(id: id))
    }

    private static func replace(_ id: UInt64) -> ReplicaRequest.Body {
        .memberReplace(MemberReplaceRequest(oldID: id, name: "back"), nonce: 5)
    }

    // MARK: adding

    @Test("K2: the answer has the new member and the whole list; header and revision stay (G2, G4)")
    func add() throws {
        let cluster = try ClusterRig(others: [.voter, .voter])
        let answer = try cluster.add(["http://x:1", "http://y:1"])
        #expect(
            answer.header
                == ResponseHeader(clusterID: 0xc1, memberID: 0xa1, revision: 0, raftTerm: 3))
        #expect(answer.added.peerURLs == ["http://x:1", "http://y:1"])
        #expect(answer.added.name.isEmpty && answer.added.clientURLs.isEmpty)
        #expect(!answer.added.isLearner)
        #expect(answer.members.count == 4 && answer.members.contains(answer.added))
        #expect(answer.members.map(\.id) == answer.members.map(\.id).sorted())
        #expect(try cluster.members.map(\.id) == answer.members.map(\.id))
        #expect(cluster.rig.executor.members == (try cluster.members))
        #expect(cluster.rig.executor.keys.revision == 1 && !cluster.rig.executor.hasChangedKeys)
    }

    @Test("K2: a learner is added as one, and one more is too many; --max-learners raises that")
    func learners() throws {
        let cluster = try ClusterRig(others: [.voter, .voter])
        #expect(try cluster.add(["http://x:1"], isLearner: true).added.isLearner)
        let second = Self.add("http://y:1", isLearner: true)
        #expect(try cluster.refusal(second) == .tooManyLearners)
        var settings = ExecutorSettings()
        settings.maxLearners = 2
        let roomy = try ClusterRig(others: [.voter, .voter, .learner], settings: settings)
        #expect(try roomy.add(["http://y:1"], isLearner: true).members.count == 5)
        settings.maxLearners = 0
        let none = try ClusterRig(others: [], settings: settings)
        #expect(try none.refusal(second) == .tooManyLearners)
    }

    @Test("K2: a peer URL that another member uses is refused, also one of several")
    func usedURL() throws {
        let cluster = try ClusterRig(others: [.voter, .voter])
        let request = MemberAddRequest(peerURLs: ["http://x:1", "http://n2:1"])
        #expect(try cluster.refusal(.memberAdd(request, nonce: 1)) == .peerURLExists)
    }

    @Test("G18: an id that is a member's, or was one's, is not given again")
    func usedID() throws {
        var settings = ExecutorSettings()
        settings.maxLearners = 9
        let cluster = try ClusterRig(others: [.voter, .voter], settings: settings)
        let first = try cluster.add(["http://x:1"], isLearner: true, nonce: 7).added
        _ = try cluster.change(
            .memberUpdate(MemberUpdateRequest(id: first.id, peerURLs: ["http://z:1"])))
        let again = ReplicaRequest.Body.memberAdd(
            MemberAddRequest(peerURLs: ["http://x:1"], isLearner: true), nonce: 7)
        #expect(try cluster.refusal(again) == .memberExists)
        _ = try cluster.change(Self.remove(first.id))
        #expect(try cluster.refusal(again) == .memberNotFound)
        #expect(try cluster.add(["http://x:1"], isLearner: true, nonce: 8).added.id != first.id)
    }

    @Test("K2: a cluster has at most as many members as a list of them can hold")
    func tooManyMembers() throws {
        let cluster = try ClusterRig(others: Array(repeating: .voter, count: 30))
        #expect(try cluster.add(["http://x:1"]).members.count == ClusterLimits.membersMax)
        #expect(try cluster.refusal(Self.add("http://y:1")) == .notCapable)
    }

    @Test("K3: a cluster that is cut off or not started is not changed, unless the check is off")
    func strictAdd() throws {
        let cluster = try ClusterRig(others: [.voter, .voter])
        cluster.lose(1)
        #expect(try cluster.refusal(Self.add("http://x:1")) == .unhealthy)
        #expect(try cluster.refusal(Self.add("http://x:1", isLearner: true)) == .unhealthy)
        cluster.lose(1, .recent)
        #expect(try cluster.refusal(Self.add("http://x:1")) == .unhealthy)
        var settings = ExecutorSettings()
        settings.strictReconfigCheck = false
        let loose = try ClusterRig(others: [.voter, .voter], settings: settings)
        loose.lose(1)
        loose.lose(2)
        #expect(try loose.add(["http://x:1"]).members.count == 4)
    }

    @Test("K4: a sole member may add a voter, but not a second one before the first has started")
    func firstPair() throws {
        let cluster = try ClusterRig(others: [])
        let answer = try cluster.add(["http://x:1"])
        #expect(answer.members.count == 2)
        // It has no vote before it has caught up: nothing stops meanwhile.
        #expect(try cluster.members.first { $0.id == answer.added.id }?.role == .joining)
        #expect(try cluster.refusal(Self.add("http://y:1")) == .notEnoughStartedMembers)
    }

    // MARK: removing

    @Test("K5: a removed member is gone from the list, its id noted, the rest is answered")
    func remove() throws {
        let cluster = try ClusterRig(others: [.voter, .voter])
        let answer = try BootstrapResponse(decoding: cluster.change(Self.remove(2)))
        #expect(answer.members.map(\.id) == [1, ClusterRig.own])
        let removed = try RemovedMemberTable(connection: cluster.rig.connection)
        #expect(try removed.contains(2))
        #expect(try !removed.contains(1))
        #expect(try cluster.refusal(Self.remove(2)) == .memberNotFound)
        #expect(try cluster.refusal(Self.remove(99)) == .memberNotFound)
    }

    @Test("K5: the last voter stays, whatever the check and the learners; the leader itself may go")
    func lastVoter() throws {
        var settings = ExecutorSettings()
        for strict in [true, false] {
            settings.strictReconfigCheck = strict
            let cluster = try ClusterRig(others: [.learner], settings: settings)
            #expect(
                try cluster.refusal(Self.remove(ClusterRig.own)) == .notEnoughStartedMembers)
            #expect(
                try BootstrapResponse(decoding: cluster.change(Self.remove(1))).members.count == 1)
        }
        let three = try ClusterRig(others: [.voter, .voter])
        #expect(
            try BootstrapResponse(decoding: three.change(Self.remove(ClusterRig.own)))
                .members.map(\.id) == [1, 2])
    }

    @Test("K3: of three with one down, the one that is down may be removed and no other")
    func strictRemove() throws {
        let cluster = try ClusterRig(others: [.voter, .voter])
        cluster.lose(2)
        #expect(try cluster.refusal(Self.remove(1)) == .unhealthy)
        #expect(try cluster.refusal(Self.remove(ClusterRig.own)) == .unhealthy)
        #expect(try BootstrapResponse(decoding: cluster.change(Self.remove(2))).members.count == 2)
    }

    // MARK: updating and publishing

    @Test("K7: an update changes peer URLs only; another's URL is refused, one's own is not")
    func update() throws {
        let cluster = try ClusterRig(others: [.voter, .learner])
        func update(_ id: UInt64, _ urls: [String]) -> ReplicaRequest.Body {
            .memberUpdate(MemberUpdateRequest(id: id, peerURLs: urls))
        }
        #expect(try cluster.refusal(update(2, ["http://n1:1"])) == .peerURLExists)
        #expect(try cluster.refusal(update(77, ["http://x:1"])) == .memberNotFound)
        let answer = try BootstrapResponse(
            decoding: cluster.change(update(2, ["http://n2:1", "http://n2:9"])))
        #expect(answer.members.first { $0.id == 2 }?.peerURLs == ["http://n2:1", "http://n2:9"])
        var wanted = ClusterRig.row(2, .learner)
        wanted.peerURLs = ["http://n2:1", "http://n2:9"]
        #expect(try cluster.members.first { $0.id == 2 } == wanted)
    }

    @Test("K9: name and client URLs are published once; saying the same again changes nothing")
    func publish() throws {
        let cluster = try ClusterRig(others: [])
        let added = try cluster.add(["http://x:1"]).added
        let request = ReplicaRequest.Body.publishMember(
            PublishMemberRequest(id: added.id, name: "x", clientURLs: ["http://x:2"]))
        #expect(try cluster.change(request).isEmpty)
        let row = try cluster.members.first { $0.id == added.id }
        #expect(row?.name == "x" && row?.clientURLs == ["http://x:2"])
        #expect(row?.peerURLs == ["http://x:1"])
        guard case .answer(let bytes) = try cluster.rig.executor.execute(request) else {
            Issue.record("the same was written again")
            return
        }
        #expect(bytes.isEmpty)
        let gone = ReplicaRequest.Body.publishMember(PublishMemberRequest(id: 9, name: "y"))
        #expect(try cluster.refusal(gone) == .memberNotFound)
    }

    // MARK: promoting

    @Test("K6: a learner that has 90 % of the log becomes a voter, one with less does not")
    func promote() throws {
        let cluster = try ClusterRig(others: [.voter, .learner])
        cluster.view.peers[1].match = 899
        #expect(try cluster.refusal(Self.promote(2)) == .learnerNotReady)
        cluster.view.peers[1].match = 900
        let answer = try BootstrapResponse(decoding: cluster.change(Self.promote(2)))
        #expect(answer.members.allSatisfy { !$0.isLearner })
        #expect(try cluster.refusal(Self.promote(2)) == .memberNotLearner)
        #expect(try cluster.refusal(Self.promote(1)) == .memberNotLearner)
        #expect(try cluster.refusal(Self.promote(50)) == .memberNotFound)
    }

    @Test("K6: a learner that was never heard of is not in sync")
    func unknownProgress() throws {
        let cluster = try ClusterRig(others: [.learner])
        cluster.view.peers = []
        #expect(try cluster.refusal(Self.promote(1)) == .learnerNotReady)
    }

    // MARK: replacing a member that lost its disk

    @Test("rejoin: the old id is removed for ever; a fresh one with its URLs begins as a learner")
    func replace() throws {
        let cluster = try ClusterRig(others: [.voter, .voter])
        cluster.lose(2)
        let answer = try MemberAddResponse(decoding: cluster.change(Self.replace(2)))
        #expect(answer.added.name == "back" && answer.added.peerURLs == ["http://n2:1"])
        #expect(answer.added.isLearner && answer.added.clientURLs.isEmpty)
        #expect(answer.added.id != 2 && answer.members.count == 3)
        #expect(try RemovedMemberTable(connection: cluster.rig.connection).contains(2))
        #expect(try cluster.members.first { $0.id == answer.added.id }?.role == .joining)
        // And it is promoted like any other learner, but not before it has published that it started
        cluster.view.peers.append(
            ClusterView.Peer(id: answer.added.id, contact: .steady, match: 1000))
        #expect(try cluster.refusal(Self.promote(answer.added.id)) == .learnerNotReady)
        _ = try cluster.change(
            .publishMember(
                PublishMemberRequest(id: answer.added.id, name: "back", clientURLs: ["c"])))
        _ = try cluster.change(Self.promote(answer.added.id))
        #expect(try cluster.members.allSatisfy { $0.role == .voter })
    }

    @Test("rejoin: a member that can be heard, the leader, and an unknown id are not replaced")
    func replaceRunning() throws {
        let cluster = try ClusterRig(others: [.voter, .voter])
        #expect(try cluster.refusal(Self.replace(2)) == .memberExists)
        cluster.lose(2, .recent)
        #expect(try cluster.refusal(Self.replace(2)) == .memberExists)
        #expect(try cluster.refusal(Self.replace(ClusterRig.own)) == .memberExists)
        #expect(try cluster.refusal(Self.replace(99)) == .memberNotFound)
    }

    @Test("rejoin: learners stay learners; the bound on learners does not hold up a voter's return")
    func replaceLearner() throws {
        let cluster = try ClusterRig(others: [.voter, .learner])
        cluster.lose(2)
        let answer = try MemberAddResponse(decoding: cluster.change(Self.replace(2)))
        #expect(try cluster.members.first { $0.id == answer.added.id }?.role == .learner)
        let full = try ClusterRig(others: [.voter, .voter, .learner])
        full.lose(1)
        let voter = try MemberAddResponse(decoding: full.change(Self.replace(1)))
        #expect(try full.members.first { $0.id == voter.added.id }?.role == .joining)
    }
}
