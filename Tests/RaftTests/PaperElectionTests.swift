// PaperElectionTests.swift: the rules on terms, votes and timeouts, one test for each.
// Source: Raft paper §5.1, §5.2, §5.4.1; thesis §4.2.3, §6.2, §9.6.
import Raft
import Testing

@Suite("elections")
struct PaperElectionTests {
    private static func plain(_ configuration: inout Configuration) {
        configuration.preVote = false
        configuration.checkQuorum = false
    }

    @Test("§5.1: a higher term in any message makes a leader a follower of that term")
    func higherTermDeposes() {
        let bodies: [Message.Body] = [
            .voteRequest(last: .zero), .voteAnswer(granted: false),
            .append(previous: .zero, entries: [], commit: .zero),
            .appendRejected(previous: LogIndex(1), hint: .zero),
            .heartbeat(commit: .zero, round: .zero), .heartbeatAnswer(round: .zero),
            .preVoteAnswer(granted: false),
        ]
        for body in bodies {
            var test = TestNode.leader(configure: PaperElectionTests.plain)
            #expect(test.node.role == .leader)
            let effects = test.receive(from: 2, term: 9, body)
            #expect(test.node.role == .follower)
            #expect(test.node.term == Term(9))
            #expect(effects.save?.term == Term(9))
            guard case .steppedDown(term: Term(9), leader: _) = effects.leadership else {
                Issue.record("no word of stepping down: \(effects)")
                continue
            }
        }
    }

    @Test("§5.1: a request of a lower term is refused with the current one")
    func lowerTermIsRefused() {
        var test = TestNode(term: 5)
        let vote = test.receive(from: 2, term: 4, .voteRequest(last: .at(9, term: 4)))
        #expect(vote.sendNow.map(\.body) == [.voteAnswer(granted: false)])
        #expect(vote.sendNow.first?.term == Term(5))
        let append = test.receive(
            from: 2, term: 4, .append(previous: .zero, entries: TestNode.log([4]), commit: .zero))
        #expect(append.sendNow.map(\.body) == [.appendRejected(previous: .zero, hint: .zero)])
        #expect(append.append.isEmpty)
        #expect(test.node.last == .zero)
    }

    @Test("§5.2: a follower without a leader stands for election when its timeout ends")
    func timeoutStartsElection() {
        var test = TestNode(configure: PaperElectionTests.plain)
        for _ in 1..<10 {
            test.step(.tick)
            #expect(test.node.role == .follower)
        }
        for _ in 10...20 where test.node.role == .follower { test.step(.tick) }
        #expect(test.node.role == .candidate)
        #expect(test.node.term == Term(1))
        #expect(test.effects.save == HardState(term: Term(1), vote: MemberID(1), commit: .zero))
        #expect(
            test.effects.sendNow.map(\.body) == [
                .voteRequest(last: .zero), .voteRequest(last: .zero),
            ])
    }

    @Test("§5.2: a heartbeat of the leader puts the timeout off")
    func heartbeatResetsTimeout() {
        var test = TestNode()
        for _ in 0..<10 {
            for _ in 0..<9 { test.step(.tick) }
            test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        }
        #expect(test.node.role == .follower)
        #expect(test.node.leader == MemberID(2))
    }

    @Test("§5.2, §9.3: the timeout is drawn again for every attempt, within its bounds")
    func timeoutIsRedrawn() {
        var test = TestNode(configure: PaperElectionTests.plain)
        var lengths: [Int] = []
        for _ in 0..<200 {
            let term = test.node.term
            var ticks = 0
            while test.node.term == term {
                test.step(.tick)
                ticks += 1
            }
            test.saveAll()
            lengths.append(ticks)
        }
        #expect(lengths.allSatisfy { (10..<20).contains($0) })
        for length in 10..<20 { #expect(lengths.contains(length)) }
    }

    @Test("§5.2: one vote for each term, given again to the one who has it")
    func oneVotePerTerm() {
        var test = TestNode(configure: PaperElectionTests.plain)
        let first = test.receive(from: 2, term: 1, .voteRequest(last: .zero))
        #expect(first.sendAfterSave.map(\.body) == [.voteAnswer(granted: true)])
        #expect(first.save?.vote == MemberID(2))
        #expect(first.sendNow.isEmpty)
        let second = test.receive(from: 3, term: 1, .voteRequest(last: .zero))
        #expect(second.sendAfterSave.map(\.body) == [.voteAnswer(granted: false)])
        let again = test.receive(from: 2, term: 1, .voteRequest(last: .zero))
        #expect(again.sendAfterSave.map(\.body) == [.voteAnswer(granted: true)])
        #expect(!again.needsSave)
    }

    @Test("§5.2: a vote is kept across a restart")
    func voteSurvivesRestart() {
        var restored = Restored(voters: [MemberID(1), MemberID(2), MemberID(3)])
        restored.hardState = HardState(term: Term(4), vote: MemberID(2))
        var node = RaftNode(
            configuration: Configuration(id: MemberID(1), seed: 1), restoring: restored)
        let effects = node.step(
            .received(
                Message(
                    from: MemberID(3), to: MemberID(1), term: Term(4),
                    body: .voteRequest(last: .at(8, term: 3)))))
        #expect(effects.sendNow.map(\.body) == [.voteAnswer(granted: false)])
    }

    @Test("§5.4.1: a vote is only for a log that is at least as up to date")
    func voteNeedsUpToDateLog() {
        let cases: [(last: EntryID, granted: Bool)] = [
            (.at(2, term: 2), true), (.at(3, term: 2), true), (.at(1, term: 3), true),
            (.at(1, term: 2), false), (.at(9, term: 1), false), (.zero, false),
        ]
        for (last, granted) in cases {
            var test = TestNode(logTerms: [1, 2], configure: PaperElectionTests.plain)
            let effects = test.receive(from: 2, term: 5, .voteRequest(last: last))
            #expect(effects.sendAfterSave.map(\.body) == [.voteAnswer(granted: granted)])
            #expect((effects.save?.vote != nil) == granted)
        }
    }

    @Test("§5.2: a majority makes a leader; a majority against ends the attempt")
    func majorityDecides() {
        for (answers, role) in [
            ([true], Role.candidate), ([true, true], .leader), ([true, false, true], .leader),
            ([false, false], .candidate), ([false, false, false], .follower),
        ] {
            var test = TestNode(size: 5, configure: PaperElectionTests.plain)
            test.step(.campaign)
            test.saveAll()
            for (offset, answer) in answers.enumerated() {
                test.receive(from: UInt64(offset + 2), term: 1, .voteAnswer(granted: answer))
            }
            #expect(test.node.role == role, "\(answers)")
        }
    }

    @Test("§5.2: an answer counts once, whatever is said later, and only of a voter")
    func answersCountOnce() {
        var test = TestNode(size: 5, configure: PaperElectionTests.plain)
        test.step(.campaign)
        test.saveAll()
        for _ in 0..<5 { test.receive(from: 2, term: 1, .voteAnswer(granted: true)) }
        test.receive(from: 77, term: 1, .voteAnswer(granted: true))
        #expect(test.node.role == .candidate)
    }

    @Test("§5.2: a candidate follows the leader of its term")
    func candidateFollows() {
        var test = TestNode(configure: PaperElectionTests.plain)
        test.step(.campaign)
        let effects = test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        #expect(effects.leadership == .leaderKnown(term: Term(1), leader: MemberID(2)))
        #expect(test.node.role == .follower)
    }

    @Test("election: votes of others make no leader while the own vote is not on the disk")
    func ownVoteMustBeSaved() {
        var test = TestNode(configure: PaperElectionTests.plain)
        let save = test.step(.campaign).saveNumber
        test.receive(from: 2, term: 1, .voteAnswer(granted: true))
        test.receive(from: 3, term: 1, .voteAnswer(granted: true))
        #expect(test.node.role == .candidate)
        test.step(.saved(save))
        #expect(test.node.role == .leader)
    }

    @Test("election: a stalled disk is not given a new term to save at every timeout")
    func stalledDiskDoesNotPileUpTerms() {
        for size: UInt64 in [1, 3] {
            var test = TestNode(size: size, configure: PaperElectionTests.plain)
            test.step(.campaign)
            for _ in 0..<100 { test.step(.tick) }
            #expect(test.node.term == Term(1))
        }
    }

    @Test("thesis §9.6: a pre-vote changes no term and binds nobody")
    func preVoteBindsNobody() {
        var test = TestNode(term: 3)
        for from: UInt64 in [2, 3] {
            let effects = test.receive(from: from, term: 4, .preVoteRequest(last: .zero))
            #expect(effects.sendNow.map(\.body) == [.preVoteAnswer(granted: true)])
            #expect(effects.sendNow.first?.term == Term(4))
            #expect(!effects.needsSave)
        }
        #expect(test.node.term == Term(3))
    }

    @Test("thesis §9.6: no pre-vote for an older log, for an old term, or against a live leader")
    func preVoteIsRefused() {
        var test = TestNode(logTerms: [1, 2], term: 3)
        let old = test.receive(from: 2, term: 4, .preVoteRequest(last: .at(5, term: 1)))
        #expect(old.sendNow.map(\.body) == [.preVoteAnswer(granted: false)])
        #expect(old.sendNow.first?.term == Term(3))
        let late = test.receive(from: 2, term: 2, .preVoteRequest(last: .at(5, term: 2)))
        #expect(late.sendNow.map(\.body) == [.preVoteAnswer(granted: false)])
        test.receive(from: 3, term: 3, .heartbeat(commit: .zero, round: .zero))
        let led = test.receive(from: 2, term: 4, .preVoteRequest(last: .at(5, term: 3)))
        #expect(led.sendNow.isEmpty)
    }

    @Test("thesis §9.6: a member cut off asks again and again without raising its term")
    func isolatedMemberKeepsTerm() {
        var test = TestNode(term: 3)
        for _ in 0..<500 { test.step(.tick) }
        #expect(test.node.role == .preCandidate)
        #expect(test.node.term == Term(3))
    }

    @Test("thesis §4.2.3: with a live leader a vote request of a higher term is ignored")
    func liveLeaderIsKept() {
        var test = TestNode()
        test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        let effects = test.receive(from: 3, term: 7, .voteRequest(last: .at(9, term: 6)))
        #expect(
            effects
                == {
                    var none = Effects(); none.saveNumber = effects.saveNumber; return none
                }())
        #expect(test.node.term == Term(1))
        // Once the leader has been silent for the shortest timeout it is no longer live.
        for _ in 0..<10 where test.node.role == .follower { test.step(.tick) }
        test.receive(from: 3, term: 7, .voteRequest(last: .at(9, term: 6)))
        #expect(test.node.term == Term(7))
    }

    @Test("thesis §6.2: a leader that hears from no quorum for a timeout steps down")
    func quorumIsChecked() {
        var deaf = TestNode.leader()
        for _ in 0..<10 { deaf.step(.tick) }
        #expect(deaf.node.role == .follower)

        var heard = TestNode.leader()
        for _ in 0..<100 {
            heard.step(.tick)
            heard.receive(from: 3, term: 1, .heartbeatAnswer(round: .zero))
        }
        #expect(heard.node.role == .leader)
    }

    @Test("election: a closed connection to the leader starts a pre-vote at once, others do not")
    func disconnectIsAHint() {
        var test = TestNode()
        test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        test.step(.peerDisconnected(MemberID(3)))
        #expect(test.node.role == .follower)
        let effects = test.step(.peerDisconnected(MemberID(2)))
        #expect(test.node.role == .preCandidate)
        #expect(effects.sendNow.count == 2)
        // The leader lives after all: nothing was disturbed.
        test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        #expect(test.node.role == .follower)
        #expect(test.node.term == Term(1))
    }

    @Test("election: a member without a vote never stands")
    func nonVoterNeverStands() {
        for voters: [MemberID] in [[], [MemberID(2), MemberID(3)]] {
            var node = RaftNode(
                configuration: Configuration(id: MemberID(1), seed: 1),
                restoring: Restored(voters: voters))
            for _ in 0..<100 { _ = node.step(.tick) }
            _ = node.step(.campaign)
            #expect(node.role == .follower)
            #expect(node.term == .zero)
        }
    }

    @Test("sole voter: may be told to wait for its timeout, or to stand at once")
    func soleVoterStart() {
        var waiting = TestNode(size: 1) { $0.soleVoterCampaignsAtFirstTick = false }
        waiting.step(.tick)
        #expect(waiting.node.role == .follower)
        waiting.step(.campaign)
        #expect(waiting.node.role == .candidate)
        waiting.saveAll()
        #expect(waiting.effects.leadership == .becameLeader(Term(1)))
        #expect(waiting.effects.append.map(\.kind) == [.noop])
    }
}
