// SaveTests.swift: what a finished save proves, and what has to wait for it.
// Source: thesis §10.2.1; Docs.docc/Raft.md, "Saves".
import Raft
import Testing

@Suite("saves")
struct SaveTests {
    private func append(_ term: UInt64, to index: UInt64) -> Message.Body {
        .append(
            previous: .at(index - 1, term: 1), entries: TestNode.log([term], after: index - 1),
            commit: .zero)
    }

    @Test("saves: an entry written, replaced and written again counts with the last write only")
    func staleSaveDoesNotCount() {
        var test = TestNode(logTerms: [1])
        let first = test.receive(from: 2, term: 1, append(1, to: 2)).saveNumber
        let second = test.receive(from: 3, term: 2, append(2, to: 2)).saveNumber
        let third = test.receive(from: 2, term: 3, append(1, to: 2)).saveNumber
        test.step(.saved(first))
        #expect(test.node.durable == LogIndex(1))
        test.step(.saved(second))
        #expect(test.node.durable == LogIndex(1))
        test.step(.saved(third))
        #expect(test.node.durable == LogIndex(2))
    }

    @Test("saves: a leader does not count its own copy by the save of an entry it replaced since")
    func leaderIgnoresStaleSave() {
        var test = TestNode(logTerms: [1]) { $0.preVote = false }
        let first = test.receive(from: 2, term: 1, append(1, to: 2)).saveNumber
        test.receive(from: 3, term: 2, append(2, to: 2))
        test.step(.peerDisconnected(MemberID(3)))
        let vote = test.step(.campaign).saveNumber
        test.receive(from: 2, term: 3, .voteAnswer(granted: true))
        test.step(.saved(first))
        #expect(test.node.role == .candidate)
        let leading = test.step(.saved(vote))
        #expect(leading.leadership == .becameLeader(Term(3)))
        // The vote's save came after that of the entry: entry 2 is durable, the no-op is not.
        #expect(test.node.durable == LogIndex(2))
        test.receive(from: 2, term: 3, .appendAccepted(match: LogIndex(3)))
        #expect(test.node.commit == .zero)
        #expect(test.step(.saved(leading.saveNumber)).committed == LogIndex(1)..<LogIndex(4))
    }

    @Test("saves: one completion covers all earlier saves, and repeating it does nothing")
    func completionsAreCumulative() {
        var test = TestNode.leader(size: 1)
        test.step(.propose([[1]]))
        test.step(.propose([[2]]))
        let number = test.step(.propose([[3]])).saveNumber
        #expect(test.step(.saved(number)).committed == LogIndex(2)..<LogIndex(5))
        #expect(test.step(.saved(number)).committed == nil)
        #expect(test.step(.saved(SaveNumber(1))).committed == nil)
    }

    @Test("saves: an answer without a save of its own still waits for the earlier one")
    func answersWaitForEarlierSaves() {
        var test = TestNode(logTerms: [1])
        let first = test.receive(from: 2, term: 1, append(1, to: 2))
        let again = test.receive(from: 2, term: 1, append(1, to: 2))
        #expect(!again.needsSave)
        #expect(again.sendAfterSave.map(\.body) == [.appendAccepted(match: LogIndex(2))])
        #expect(again.saveNumber == first.saveNumber)
        test.saveAll()
        let later = test.receive(from: 2, term: 1, append(1, to: 2))
        #expect(later.sendNow.map(\.body) == [.appendAccepted(match: LogIndex(2))])
        #expect(later.sendAfterSave.isEmpty)
    }

    @Test("saves: heartbeats are answered and appends sent past a stalled disk")
    func heartbeatsPassTheDisk() {
        var follower = TestNode(logTerms: [1])
        follower.receive(from: 2, term: 2, append(1, to: 2))
        let beat = follower.receive(
            from: 2, term: 2, .heartbeat(commit: .zero, round: ReadRound(4)))
        #expect(beat.sendNow.map(\.body) == [.heartbeatAnswer(round: ReadRound(4))])

        var leader = TestNode.leader()
        leader.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        #expect(leader.step(.propose([[1]])).appended(to: 2) == [[.at(2, term: 1)]])
    }

    @Test("saves: term and vote are asked for exactly when they change, the commit rides along")
    func hardStateIsSavedWhenItChanges() {
        var test = TestNode(size: 1)
        #expect(test.step(.tick).save == HardState(term: Term(1), vote: MemberID(1)))
        #expect(test.saveAll().save == nil)
        #expect(test.saveAll().save == nil)
        #expect(test.node.commit == LogIndex(1))
        #expect(
            test.step(.propose([[1]])).save
                == HardState(term: Term(1), vote: MemberID(1), commit: LogIndex(1)))
        #expect(test.step(.propose([[1]])).save == nil)
    }

    @Test("saves: a vote request waits for the end of the log that it speaks of")
    func voteRequestWaitsForLog() {
        // Story: member 1 asked for votes in term 2 with an entry not yet saved, and crashed before
        // anything was. It stood in term 2 again, without the entry, and counted a vote that member
        // 2 had given to the longer log. A committed entry was lost.
        var test = TestNode { $0.preVote = false }
        test.receive(
            from: 2, term: 1,
            .append(previous: .zero, entries: TestNode.log([1]), commit: .zero))
        let unsaved = test.step(.campaign)
        #expect(unsaved.sendNow.isEmpty)
        let request = Message.Body.voteRequest(last: .at(1, term: 1))
        #expect(unsaved.sendAfterSave.map(\.body) == [request, request])
        #expect(unsaved.needsSave)

        // With the whole log on the disk nothing is waited for.
        var saved = TestNode(logTerms: [1]) { $0.preVote = false }
        #expect(saved.step(.campaign).sendNow.count == 2)
    }

    @Test("saves: a save that was never asked for is a programmer's mistake")
    func unknownSaveTraps() async {
        await #expect(processExitsWith: .failure) {
            var test = TestNode(size: 1)
            test.step(.saved(SaveNumber(1)))
        }
    }
}
