// ReconfigurationRulesTests.swift: the counts behind --strict-reconfig-check.
// Belongs here: tables of voters, started and connected. Never here: rows and answers
// (ExecutorClusterTests).
// Source: etcd semantics K3-K6, the rule of 3.5.30 for connections.

import Storage
import Testing

@testable import Server

@Suite struct ReconfigurationRulesTests {
    /// Voters 1 (the leader), 2, 3, …, of which the first ones have started and are connected.
    private func rules(voters: Int, started: Int, connected: Int) -> ReconfigurationRules {
        let members = (1...UInt64(voters)).map {
            MemberRow(
                id: $0, name: $0 <= started ? "n" : "", peerURLs: [], clientURLs: [],
                isLearner: false)
        }
        let peers = (1...UInt64(voters)).dropFirst().map {
            ClusterView.Peer(id: $0, contact: $0 <= connected ? .steady : .none, match: 0)
        }
        return ReconfigurationRules(
            members: members, view: ClusterView(peers: Array(peers), lastIndex: 0), ownID: 1)
    }

    private func outcome(_ check: () throws(EtcdError) -> Void) -> EtcdError? {
        do throws(EtcdError) {
            try check()
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "K3, K4: a voter is added while those present have the quorum that counts it",
        arguments: [
            (1, 1, 1, nil), (2, 1, 1, .notEnoughStartedMembers), (2, 2, 1, .unhealthy),
            (2, 2, 2, nil), (3, 3, 3, nil), (3, 3, 2, .unhealthy),
            (3, 2, 3, .notEnoughStartedMembers), (4, 3, 3, nil), (4, 4, 2, .unhealthy),
            (5, 4, 4, nil), (5, 5, 3, .unhealthy),
        ] as [(Int, Int, Int, EtcdError?)])
    func addingVoter(voters: Int, started: Int, connected: Int, expected: EtcdError?) {
        let rules = rules(voters: voters, started: started, connected: connected)
        let found = outcome { () throws(EtcdError) in try rules.checkAdding(isLearner: false) }
        #expect(found == expected)
    }

    @Test("K3: adding a learner skips the count of started members, not that of connections")
    func addingLearner() {
        let few = rules(voters: 2, started: 1, connected: 2)
        #expect(outcome { () throws(EtcdError) in try few.checkAdding(isLearner: true) } == nil)
        let cut = rules(voters: 3, started: 3, connected: 2)
        #expect(
            outcome { () throws(EtcdError) in try cut.checkAdding(isLearner: true) } == .unhealthy)
    }

    @Test(
        "K3, K5: a connected voter is removed while the others have their quorum without it",
        arguments: [
            (1, 1, 1, .notEnoughStartedMembers), (2, 2, 2, nil), (2, 2, 1, .unhealthy),
            (3, 3, 3, nil),
            (3, 3, 2, .unhealthy), (4, 4, 3, nil), (4, 4, 2, .unhealthy), (5, 5, 5, nil),
            (5, 5, 4, nil), (5, 5, 3, .unhealthy), (3, 1, 3, .notEnoughStartedMembers),
        ] as [(Int, Int, Int, EtcdError?)])
    func removing(voters: Int, started: Int, connected: Int, expected: EtcdError?) {
        // The leader itself is removed, who always hears itself
        let rules = rules(voters: voters, started: started, connected: connected)
        #expect(outcome { () throws(EtcdError) in try rules.checkRemoving(1) } == expected)
    }

    @Test("K3: a voter that can't be heard is removed as long as the others have started")
    func removingLost() {
        let two = rules(voters: 2, started: 2, connected: 1)
        #expect(outcome { () throws(EtcdError) in try two.checkRemoving(2) } == nil)
        let five = rules(voters: 5, started: 3, connected: 3)
        #expect(outcome { () throws(EtcdError) in try five.checkRemoving(5) } == nil)
        let unstarted = rules(voters: 5, started: 2, connected: 3)
        #expect(
            outcome { () throws(EtcdError) in try unstarted.checkRemoving(5) }
                == .notEnoughStartedMembers)
    }

    @Test("K6: promotion counts the learner as started, and needs a quorum of started voters")
    func promoting() {
        let rows: [(Int, Int, EtcdError?)] = [
            (1, 1, nil), (2, 1, nil), (3, 1, .notEnoughStartedMembers), (3, 2, nil),
            (4, 1, .notEnoughStartedMembers),
        ]
        for (voters, started, expected) in rows {
            let rules = rules(voters: voters, started: started, connected: 1)
            #expect(
                outcome { () throws(EtcdError) in try rules.checkPromoting() } == expected,
                "\(voters) voters, \(started) started")
        }
    }

    @Test("K3: a member nobody spoke of counts as not connected")
    func missingPeer() {
        var view = ClusterView(peers: [.init(id: 2, contact: .recent, match: 5)], lastIndex: 5)
        #expect(view.contact(with: 2) == .recent)
        #expect(view.contact(with: 3) == .none)
        #expect(view.isCaughtUp(2) && !view.isCaughtUp(3))
        view.lastIndex = 0
        #expect(view.isCaughtUp(2))
    }
}
