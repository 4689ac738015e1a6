// TransferTests.swift: handing leadership to another member, one test for each rule.
// Source: thesis §3.10.
import Raft
import Testing

@Suite("transfer")
struct TransferTests {
    private let target = MemberID(2)

    private func isAsked(_ effects: Effects) -> Bool {
        effects.sendNow.contains { $0.to == target && $0.body == .timeoutNow }
    }

    @Test("§3.10: a target that has everything is asked to stand in the same step")
    func upToDateTargetIsAsked() {
        var test = TestNode.committedLeader()
        let effects = test.step(.transferLeadership(to: target))
        #expect(isAsked(effects))
        #expect(effects.transfer == nil)
        #expect(test.node.transferTarget == target)
    }

    @Test("§3.10: a target that lags is brought up to date first, and nothing is added meanwhile")
    func laggingTargetCatchesUp() {
        var test = TestNode.committedLeader()
        test.step(.propose([[1]]))
        #expect(!isAsked(test.step(.transferLeadership(to: target))))
        let refused = test.step(.propose([[2]]))
        #expect(refused.proposal == .rejected(.transferUnderway(to: target)))
        #expect(refused.append.isEmpty)
        let change = test.step(.proposeMembership(.of([1, 2]), payload: []))
        #expect(change.proposal == .rejected(.transferUnderway(to: target)))
        test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(!isAsked(test.effects))
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(isAsked(test.effects))
    }

    @Test("§3.10: a lost request is repeated at the next heartbeat")
    func requestIsRepeated() {
        var test = TestNode.committedLeader()
        test.step(.transferLeadership(to: target))
        #expect(isAsked(test.step(.tick)))
        test.step(.transferLeadership(to: target))
        #expect(test.effects.transfer == nil, "asking again changes nothing")
    }

    @Test("§3.10: after an election timeout the leader takes proposals again")
    func transferIsAborted() {
        var test = TestNode.committedLeader()
        test.step(.transferLeadership(to: target))
        for tick in 1...10 {
            test.step(.tick)
            #expect(test.effects.transfer == (tick == 10 ? .aborted(to: target) : nil))
            test.receive(from: 3, term: 1, .heartbeatAnswer(round: .zero))
        }
        #expect(test.node.transferTarget == nil)
        #expect(test.step(.propose([[1]])).proposal == .accepted(first: .at(2, term: 1)))
        #expect(!isAsked(test.step(.tick)))
    }

    @Test("transfer: a target whose connection breaks is given up at once, another's is not")
    func disconnectAborts() {
        var test = TestNode.committedLeader()
        test.step(.transferLeadership(to: target))
        #expect(test.step(.peerDisconnected(MemberID(3))).transfer == nil)
        #expect(test.step(.peerDisconnected(target)).transfer == .aborted(to: target))
    }

    @Test("§3.10: the target stands at once, without a pre-vote, and says why")
    func targetStands() {
        var test = TestNode(logTerms: [1])
        test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        let effects = test.receive(from: 2, term: 1, .timeoutNow)
        #expect(test.node.role == .candidate)
        #expect(test.node.term == Term(2))
        #expect(
            effects.sendNow.map(\.body) == [
                .voteRequest(last: .at(1, term: 1), isTransfer: true),
                .voteRequest(last: .at(1, term: 1), isTransfer: true),
            ])
        // A later attempt of its own is as any other.
        test.saveAll()
        for _ in 0..<20 where test.node.role == .candidate { test.step(.tick) }
        #expect(test.node.role == .preCandidate)
    }

    @Test("§3.10, §4.2.3: its requests get votes although the leader lives, the leader's too")
    func requestsPassLiveLeader() {
        let request = Message.Body.voteRequest(last: .at(1, term: 1), isTransfer: true)
        var follower = TestNode(logTerms: [1])
        follower.receive(from: 3, term: 1, .heartbeat(commit: .zero, round: .zero))
        #expect(
            follower.receive(from: 2, term: 2, request).bodies == [.voteAnswer(granted: true)])
        var leader = TestNode.committedLeader()
        let effects = leader.receive(from: 2, term: 2, request)
        #expect(effects.leadership == .steppedDown(term: Term(2), leader: nil))
        #expect(effects.bodies == [.voteAnswer(granted: true)])
    }

    @Test("transfer: a request to stand that comes late does nothing")
    func lateRequestIsIgnored() {
        var test = TestNode(term: 5)
        test.receive(from: 2, term: 4, .timeoutNow)
        #expect(test.node.role == .follower)
        #expect(test.node.term == Term(5))
    }

    @Test("transfer: who can't take over is refused, with the reason")
    func unfitTargetsAreRefused() {
        let membership = Membership.of([1, 2], outgoing: [1, 2, 3], learners: [4])
        let cases: [(UInt64, TransferRefusal)] = [
            (1, .leadsAlready), (3, .notVoter), (4, .notVoter), (9, .notVoter),
        ]
        for (number, refusal) in cases {
            var test = TestNode.committedLeader(membership: membership)
            let effects = test.step(.transferLeadership(to: MemberID(number)))
            #expect(effects.transfer == .refused(refusal))
            #expect(test.node.transferTarget == nil)
        }
        var silent = TestNode.leader()
        #expect(
            silent.step(.transferLeadership(to: target)).transfer == .refused(.notActive))
        var busy = TestNode.committedLeader()
        busy.step(.transferLeadership(to: target))
        #expect(
            busy.step(.transferLeadership(to: MemberID(3))).transfer
                == .refused(.transferUnderway(to: target)))
        var follower = TestNode()
        #expect(
            follower.step(.transferLeadership(to: target)).transfer
                == .refused(.notLeader(leader: nil)))
    }

    @Test("transfer: a target heard from before the last check of the quorum is still active")
    func activityOutlivesCheck() {
        var test = TestNode.committedLeader()
        for _ in 0..<10 { test.step(.tick) }
        #expect(test.step(.transferLeadership(to: target)).transfer == nil)
    }

    @Test("§3.10, §6.4: reads asked for during a transfer are answered")
    func readsGoOn() {
        var test = TestNode.committedLeader()
        test.step(.propose([[1]]))
        test.step(.transferLeadership(to: target))
        test.step(.readIndex(ReadContext(1)))
        let effects = test.receive(from: 3, term: 1, .heartbeatAnswer(round: ReadRound(1)))
        #expect(effects.readStates.map(\.index) == [LogIndex(1)])
    }
}
