// QuietReadTests.swift: reads of a leader that are confirmed by what other members send anyway; heartbeats
// that nobody answers. Source: thesis §6.4; that a question brings a round back is our own addition.
import Raft
import Testing

@Suite("quiet reads")
struct QuietReadTests {
    private func read(_ number: UInt64, at index: UInt64) -> ReadState {
        ReadState(context: ReadContext(number), index: LogIndex(index))
    }

    private func committedLeader(size: UInt64 = 3) -> TestNode {
        var test = TestNode.leader(size: size)
        for voter in 2...(size / 2 + 1) {
            test.receive(from: voter, term: 1, .appendAccepted(match: LogIndex(1)))
        }
        return test
    }

    private func answeredRound(_ effects: Effects) -> ReadRound? {
        for body in effects.bodies {
            if case .readIndexAnswer(_, _, let round) = body { return round }
        }
        return nil
    }

    private func heartbeats(_ effects: Effects) -> [ReadRound] {
        effects.bodies.compactMap { body in
            if case .heartbeat(_, let round) = body { round } else { nil }
        }
    }

    @Test("quiet read: only a question sent after the read came confirms it")
    func questionBringsRoundBack() throws {
        var test = committedLeader()
        #expect(test.step(.readIndex(ReadContext(1), mayWait: true)).bodies.isEmpty)
        #expect(test.node.quietRound > .zero)
        // Under way already when the read came: its sender may have elected another leader since.
        let early = test.receive(from: 3, term: 1, .readIndexRequest(context: ReadContext(7)))
        #expect(early.readStates.isEmpty)
        let round = try #require(answeredRound(early))
        #expect(round == test.node.quietRound)
        let late = test.receive(
            from: 3, term: 1, .readIndexRequest(context: ReadContext(8), heard: round))
        #expect(late.readStates == [read(1, at: 1)])
        #expect(test.node.quietRound == .zero)
        // Nothing waits any more: an answer names no round.
        let last = test.receive(
            from: 2, term: 1, .readIndexRequest(context: ReadContext(9), heard: .zero))
        #expect(answeredRound(last) == ReadRound.zero)
    }

    @Test("quiet read: a round of a read that came before does not confirm a later one")
    func earlierRoundIsNotEnough() throws {
        var test = committedLeader()
        test.step(.readIndex(ReadContext(1), mayWait: true))
        let first = test.node.quietRound
        test.step(.readIndex(ReadContext(2), mayWait: true))
        #expect(test.node.quietRound > first)
        let one = test.receive(
            from: 3, term: 1, .readIndexRequest(context: ReadContext(7), heard: first))
        #expect(one.readStates == [read(1, at: 1)])
        let second = test.node.quietRound
        let two = test.receive(
            from: 2, term: 1, .readIndexRequest(context: ReadContext(8), heard: second))
        #expect(two.readStates == [read(2, at: 1)])
    }

    @Test("quiet read: a member that speaks of a round that was not begun confirms none to come")
    func roundOfTheFuture() {
        var test = committedLeader()
        let far = ReadRound(1 << 40)
        test.receive(
            from: 3, term: 1, .readIndexRequest(context: ReadContext(7), heard: far))
        test.receive(from: 3, term: 1, .heartbeatAnswer(round: far))
        test.step(.readIndex(ReadContext(1), mayWait: true))
        let early = test.receive(
            from: 3, term: 1, .readIndexRequest(context: ReadContext(8), heard: .zero))
        #expect(early.readStates.isEmpty)
    }

    @Test("quiet read: a leader that becomes the only member confirms its reads itself")
    func alone() {
        var test = committedLeader(size: 2)
        test.step(.readIndex(ReadContext(1), mayWait: true))
        let change = test.step(.proposeMembership(Membership(voters: [MemberID(1)]), payload: []))
        let saved = test.saveAll()
        #expect((change.readStates + saved.readStates) == [read(1, at: 1)])
    }

    @Test("quiet read: the index is that of when the read came, and no older")
    func indexIsOfArrival() throws {
        var test = committedLeader()
        test.step(.propose([[1]]))
        test.saveAll()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        test.step(.readIndex(ReadContext(1), mayWait: true))
        let effects = test.receive(
            from: 3, term: 1,
            .readIndexRequest(context: ReadContext(7), heard: test.node.quietRound))
        #expect(effects.readStates == [read(1, at: 2)])
    }

    @Test("quiet read: five members need two others, a learner does not count")
    func quorumIsNeeded() {
        var test = committedLeader(size: 5)
        test.step(.readIndex(ReadContext(1), mayWait: true))
        let round = test.node.quietRound
        let one = test.receive(from: 2, term: 1, .heartbeatAnswer(round: round))
        #expect(one.readStates.isEmpty)
        let again = test.receive(from: 2, term: 1, .heartbeatAnswer(round: round))
        #expect(again.readStates.isEmpty)
        let two = test.receive(from: 5, term: 1, .heartbeatAnswer(round: round))
        #expect(two.readStates == [read(1, at: 1)])

        var other = TestNode.leader(
            membership: Membership(voters: [1, 2, 3].map(MemberID.init), learners: [MemberID(4)]))
        other.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        other.step(.readIndex(ReadContext(1), mayWait: true))
        let learner = other.receive(
            from: 4, term: 1, .heartbeatAnswer(round: other.node.quietRound))
        #expect(learner.readStates.isEmpty)
    }

    @Test("quiet read: heartbeats come when it takes too long, time passes, or another read asks")
    func heartbeatsCome() {
        var hurried = committedLeader()
        #expect(hurried.step(.hurryReads).bodies.isEmpty, "nothing waits")
        hurried.step(.readIndex(ReadContext(1), mayWait: true))
        let rounds = heartbeats(hurried.step(.hurryReads))
        #expect(rounds.count == 2)
        #expect(hurried.step(.hurryReads).bodies.isEmpty, "they are under way")
        let answered = hurried.receive(
            from: 2, term: 1, .heartbeatAnswer(round: rounds.first ?? .zero))
        #expect(answered.readStates == [read(1, at: 1)])

        var ticked = committedLeader()
        ticked.step(.readIndex(ReadContext(1), mayWait: true))
        #expect(heartbeats(ticked.step(.tick)).allSatisfy { $0 > .zero })

        var joined = committedLeader()
        joined.step(.readIndex(ReadContext(1), mayWait: true))
        let round = heartbeats(joined.step(.readIndex(ReadContext(2)))).first ?? .zero
        let both = joined.receive(from: 2, term: 1, .heartbeatAnswer(round: round))
        #expect(both.readStates == [read(1, at: 1), read(2, at: 1)])
    }

    @Test("quiet read: it waits for the first commit of the term; who steps down fails it")
    func otherEnds() {
        var early = TestNode.leader(logTerms: [1, 1])
        early.step(.readIndex(ReadContext(1), mayWait: true))
        let round = early.node.quietRound
        #expect(round == .zero)
        let committed = early.receive(from: 2, term: 2, .appendAccepted(match: LogIndex(3)))
        #expect(committed.readStates.isEmpty)
        #expect(!heartbeats(committed).isEmpty)

        var ended = committedLeader()
        ended.step(.readIndex(ReadContext(1), mayWait: true))
        let effects = ended.receive(from: 3, term: 2, .heartbeat(commit: .zero, round: .zero))
        #expect(effects.readsFailed == [ReadContext(1)])
        #expect(ended.node.quietRound == .zero)
    }

    @Test("quiet read: a follower brings back the newest round of this term's leader alone")
    func followerEchoes() {
        var test = TestNode(term: 1)
        test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        func question(_ number: UInt64) -> [Message.Body] {
            test.step(.readIndex(ReadContext(number))).bodies
        }
        #expect(question(1) == [.readIndexRequest(context: ReadContext(1))])
        test.receive(
            from: 2, term: 1,
            .readIndexAnswer(context: ReadContext(1), index: LogIndex.zero, round: ReadRound(5)))
        test.step(.heard(ReadRound(4), in: Term(1)))
        #expect(question(2) == [.readIndexRequest(context: ReadContext(2), heard: ReadRound(5))])
        test.step(.heard(ReadRound(9), in: Term(3)))
        #expect(question(3) == [.readIndexRequest(context: ReadContext(3), heard: ReadRound(5))])
        test.receive(from: 3, term: 2, .heartbeat(commit: .zero, round: .zero))
        #expect(question(4) == [.readIndexRequest(context: ReadContext(4))])
        #expect(test.node.heardRound == .zero)
        test.step(.heard(ReadRound(2), in: Term(2)))
        #expect(test.node.heardRound == ReadRound(2))
    }

    @Test("what a member sent confirms a leader if it was of this term, and the two are a quorum")
    func confirmation() {
        let test = committedLeader()
        #expect(test.node.isConfirmed(by: MemberID(2), sentIn: Term(1)))
        #expect(!test.node.isConfirmed(by: MemberID(2), sentIn: Term(2)))
        #expect(!test.node.isConfirmed(by: MemberID(9), sentIn: Term(1)))
        #expect(!committedLeader(size: 5).node.isConfirmed(by: MemberID(2), sentIn: Term(1)))
        let early = TestNode.leader(logTerms: [1, 1])
        #expect(!early.node.isConfirmed(by: MemberID(2), sentIn: Term(2)))
        #expect(!TestNode(term: 1).node.isConfirmed(by: MemberID(2), sentIn: Term(1)))
    }

    @Test("heartbeats: an idle leader wants each third answered, one with work each")
    func idleHeartbeats() {
        var test = committedLeader()
        test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(1)))
        var wanted: [Bool] = []
        for _ in 0..<9 {
            let rounds = heartbeats(test.step(.tick))
            #expect(rounds.count == 2)
            wanted.append(rounds.allSatisfy { $0 > .zero })
            test.receive(from: 2, term: 1, .heartbeatAnswer(round: rounds[0]))
        }
        #expect(wanted.filter { $0 }.count == 3)
        test.step(.propose([[1]]))
        for _ in 0..<4 { #expect(heartbeats(test.step(.tick)).allSatisfy { $0 > .zero }) }

        var follower = TestNode(term: 1)
        let silent = follower.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        #expect(silent.bodies.isEmpty)
        #expect(follower.node.leader == MemberID(2))
        let answered = follower.receive(
            from: 2, term: 1, .heartbeat(commit: .zero, round: ReadRound(3)))
        #expect(answered.bodies == [.heartbeatAnswer(round: ReadRound(3))])
    }
}
