// SnapshotTests.swift: members that need what no log has any more.
// Source: Raft paper §7; Docs.docc/Raft.md, "Snapshots".
import Raft
import Testing

@Suite("snapshots")
struct SnapshotTests {
    /// A leader whose log on disk begins after entry 3, and a member that has nothing.
    private func leaderWithoutStart(compactedAfterDrop: Bool = false) -> TestNode {
        var test = TestNode.leader { $0.limits.retainedBytesMax = 0 }
        for number: UInt8 in 2...4 { test.step(.propose([[number]])) }
        test.saveAll()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(4)))
        if !compactedAfterDrop {
            test.step(.applied(through: LogIndex(3)))
            test.step(.compacted(through: LogIndex(3)))
        }
        test.step(.applied(through: LogIndex(4)))
        if compactedAfterDrop { test.step(.compacted(through: LogIndex(3))) }
        test.step(.peerDisconnected(MemberID(3)))
        test.receive(from: 3, term: 1, .heartbeatAnswer(round: .zero))
        return test
    }

    @Test("§7: a member that needs what is gone is told to fetch a snapshot, at each heartbeat")
    func snapshotIsOffered() {
        var test = leaderWithoutStart()
        let offer = Message.Body.snapshotOffer(last: .at(3, term: 1))
        #expect(test.effects.needSnapshot == [MemberID(3)])
        #expect(test.effects.bodies == [offer])
        #expect(test.node.progress(of: MemberID(3))?.mode == .snapshot)
        let beat = test.step(.tick)
        #expect(beat.sendNow.filter { $0.body == offer }.map(\.to) == [MemberID(3)])
        #expect(test.receive(from: 3, term: 1, .heartbeatAnswer(round: .zero)).bodies.isEmpty)
    }

    @Test("§7: a term that memory has dropped is asked of the disk before the first offer")
    func unknownTermIsLoaded() {
        // Story: with the term of a later entry in the offer, a member that had the entry did not
        // know it, and had no use for a snapshot either. Without new entries nothing went on.
        var test = leaderWithoutStart(compactedAfterDrop: true)
        let request = EntriesRequest(
            member: MemberID(3), from: LogIndex(4), through: LogIndex(4), bytesMax: 1)
        #expect(test.effects.needEntries == [request])
        #expect(test.effects.bodies.isEmpty)
        let entry = TestNode.log([1], after: 3)
        let offered = test.step(.loaded(entry, after: .at(3, term: 1), for: MemberID(3)))
        #expect(offered.bodies == [.snapshotOffer(last: .at(3, term: 1))])
        #expect(offered.needSnapshot == [MemberID(3)])
        #expect(offered.needEntries.isEmpty)
    }

    @Test("§7: when it has the snapshot, the log goes on behind it")
    func logGoesOn() {
        var test = leaderWithoutStart()
        let loading = test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(3)))
        #expect(loading.needEntries.map(\.from) == [LogIndex(4)])
        test = leaderWithoutStart()
        test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(4)))
        #expect(test.node.progress(of: MemberID(3))?.mode == .replicating)
        #expect(test.step(.propose([[5]])).appended(to: 3) == [[.at(5, term: 1)]])
        #expect(test.step(.tick).needSnapshot.isEmpty)
    }

    @Test("§7: a snapshot older than the start of the log is followed by another offer")
    func oldSnapshotIsNotEnough() {
        var test = leaderWithoutStart()
        let effects = test.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(effects.needSnapshot == [MemberID(3)])
    }

    @Test("§7: a member that can't go on without is told how far a snapshot must reach")
    func offerIsSurfaced() {
        var test = TestNode(logTerms: [1, 1])
        let effects = test.receive(from: 2, term: 2, .snapshotOffer(last: .at(7, term: 2)))
        #expect(
            effects.snapshotOffered == SnapshotOffer(from: MemberID(2), reaching: LogIndex(7)))
        #expect(effects.bodies.isEmpty)
        #expect(test.node.leader == MemberID(2))
    }

    @Test("§7: a member that has the entry after all says so, and learns that it is committed")
    func offerIsAnswered() {
        var test = TestNode(logTerms: [1, 1, 1])
        let effects = test.receive(from: 2, term: 1, .snapshotOffer(last: .at(2, term: 1)))
        #expect(effects.snapshotOffered == nil)
        #expect(effects.committed == LogIndex(1)..<LogIndex(3))
        #expect(effects.bodies == [.appendAccepted(match: LogIndex(2))])
        let again = test.receive(from: 2, term: 1, .snapshotOffer(last: .at(1, term: 1)))
        #expect(again.bodies == [.appendAccepted(match: LogIndex(2))])
        #expect(again.snapshotOffered == nil)
    }

    @Test("§7: a conflicting entry at the place is no reason to go without")
    func conflictNeedsSnapshot() {
        var test = TestNode(logTerms: [1, 1, 1])
        let effects = test.receive(from: 2, term: 3, .snapshotOffer(last: .at(2, term: 2)))
        #expect(effects.snapshotOffered?.reaching == LogIndex(2))
        #expect(effects.committed == nil)
    }

    @Test("§7: an installed snapshot is the new start of log, state and configuration")
    func installedSnapshotIsTheStart() {
        var test = TestNode(logTerms: [1, 1])
        test.receive(from: 2, term: 2, .snapshotOffer(last: .at(7, term: 2)))
        test.saveAll()
        let next = Membership.of([1, 2, 3, 4])
        #expect(test.node.needsSnapshot(endingWith: .at(8, term: 2)))
        let effects = test.step(.installed(snapshot: .at(8, term: 2), membership: next))
        #expect(effects.sendNow.map(\.body) == [.appendAccepted(match: LogIndex(8))])
        #expect(effects.sendNow.map(\.to) == [MemberID(2)])
        #expect(effects.membership == next)
        #expect(effects.committed == nil)
        #expect(!effects.needsSave)
        #expect(test.node.last == .at(8, term: 2))
        #expect(test.node.commit == LogIndex(8))
        #expect(test.node.applied == LogIndex(8))
        #expect(test.node.durable == LogIndex(8))
        let following = test.receive(
            from: 2, term: 2,
            .append(
                previous: .at(8, term: 2), entries: TestNode.log([2], after: 8),
                commit: LogIndex(9)))
        #expect(following.committed == LogIndex(9)..<LogIndex(10))
    }

    @Test("§7: term and vote stay; a term below the snapshot's is raised, and saved")
    func termIsRaised() {
        var kept = TestNode(term: 5)
        kept.receive(from: 2, term: 5, .voteRequest(last: .zero))
        kept.saveAll()
        #expect(
            !kept.step(.installed(snapshot: .at(4, term: 3), membership: .of([1]))).needsSave)
        #expect(kept.node.term == Term(5))
        var raised = TestNode(term: 1)
        raised.receive(from: 2, term: 1, .voteRequest(last: .zero))
        let effects = raised.step(.installed(snapshot: .at(4, term: 3), membership: .of([1])))
        #expect(effects.save == HardState(term: Term(3), vote: nil, commit: LogIndex(4)))
    }

    @Test("§7: a candidate goes back to following, for its log is another one")
    func candidateFollows() {
        var test = TestNode { $0.preVote = false }
        test.step(.campaign)
        test.step(.installed(snapshot: .at(4, term: 1), membership: .of([1, 2, 3])))
        #expect(test.node.role == .follower)
        #expect(test.node.term == Term(1))
    }

    @Test(
        "snapshots: saves from before prove nothing of the new log, and the answer waits for them")
    func earlierSavesAreVoid() {
        var test = TestNode()
        let save = test.receive(
            from: 2, term: 1,
            .append(previous: .zero, entries: TestNode.log([1, 1]), commit: .zero)
        ).saveNumber
        let installed = test.step(
            .installed(snapshot: .at(1, term: 2), membership: .of([1, 2, 3])))
        #expect(installed.sendNow.isEmpty)
        test.step(.saved(save))
        #expect(test.node.durable == LogIndex(1))
    }

    @Test("misuse: a snapshot that would take acknowledged entries away traps")
    func acknowledgedEntriesStay() async {
        var test = TestNode(logTerms: [1, 1, 1])
        #expect(!test.node.needsSnapshot(endingWith: .at(2, term: 1)))
        #expect(test.node.needsSnapshot(endingWith: .at(2, term: 2)))
        test.receive(from: 2, term: 1, .snapshotOffer(last: .at(1, term: 1)))
        #expect(!test.node.needsSnapshot(endingWith: .at(1, term: 1)))
        await #expect(processExitsWith: .failure) {
            var test = TestNode(logTerms: [1, 1, 1])
            test.step(.installed(snapshot: .at(2, term: 1), membership: .of([1])))
        }
        await #expect(processExitsWith: .failure) {
            var test = TestNode(logTerms: [1])
            test.receive(from: 2, term: 1, .snapshotOffer(last: .at(1, term: 1)))
            test.step(.installed(snapshot: .at(1, term: 1), membership: .of([1])))
        }
    }
}
