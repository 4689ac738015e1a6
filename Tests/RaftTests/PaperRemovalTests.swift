// PaperRemovalTests.swift: the rules on members that leave, and on those without a vote.
// Source: Raft paper §6; thesis §4.2.1 (learners), §4.2.2 (removing the leader), §4.2.3.
import Raft
import Testing

@Suite("removal and learners")
struct PaperRemovalTests {
    @Test("§4.2.2: a leader that is removed leads without its own vote until that is committed")
    func removedLeaderLeadsOn() {
        var test = TestNode.committedLeader()
        test.step(.proposeMembership(.of([2, 3]), payload: []))
        test.saveAll()
        #expect(test.step(.propose([[1]])).proposal == .accepted(first: .at(3, term: 1)))
        test.saveAll()
        // With its own disk this would be two of three.
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(3)))
        #expect(test.node.commit == LogIndex(1))
        #expect(test.node.role == .leader)
        let effects = test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(effects.committed == LogIndex(2)..<LogIndex(3))
        #expect(effects.leadership == .steppedDown(term: Term(1), leader: nil))
        for _ in 0..<100 { test.step(.tick) }
        #expect(test.node.role == .follower, "a removed member never stands again")
    }

    @Test("§4.2.2: before it steps down it tells of the commit, and asks the best voter to stand")
    func removedLeaderSaysGoodbye() {
        var test = TestNode.committedLeader()
        test.step(.proposeMembership(.of([2, 3]), payload: []))
        test.saveAll()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        let effects = test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(2)))
        let told = effects.sendNow.filter { message in
            guard case .append(_, _, let commit) = message.body else { return false }
            return commit == LogIndex(2)
        }
        #expect(told.map(\.to.rawValue) == [2, 3])
        #expect(effects.sendNow.last?.body == .timeoutNow)
        #expect(effects.sendNow.last?.to == MemberID(2))
    }

    @Test("§4.2.2: a removed member stands, without its vote, until its removal is committed")
    func removedMemberMayStand() {
        // Story: it was the leader, and has the longest log. Nobody else can win, since it refuses
        // shorter logs its vote, and of two voters both are needed.
        let removal = Entry(
            id: .at(1, term: 1), kind: .membership,
            payload: Membership.of([2]).payload(with: []))
        var test = TestNode(membership: .of([1, 2])) { $0.preVote = false }
        test.receive(
            from: 2, term: 1, .append(previous: .zero, entries: [removal], commit: .zero))
        test.saveAll()
        test.step(.campaign)
        #expect(test.node.role == .candidate)
        test.saveAll()
        #expect(test.node.role == .candidate, "its own vote is none")
        test.receive(from: 2, term: 2, .voteAnswer(granted: true))
        #expect(test.node.role == .leader)
        test.saveAll()
        let effects = test.receive(from: 2, term: 2, .appendAccepted(match: LogIndex(2)))
        #expect(effects.leadership == .steppedDown(term: Term(2), leader: nil))
        test.step(.campaign)
        #expect(test.node.role == .follower)
    }

    @Test("§6: a member that is removed hears of the commit, then nothing more")
    func removedMemberIsTold() {
        var test = TestNode.committedLeader()
        test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(1)))
        let effects = test.step(.proposeMembership(.of([1, 2]), payload: []))
        #expect(effects.appended(to: 3) == [[.at(2, term: 1)]])
        test.saveAll()
        let committed = test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(
            committed.sendNow.contains { message in
                guard case .append(_, _, LogIndex(2)) = message.body else { return false }
                return message.to == MemberID(3)
            })
        #expect(test.node.progress(of: MemberID(3)) == nil)
        #expect(test.step(.tick).sendNow.map(\.to.rawValue) == [2])
    }

    @Test("§6: a removed member that never answers is let go at the next check of the quorum")
    func silentRemovedMemberIsLetGo() {
        var test = TestNode.leader()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        test.step(.proposeMembership(.of([1, 2]), payload: []))
        test.saveAll()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(test.node.progress(of: MemberID(3))?.mode == .probing)
        for _ in 0..<20 {
            test.step(.tick)
            test.receive(from: 2, term: 1, .heartbeatAnswer(round: .zero))
        }
        #expect(test.node.progress(of: MemberID(3)) == nil)
        #expect(test.node.role == .leader)
    }

    @Test("§4.1: a new voter has a whole timeout to be heard from")
    func newVoterHasTime() {
        var test = TestNode.committedLeader(size: 1)
        for _ in 0..<9 { test.step(.tick) }
        test.step(.proposeMembership(.of([1, 2]), payload: []))
        test.step(.tick)
        #expect(test.node.role == .leader)
        for _ in 0..<10 { test.step(.tick) }
        #expect(test.node.role == .follower, "then it counts as any other")
    }

    @Test("§4.2.1: a learner gets everything, counts for nothing, and never stands")
    func learnerDoesNotCount() {
        let membership = Membership.of([1, 2], learners: [3])
        var leader = TestNode.leader(membership: membership)
        #expect(leader.node.voters == [MemberID(1), MemberID(2)])
        leader.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(1)))
        #expect(leader.node.commit == .zero)
        #expect(leader.step(.propose([[1]])).appended(to: 3) == [[.at(2, term: 1)]])
        leader.receive(from: 3, term: 1, .heartbeatAnswer(round: ReadRound(1)))
        for _ in 0..<10 {
            leader.step(.tick)
            leader.receive(from: 3, term: 1, .heartbeatAnswer(round: .zero))
        }
        #expect(leader.node.role == .follower, "a learner is no quorum")

        var learner = TestNode(membership: .of([2, 3], learners: [1]))
        for _ in 0..<100 { learner.step(.tick) }
        learner.step(.campaign)
        learner.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        learner.step(.peerDisconnected(MemberID(2)))
        learner.receive(from: 2, term: 1, .timeoutNow)
        #expect(learner.node.role == .follower)
        #expect(learner.node.term == Term(1))
    }

    @Test("§4.2.1: a learner forgets a leader that is silent, and follows the next one")
    func learnerForgetsLeader() {
        // Story: the leader has stepped down without losing its connections. A learner that took it for
        // the leader for ever would send it its questions for ever, and would not let the next leader in,
        // if that is a member that it does not know yet.
        var learner = TestNode(membership: .of([2, 3], learners: [1]))
        learner.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        for _ in 0..<9 { learner.step(.tick) }
        #expect(learner.node.leader == MemberID(2), "not before the timeout has passed")
        learner.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        for _ in 0..<9 { learner.step(.tick) }
        #expect(learner.node.leader == MemberID(2), "heartbeats keep it")
        var changes: [LeadershipChange] = []
        for _ in 0..<30 {
            learner.step(.tick)
            #expect(learner.effects.bodies.isEmpty, "it still asks for no election")
            if let change = learner.effects.leadership { changes.append(change) }
        }
        #expect(changes == [.leaderKnown(term: Term(1), leader: nil)])
        #expect(learner.node.role == .follower && learner.node.term == Term(1))
        learner.step(.readIndex(ReadContext(1)))
        #expect(learner.effects.readsFailed == [ReadContext(1)])
        learner.receive(from: 4, term: 2, .heartbeat(commit: .zero, round: .zero))
        #expect(learner.node.leader == MemberID(4))
    }

    @Test("§6: a learner that does not know yet that it is a voter gives its vote")
    func promotedLearnerVotes() {
        // Story: two voters made a third of a learner, and one of the two is gone. The other needs
        // the vote of the third, which may not have the entry that made it a voter.
        var learner = TestNode(membership: .of([2, 3], learners: [1]))
        let pre = learner.receive(from: 2, term: 2, .preVoteRequest(last: .at(5, term: 1)))
        #expect(pre.bodies == [.preVoteAnswer(granted: true)])
        let effects = learner.receive(from: 2, term: 2, .voteRequest(last: .at(5, term: 1)))
        #expect(effects.bodies == [.voteAnswer(granted: true)])
        #expect(effects.save?.vote == MemberID(2))
    }

    @Test("§4.2.1: a learner that is made a voter counts, and may stand")
    func promotedLearnerCounts() {
        var test = TestNode.committedLeader(membership: .of([1], learners: [2]))
        test.step(.proposeMembership(.of([1, 2]), payload: []))
        test.saveAll()
        #expect(test.node.commit == LogIndex(1))
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(test.node.commit == LogIndex(2))
    }

    @Test("sole voter: with learners it commits and reads alone, but keeps entries for them")
    func soleVoterWithLearners() {
        var test = TestNode.leader(membership: .of([1], learners: [2]))
        #expect(test.node.commit == LogIndex(1))
        test.step(.readIndex(ReadContext(1)))
        #expect(test.effects.readStates.map(\.index) == [LogIndex(1)])
        test.step(.propose([[1]]))
        #expect(test.saveAll().committed == LogIndex(2)..<LogIndex(3))
        test.step(.applied(through: LogIndex(2)))
        #expect(test.node.memoryBase == .zero)
        for _ in 0..<30 { test.step(.tick) }
        #expect(test.node.role == .leader)
    }

    @Test("progress: a leader tells what it knows of others, nobody else does")
    func progressIsTold() {
        var test = TestNode.committedLeader(membership: .of([1, 2], learners: [3]))
        #expect(
            test.node.progress(of: MemberID(3))
                == MemberProgress(
                    match: LogIndex(1), next: LogIndex(2), mode: .replicating, isActive: true))
        #expect(test.node.progress(of: MemberID(1)) == nil)
        #expect(test.node.progress(of: MemberID(9)) == nil)
        test.receive(from: 2, term: 2, .heartbeat(commit: .zero, round: .zero))
        #expect(test.node.progress(of: MemberID(3)) == nil)
    }
}
