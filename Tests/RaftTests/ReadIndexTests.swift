// ReadIndexTests.swift: linearizable reads without a log entry.
// Source: thesis §6.4, steps 1 to 4.
import Raft
import Testing

@Suite("read index")
struct ReadIndexTests {
    private func read(_ number: UInt64, at index: UInt64) -> ReadState {
        ReadState(context: ReadContext(number), index: LogIndex(index))
    }

    /// A leader of three that has committed its no-op.
    private func committedLeader() -> TestNode {
        var test = TestNode.leader()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        return test
    }

    private func round(of effects: Effects) -> ReadRound? {
        for body in effects.bodies {
            if case .heartbeat(_, let round) = body { return round }
        }
        return nil
    }

    @Test("§6.4 step 1: no read before the leader has committed an entry of its own term")
    func readsWaitForOwnTerm() {
        var test = TestNode.leader(logTerms: [1, 1])
        #expect(test.step(.readIndex(ReadContext(1))).sendNow.isEmpty)
        // Rounds that begin before then do not take the read along.
        test.step(.tick)
        let early = round(of: test.effects) ?? .zero
        test.receive(from: 2, term: 2, .heartbeatAnswer(round: early))
        #expect(test.effects.readStates.isEmpty)
        let committed = test.receive(from: 2, term: 2, .appendAccepted(match: LogIndex(3)))
        let round = round(of: committed) ?? .zero
        #expect(round > early)
        let effects = test.receive(from: 2, term: 2, .heartbeatAnswer(round: round))
        #expect(effects.readStates == [read(1, at: 3)])
    }

    @Test("§6.4 step 3: a read needs a quorum's answer to a round begun after it")
    func readNeedsNewRound() {
        var test = committedLeader()
        let first = round(of: test.step(.readIndex(ReadContext(1)))) ?? .zero
        #expect(test.step(.readIndex(ReadContext(2))).sendNow.isEmpty)
        let answered = test.receive(from: 2, term: 1, .heartbeatAnswer(round: first))
        #expect(answered.readStates == [read(1, at: 1)])
        let second = round(of: answered) ?? .zero
        #expect(second > first)
        #expect(
            test.receive(from: 3, term: 1, .heartbeatAnswer(round: first)).readStates.isEmpty)
        #expect(
            test.receive(from: 3, term: 1, .heartbeatAnswer(round: second)).readStates
                == [read(2, at: 1)])
    }

    @Test("§6.4: a thousand reads during a round share the next")
    func readsAreBatched() {
        var test = committedLeader()
        let first = round(of: test.step(.readIndex(ReadContext(0)))) ?? .zero
        for number in UInt64(1)...1_000 {
            #expect(test.step(.readIndex(ReadContext(number))).sendNow.isEmpty)
        }
        let next = test.receive(from: 2, term: 1, .heartbeatAnswer(round: first))
        let second = round(of: next) ?? .zero
        let effects = test.receive(from: 2, term: 1, .heartbeatAnswer(round: second))
        #expect(effects.readStates.count == 1_000)
    }

    @Test("§6.4: a lost round is made good by the next heartbeat, under a number of its own")
    func lostRoundIsRepeated() {
        var test = committedLeader()
        let first = round(of: test.step(.readIndex(ReadContext(1)))) ?? .zero
        let second = round(of: test.step(.tick)) ?? .zero
        #expect(second > first)
        let effects = test.receive(from: 3, term: 1, .heartbeatAnswer(round: second))
        #expect(effects.readStates == [read(1, at: 1)])
    }

    @Test("§6.4: a follower asks the leader, and gets an index or a refusal")
    func followerAsks() {
        var test = TestNode()
        #expect(test.step(.readIndex(ReadContext(1))).readsFailed == [ReadContext(1)])
        test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        let asked = test.step(.readIndex(ReadContext(2)))
        #expect(asked.bodies == [.readIndexRequest(context: ReadContext(2))])
        #expect(asked.sendNow.first?.to == MemberID(2))
        let answer = test.receive(
            from: 2, term: 1, .readIndexAnswer(context: ReadContext(2), index: LogIndex(9)))
        #expect(answer.readStates == [read(2, at: 9)])
        let refusal = test.receive(
            from: 2, term: 1, .readIndexAnswer(context: ReadContext(3), index: nil))
        #expect(refusal.readsFailed == [ReadContext(3)])
    }

    @Test("§6.4: the leader answers a follower once a quorum confirmed it; others refuse")
    func leaderAnswersFollower() {
        var test = TestNode.leader(size: 5)
        for voter in UInt64(2)...3 {
            test.receive(from: voter, term: 1, .appendAccepted(match: LogIndex(1)))
        }
        let asked = test.receive(from: 3, term: 1, .readIndexRequest(context: ReadContext(5)))
        let round = round(of: asked) ?? .zero
        #expect(round > .zero)
        let one = test.receive(from: 2, term: 1, .heartbeatAnswer(round: round))
        #expect(one.bodies.isEmpty)
        let effects = test.receive(from: 4, term: 1, .heartbeatAnswer(round: round))
        #expect(
            effects.bodies == [.readIndexAnswer(context: ReadContext(5), index: LogIndex(1))])

        var follower = TestNode(term: 1)
        let refused = follower.receive(
            from: 3, term: 1, .readIndexRequest(context: ReadContext(6)))
        #expect(refused.bodies == [.readIndexAnswer(context: ReadContext(6), index: nil)])
    }

    @Test("§6.4: a question of one who makes a quorum with the leader needs no round")
    func questionIsAcknowledgement() {
        var test = TestNode.leader(logTerms: [1, 1])
        let early = test.receive(from: 3, term: 2, .readIndexRequest(context: ReadContext(1)))
        #expect(early.bodies.isEmpty, "nothing of this term is committed")
        test.receive(from: 2, term: 2, .appendAccepted(match: LogIndex(3)))
        let asked = test.receive(from: 3, term: 2, .readIndexRequest(context: ReadContext(2)))
        #expect(asked.bodies == [.readIndexAnswer(context: ReadContext(2), index: LogIndex(3))])
        // What was sent in an earlier term proves nothing of this one.
        let old = test.receive(from: 3, term: 1, .readIndexRequest(context: ReadContext(3)))
        #expect(old.bodies.isEmpty)
        // A learner has no vote to acknowledge with.
        var other = TestNode.leader(
            membership: Membership(voters: [1, 2, 3].map(MemberID.init), learners: [MemberID(4)]))
        other.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        let learner = other.receive(from: 4, term: 1, .readIndexRequest(context: ReadContext(4)))
        #expect(round(of: learner) != nil)
    }

    @Test("§6.4: a leader that steps down fails all its reads, its own and others'")
    func steppingDownFailsReads() {
        var test = TestNode.leader(size: 5)
        for voter in UInt64(2)...3 {
            test.receive(from: voter, term: 1, .appendAccepted(match: LogIndex(1)))
        }
        test.step(.readIndex(ReadContext(1)))
        test.step(.readIndex(ReadContext(2)))
        test.receive(from: 3, term: 1, .readIndexRequest(context: ReadContext(3)))
        let effects = test.receive(from: 3, term: 2, .heartbeat(commit: .zero, round: .zero))
        #expect(effects.readsFailed == [ReadContext(1), ReadContext(2)])
        #expect(
            effects.bodies.contains(.readIndexAnswer(context: ReadContext(3), index: nil)))
    }

    @Test("sole voter: reads wait for the no-op only")
    func soleVoterReads() {
        var test = TestNode(size: 1)
        test.step(.tick)
        test.saveAll()
        #expect(test.step(.readIndex(ReadContext(1))).readStates.isEmpty)
        #expect(test.saveAll().readStates == [read(1, at: 1)])
        #expect(test.step(.readIndex(ReadContext(2))).readStates == [read(2, at: 1)])
    }

    @Test("bounds: reads beyond the limit fail at once")
    func pendingReadsAreBounded() {
        var test = TestNode.leader { $0.limits.pendingReadsMax = 2 }
        for number in UInt64(1)...2 {
            #expect(test.step(.readIndex(ReadContext(number))).readsFailed.isEmpty)
        }
        #expect(test.step(.readIndex(ReadContext(3))).readsFailed == [ReadContext(3)])
    }
}
