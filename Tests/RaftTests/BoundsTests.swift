// BoundsTests.swift: what is refused, dropped or fetched when a bound is reached.
// Source: Limits.swift.
import Raft
import Testing

@Suite("bounds")
struct BoundsTests {
    private let kilobyte = [UInt8](repeating: 1, count: 1_000)

    @Test("bounds: proposals are refused while too much waits for a quorum, then taken again")
    func uncommittedIsBounded() {
        var test = TestNode.leader(size: 1) { $0.limits.uncommittedBytesMax = 2_000 }
        #expect(test.step(.propose([kilobyte])).proposal == .accepted(first: .at(2, term: 1)))
        #expect(test.step(.propose([kilobyte])).proposal == .accepted(first: .at(3, term: 1)))
        let last = test.effects.saveNumber
        let refused = test.step(.propose([[1]]))
        #expect(refused.proposal == .rejected(.tooMuchUncommitted))
        #expect(!refused.needsSave)
        #expect(test.node.last == .at(3, term: 1))
        test.step(.saved(last))
        #expect(test.step(.propose([[1]])).proposal == .accepted(first: .at(4, term: 1)))
    }

    @Test("bounds: a proposal larger than the bound is taken when nothing waits")
    func largeProposalIsTaken() {
        var test = TestNode.leader(size: 1) { $0.limits.uncommittedBytesMax = 10 }
        #expect(test.step(.propose([kilobyte])).proposal == .accepted(first: .at(2, term: 1)))
    }

    @Test("bounds: what a new leader finds uncommitted counts")
    func inheritedEntriesCount() {
        var test = TestNode.leader(logTerms: [1, 1, 1]) { $0.limits.uncommittedBytesMax = 60 }
        #expect(test.step(.propose([[1]])).proposal == .rejected(.tooMuchUncommitted))
    }

    @Test("bounds: proposals are refused while too much waits for the state machine")
    func unappliedIsBounded() {
        var test = TestNode.leader(size: 1) { $0.limits.unappliedBytesMax = 1_000 }
        test.step(.propose([kilobyte]))
        test.saveAll()
        #expect(test.step(.propose([[1]])).proposal == .rejected(.tooMuchUnapplied))
        test.step(.applied(through: LogIndex(2)))
        #expect(test.step(.propose([[1]])).proposal == .accepted(first: .at(3, term: 1)))
    }

    @Test("bounds: a follower drops appends while too much waits for its state machine")
    func followerDropsAppends() {
        var test = TestNode { $0.limits.unappliedBytesMax = 40 }
        test.receive(
            from: 2, term: 1,
            .append(previous: .zero, entries: TestNode.log([1, 1]), commit: LogIndex(2)))
        let more = Message.Body.append(
            previous: .at(2, term: 1), entries: TestNode.log([1], after: 2), commit: LogIndex(2))
        #expect(test.receive(from: 2, term: 1, more).bodies.isEmpty)
        #expect(test.node.last == .at(2, term: 1))
        test.step(.applied(through: LogIndex(2)))
        #expect(test.receive(from: 2, term: 1, more).append.count == 1)
    }

    @Test("bounds: applied entries leave memory beyond what is kept, unapplied ones never")
    func appliedEntriesAreDropped() {
        var test = TestNode.leader { $0.limits.retainedBytesMax = 2_500 }
        for _ in 0..<5 { test.step(.propose([kilobyte])) }
        test.saveAll()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(6)))
        #expect(test.node.memoryBase == .zero)
        test.step(.applied(through: LogIndex(3)))
        #expect(test.node.memoryBase == .at(3, term: 1))
        test.step(.applied(through: LogIndex(6)))
        #expect(test.node.memoryBase == .at(4, term: 1))
        #expect(test.node.entry(at: LogIndex(5)).payload == kilobyte)
    }

    @Test("bounds: a sole voter keeps nothing that is applied, through any number of entries")
    func soleVoterKeepsNothing() {
        var test = TestNode.leader(size: 1)
        for number in 0..<1_000 {
            test.step(.propose([[UInt8(truncatingIfNeeded: number)], [2], [3]]))
            let committed = test.saveAll().committed
            guard let committed else {
                Issue.record("nothing committed in round \(number)")
                return
            }
            #expect(test.node.entries(in: committed).count == 3)
            test.step(.applied(through: committed.upperBound.previous))
            #expect(test.node.memoryBase == test.node.last)
        }
    }

    /// A leader whose memory starts after its entry 4, with a member that knows nothing.
    private func forgetful() -> TestNode {
        var test = TestNode.leader { $0.limits.retainedBytesMax = 0 }
        for number: UInt8 in 2...4 { test.step(.propose([[number]])) }
        test.saveAll()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(4)))
        test.step(.applied(through: LogIndex(4)))
        return test
    }

    @Test("lagging member: what memory lacks is asked of the disk once, and sent on")
    func oldEntriesAreLoaded() {
        var test = forgetful()
        let asked = test.receive(
            from: 3, term: 1, .appendRejected(previous: .zero.next, hint: .zero))
        #expect(asked.needEntries.isEmpty, "the first probe is still the one after nothing")
        test.step(.peerDisconnected(MemberID(3)))
        let request = test.receive(from: 3, term: 1, .heartbeatAnswer(round: .zero)).needEntries
        #expect(
            request == [
                EntriesRequest(
                    member: MemberID(3), from: LogIndex(1), through: LogIndex(4), bytesMax: 1 << 20)
            ])
        #expect(test.receive(from: 3, term: 1, .heartbeatAnswer(round: .zero)).needEntries.isEmpty)
        let entries = TestNode.log([1, 1, 1, 1])
        let sent = test.step(.loaded(entries, after: .zero, for: MemberID(3)))
        #expect(sent.appended(to: 3) == [entries.map(\.id)])
        // What comes next is in memory again.
        test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(4)))
        #expect(test.step(.propose([[5]])).appended(to: 3) == [[.at(5, term: 1)]])
    }

    @Test("lagging member: an answer that comes late or empty is not sent on")
    func staleLoadIsDropped() {
        var test = forgetful()
        test.step(.peerDisconnected(MemberID(3)))
        test.receive(from: 3, term: 1, .heartbeatAnswer(round: .zero))
        // Nothing could be read: it is asked again.
        let empty = test.step(.loaded([], after: .zero, for: MemberID(3)))
        #expect(empty.needEntries.count == 1)
        // Meanwhile the member got ahead by other means.
        test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(4)))
        let late = test.step(.loaded(TestNode.log([1, 1]), after: .zero, for: MemberID(3)))
        #expect(late.appended(to: 3) == [])
        #expect(test.step(.loaded(TestNode.log([1]), after: .zero, for: MemberID(9))).bodies == [])
    }

    @Test("lagging member: what the disk lacks too takes a snapshot, asked for at each heartbeat")
    func compactedEntriesTakeSnapshot() {
        var test = forgetful()
        test.step(.compacted(through: LogIndex(2)))
        test.step(.peerDisconnected(MemberID(3)))
        test.receive(from: 3, term: 1, .heartbeatAnswer(round: .zero))
        let first = test.step(
            .loaded(TestNode.log([1], after: 2), after: .at(2, term: 1), for: MemberID(3)))
        #expect(first.needSnapshot == [MemberID(3)])
        #expect(first.needEntries.isEmpty)
        for _ in 0..<2 {
            let beat = test.step(.tick)
            #expect(beat.needSnapshot == [MemberID(3)])
            #expect(beat.bodies.contains(.snapshotOffer(last: .at(2, term: 1))))
        }
        // The snapshot has brought it to entry 4.
        test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(4)))
        #expect(test.step(.propose([[5]])).appended(to: 3) == [[.at(5, term: 1)]])
    }
}
