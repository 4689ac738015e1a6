// PaperMembershipTests.swift: the rules on changing members, one test for each.
// Source: Raft paper §6; thesis §4.1 to §4.3.
import Raft
import Testing

@Suite("changing members")
struct PaperMembershipTests {
    private func entry(_ membership: Membership, _ index: UInt64, term: UInt64) -> Entry {
        Entry(
            id: .at(index, term: term), kind: .membership, payload: membership.payload(with: []))
    }

    private func append(_ entries: [Entry], commit: UInt64 = 0) -> Message.Body {
        let first = entries[0].id.index
        return .append(
            previous: .at(first.rawValue - 1, term: first == LogIndex(1) ? 0 : 1),
            entries: entries, commit: LogIndex(commit))
    }

    @Test("§6: a leader goes by a configuration as soon as it is in its log")
    func leaderAdoptsAtOnce() {
        var test = TestNode.committedLeader()
        let next = Membership.of([1, 2, 3, 4])
        let effects = test.step(.proposeMembership(next, payload: [7, 8]))
        #expect(effects.proposal == .accepted(first: .at(2, term: 1)))
        #expect(effects.membership == next)
        #expect(effects.append.map(\.kind) == [.membership])
        #expect(effects.append.map(\.payload) == [next.payload(with: [7, 8])])
        #expect(effects.appended(to: 4) == [[.at(2, term: 1)]])
        test.saveAll()
        // Two of three are not enough any more.
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(test.node.commit == LogIndex(1))
        test.receive(from: 4, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(test.node.commit == LogIndex(2))
    }

    @Test("§6: fewer voters may make a quorum of what was none")
    func smallerQuorumCommits() {
        var test = TestNode.committedLeader(size: 2)
        test.step(.propose([[1]]))
        test.saveAll()
        #expect(test.node.commit == LogIndex(1))
        #expect(
            test.step(.proposeMembership(.of([1]), payload: [])).committed
                == LogIndex(2)..<LogIndex(3))
        #expect(test.saveAll().committed == LogIndex(3)..<LogIndex(4))
    }

    @Test("§6: a follower goes by the latest configuration in its log; a cut takes it back")
    func followerAdoptsAndGoesBack() {
        var test = TestNode()
        let adopted = test.receive(
            from: 2, term: 1, append([entry(.of([1, 2, 3, 4]), 1, term: 1)]))
        #expect(adopted.membership == .of([1, 2, 3, 4]))
        let back = test.receive(from: 3, term: 2, append(TestNode.log([2])))
        #expect(back.truncateAfter == .zero)
        #expect(back.membership == .of([1, 2, 3]))
        #expect(test.node.voters.count == 3)
    }

    @Test("§6: a change replaced by another in one step is told once")
    func replacedChangeIsToldOnce() {
        var test = TestNode()
        test.receive(from: 2, term: 1, append([entry(.of([1, 2, 3, 4]), 1, term: 1)]))
        let other = test.receive(from: 3, term: 2, append([entry(.of([1, 2]), 1, term: 2)]))
        #expect(other.membership == .of([1, 2]))
        let same = test.receive(from: 3, term: 3, append([entry(.of([1, 2]), 1, term: 3)]))
        #expect(same.truncateAfter == .zero)
        #expect(same.membership == nil)
    }

    @Test("§6: what the log has behind the applied entries is in force after a restart")
    func restartAdopts() {
        var restored = Restored(membership: .of([1, 2, 3]))
        restored.hardState = HardState(term: Term(1), commit: LogIndex(1))
        restored.entries = [
            entry(.of([1, 2]), 1, term: 1), entry(.of([1, 2], learners: [3]), 2, term: 1),
        ]
        restored.applied = LogIndex(1)
        restored.membership = .of([1, 2])
        let node = RaftNode(
            configuration: Configuration(id: MemberID(1), seed: 1), restoring: restored)
        #expect(node.membership == .of([1, 2], learners: [3]))
        #expect(node.membershipIndex == LogIndex(2))
    }

    @Test("§6: a joint configuration decides by both majorities: commits, votes, reads")
    func jointNeedsBoth() {
        let joint = Membership.of([1, 4, 5], outgoing: [1, 2, 3])
        var test = TestNode(membership: joint)
        test.step(.campaign)
        for from: UInt64 in [2, 3] {
            test.receive(from: from, term: 1, .preVoteAnswer(granted: true))
            #expect(test.node.role == .preCandidate)
        }
        test.receive(from: 4, term: 1, .preVoteAnswer(granted: true))
        #expect(test.node.role == .candidate)
        test.saveAll()
        test.receive(from: 4, term: 1, .voteAnswer(granted: true))
        test.receive(from: 5, term: 1, .voteAnswer(granted: true))
        #expect(test.node.role == .candidate)
        test.receive(from: 2, term: 1, .voteAnswer(granted: true))
        #expect(test.node.role == .leader)
        test.saveAll()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        #expect(test.node.commit == .zero)
        test.receive(from: 5, term: 1, .appendAccepted(match: LogIndex(1)))
        #expect(test.node.commit == LogIndex(1))
        test.step(.readIndex(ReadContext(1)))
        test.receive(from: 4, term: 1, .heartbeatAnswer(round: ReadRound(1)))
        #expect(test.effects.readStates.isEmpty)
        test.receive(from: 3, term: 1, .heartbeatAnswer(round: ReadRound(1)))
        #expect(test.effects.readStates.count == 1)
    }

    @Test("§6, thesis §6.2: a leader that hears from one half only steps down")
    func bothHalvesAreChecked() {
        var test = TestNode.leader(membership: .of([1, 4, 5], outgoing: [1, 2, 3]))
        for _ in 0..<10 {
            test.step(.tick)
            for from: UInt64 in [2, 3] {
                test.receive(from: from, term: 1, .heartbeatAnswer(round: .zero))
            }
        }
        #expect(test.node.role == .follower)
    }

    @Test("§4.3: the leader says when the joint phase may end, until it is asked to end it")
    func jointPhaseEnds() {
        var test = TestNode.committedLeader(size: 1)
        test.step(.proposeMembership(.of([2, 3], outgoing: [1]), payload: []))
        test.saveAll()
        test.acceptAll(through: 2)
        #expect(test.node.commit == LogIndex(2))
        #expect(!test.step(.tick).mayLeaveJoint, "not applied yet")
        #expect(test.step(.applied(through: LogIndex(2))).mayLeaveJoint)
        #expect(test.step(.tick).mayLeaveJoint)
        let other = test.step(.proposeMembership(.of([1, 2, 3]), payload: []))
        #expect(other.proposal == .rejected(.membershipChangeUnderway))
        let left = test.step(.proposeMembership(test.node.membership.left, payload: []))
        #expect(left.membership == .of([2, 3]))
        #expect(!test.step(.tick).mayLeaveJoint)
    }

    @Test("§4.1: one change at a time: the next waits until the last is committed")
    func changesDoNotOverlap() {
        var test = TestNode.committedLeader()
        test.step(.proposeMembership(.of([1, 2, 3, 4]), payload: []))
        let refused = test.step(.proposeMembership(.of([1, 2, 3, 4, 5]), payload: []))
        #expect(refused.proposal == .rejected(.membershipChangeUnderway))
        #expect(!refused.needsSave)
        test.saveAll()
        test.acceptAll(through: 2)
        let taken = test.step(.proposeMembership(.of([1, 2, 3, 4, 5]), payload: []))
        #expect(taken.proposal == .accepted(first: .at(3, term: 1)))
    }

    @Test("raft-dev 2015: no change before the leader has committed an entry of its own term")
    func leaderMustHaveCommitted() {
        var test = TestNode.leader(logTerms: [1])
        let early = test.step(.proposeMembership(.of([1, 2]), payload: []))
        #expect(early.proposal == .rejected(.leaderHasNotCommitted))
        test.receive(from: 2, term: 2, .appendAccepted(match: LogIndex(2)))
        let taken = test.step(.proposeMembership(.of([1, 2]), payload: []))
        #expect(taken.proposal == .accepted(first: .at(3, term: 2)))
    }

    @Test("§4.1, §6: what can't follow the configuration in force is refused")
    func invalidChangesAreRefused() {
        let cases: [(Membership, Membership.Problem)] = [
            (.of([]), .noVoters), (.of([1]), .tooManyVotersDiffer),
            (.of([1, 2, 4]), .tooManyVotersDiffer),
            (.of([1, 4], outgoing: [1, 2]), .outgoingNotInForce),
            (.of([1, 2, 3], learners: [3]), .rolesOverlap),
        ]
        for (next, problem) in cases {
            var test = TestNode.committedLeader()
            let effects = test.step(.proposeMembership(next, payload: []))
            #expect(effects.proposal == .rejected(.invalidMembership(problem)))
            #expect(effects.membership == nil)
        }
        var follower = TestNode()
        #expect(
            follower.step(.proposeMembership(.of([1, 2]), payload: [])).proposal
                == .rejected(.notLeader(leader: nil)))
    }

    @Test("bounds: a change is refused as any proposal is while too much waits")
    func changesAreBounded() {
        var test = TestNode.committedLeader { $0.limits.uncommittedBytesMax = 10 }
        test.step(.propose([[1]]))
        #expect(
            test.step(.proposeMembership(.of([1, 2]), payload: [])).proposal
                == .rejected(.tooMuchUncommitted))
    }

    @Test("§6: an entry that names no readable configuration is dropped with its message")
    func unreadableEntryIsDropped() {
        var test = TestNode()
        let entry = Entry(id: .at(1, term: 1), kind: .membership, payload: [1, 2, 3])
        let effects = test.receive(from: 2, term: 1, append([entry]))
        #expect(effects.append.isEmpty)
        #expect(effects.bodies.isEmpty)
    }
}
