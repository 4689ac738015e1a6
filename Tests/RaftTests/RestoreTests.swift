// RestoreTests.swift: a node that starts from what a disk has, and misuse that traps.
// Source: Docs.docc/Raft.md, "Restoring".
import Raft
import Testing

@Suite("restoring")
struct RestoreTests {
    private func restored(
        terms: [UInt64], after base: EntryID = .zero, commit: UInt64 = 0, applied: UInt64 = 0
    ) -> Restored {
        var restored = Restored(voters: [MemberID(1)])
        restored.base = base
        restored.compactedThrough = base.index
        restored.entries = TestNode.log(terms, after: base.index.rawValue)
        restored.hardState = HardState(term: Term(9), vote: MemberID(1), commit: LogIndex(commit))
        restored.applied = LogIndex(applied)
        return restored
    }

    private func node(_ restored: Restored) -> RaftNode {
        RaftNode(configuration: Configuration(id: MemberID(1), seed: 1), restoring: restored)
    }

    @Test("restoring: what is known to be committed and not applied is reported by the first step")
    func committedIsReported() {
        var node = node(
            restored(terms: [7, 8, 8], after: .at(10, term: 7), commit: 12, applied: 11))
        #expect(node.commit == LogIndex(12))
        #expect(node.durable == LogIndex(13))
        #expect(node.last == .at(13, term: 8))
        let effects = node.step(.tick)
        #expect(effects.committed == LogIndex(12)..<LogIndex(13))
        #expect(effects.save?.term == Term(10))
    }

    @Test("restoring: the commit index follows what is applied and never passes the log's end")
    func commitIsClamped() {
        #expect(node(restored(terms: [1, 1, 1], commit: 0, applied: 2)).commit == LogIndex(2))
        #expect(node(restored(terms: [1, 1, 1], commit: 99)).commit == LogIndex(3))
    }

    @Test("restoring: an empty log after a snapshot goes on behind it")
    func emptyLogAfterBase() {
        var node = node(restored(terms: [], after: .at(50, term: 4), applied: 50))
        let save = node.step(.tick).saveNumber
        let effects = node.step(.saved(save))
        #expect(effects.append.map(\.id) == [.at(51, term: 10)])
    }

    @Test("restoring: a term that a snapshot raised, lost in a crash, is raised again and saved")
    func snapshotRaisesTerm() {
        var restored = restored(terms: [], after: .at(50, term: 10), applied: 50)
        restored.membership = .of([1, 2])
        var node = node(restored)
        #expect(node.term == Term(10))
        #expect(
            node.step(.tick).save == HardState(term: Term(10), vote: nil, commit: LogIndex(50)))
    }

    @Test("misuse: entries of a term above the saved one trap, for they are saved together")
    func entriesOfLaterTermTrap() async {
        await #expect(processExitsWith: .failure) {
            var restored = Restored(voters: [MemberID(1)])
            restored.entries = TestNode.log([3])
            _ = RaftNode(
                configuration: Configuration(id: MemberID(1), seed: 1), restoring: restored)
        }
    }

    @Test("restoring: the same start and the same inputs give the same effects")
    func stepsAreRepeatable() {
        let first = TestNode.leader(logTerms: [1, 2])
        let second = TestNode.leader(logTerms: [1, 2])
        #expect(first.effects == second.effects)
        var copy = first.node
        var original = first.node
        for _ in 0..<100 { #expect(copy.step(.tick) == original.step(.tick)) }
    }

    @Test("misuse: a log with a gap traps")
    func gapTraps() async {
        await #expect(processExitsWith: .failure) {
            var restored = Restored(voters: [MemberID(1)])
            restored.entries = TestNode.log([1], after: 4)
            _ = RaftNode(
                configuration: Configuration(id: MemberID(1), seed: 1), restoring: restored)
        }
    }

    @Test("misuse: applying what is not committed traps")
    func applyingTooFarTraps() async {
        await #expect(processExitsWith: .failure) {
            var test = TestNode.leader(size: 1)
            test.step(.propose([[1]]))
            test.step(.applied(through: LogIndex(2)))
        }
    }

    @Test("misuse: compacting what is not applied traps")
    func compactingTooFarTraps() async {
        await #expect(processExitsWith: .failure) {
            var test = TestNode.leader(size: 1)
            test.step(.compacted(through: LogIndex(1)))
        }
    }

    @Test("misuse: two leaders in one term trap")
    func twoLeadersTrap() async {
        await #expect(processExitsWith: .failure) {
            var test = TestNode()
            test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
            test.receive(from: 3, term: 1, .heartbeat(commit: .zero, round: .zero))
        }
    }

    @Test("misuse: what is committed stays, whatever a message claims")
    func committedEntriesStay() {
        var test = TestNode()
        test.receive(
            from: 2, term: 1,
            .append(previous: .zero, entries: TestNode.log([1, 1]), commit: LogIndex(1)))
        // No true leader lacks a committed entry; this one pretends to.
        let effects = test.receive(
            from: 3, term: 2, .append(previous: .zero, entries: TestNode.log([2]), commit: .zero))
        #expect(effects.truncateAfter == nil)
        #expect(effects.bodies == [.appendAccepted(match: LogIndex(1))])
        #expect(test.node.last == .at(2, term: 1))
    }
}
