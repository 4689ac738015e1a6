// CheckerWatchMutationTests.swift: each way in which watches and leases can lie is found.
// Belongs here: falsifications of CheckerStory, one promise each. Never here: those of calls.
import Simulation
import Testing

@Suite("checkers: falsified watches and leases")
struct CheckerWatchMutationTests {
    private typealias Story = CheckerStory

    @Test("checkers: a falsified watch or lease is found", arguments: watches + streams + leases)
    func isFound(_ lie: Falsification) {
        var story = CheckerStory()
        lie.change(&story)
        let found = story.check()
        #expect(
            found.contains { lie.rules.contains($0.rule) }, "found \(found), not \(lie.rules)")
    }

    static let watches: [Falsification] = [
        Falsification("an event is missing", [.watchMissing]) { $0.receive(0, 0, 2, []) },
        Falsification("the last event is missing in the end", [.watchMissing]) {
            $0.receive(0, 1, 7, [])
        },
        Falsification("an event of a lost write is missing", [.watchMissing, .watchProgress]) {
            $0.receive(0, 1, 2, [])
        },
        Falsification("an event comes twice", [.watchDuplicate]) {
            let event = Story.receipt(36, 3, [Story.event(Story.b1)])
            $0.history.watches[0].attempts[0].receipts.insert(event, at: 3)
        },
        Falsification("an event comes twice in one response", [.watchDuplicate]) {
            $0.receive(
                0, 0, 2, [Story.receipt(35, 3, [Story.event(Story.b1), Story.event(Story.b1)])])
        },
        Falsification("an event comes again after the watch was resumed", [.watchWrong]) {
            $0.receive(
                0, 1, 1,
                [Story.receipt(135, 6, [Story.event(Story.c), Story.event(deleted: Story.b1, 6)])])
        },
        Falsification("events are swapped", [.watchMissing, .watchOrder, .watchDuplicate]) {
            $0.history.watches[0].attempts[0].receipts.swapAt(2, 3)
        },
        Falsification("events of one revision are swapped", [.watchOrder]) {
            $0.receive(
                0, 1, 5,
                [
                    Story.receipt(
                        3_400_000, 10,
                        [Story.event(deleted: Story.l2, 10), Story.event(deleted: Story.l1, 10)])
                ])
        },
        Falsification("a revision is torn into two responses", [.watchAtomic]) {
            $0.receive(
                0, 1, 5,
                [
                    Story.receipt(3_400_000, 10, [Story.event(deleted: Story.l1, 10)]),
                    Story.receipt(3_400_001, 10, [Story.event(deleted: Story.l2, 10)]),
                ])
        },
        Falsification("only part of a revision comes", [.watchMissing]) {
            $0.receive(
                0, 1, 5, [Story.receipt(3_400_000, 10, [Story.event(deleted: Story.l1, 10)])])
        },
        Falsification("a put is shown with a wrong value", [.watchWrong]) {
            $0.receive(
                0, 0, 2, [Story.receipt(35, 3, [Story.event(Story.item("b", "7", 3, 3, 1))])])
        },
        Falsification("a put is shown as a delete", [.watchWrong]) {
            $0.receive(
                0, 0, 2, [Story.receipt(35, 3, [WatchEvent(.delete(key: [0x62], modRevision: 3))])])
        },
        Falsification("a change that never was is shown", [.watchWrong]) {
            $0.receive(
                0, 0, 2,
                [
                    Story.receipt(
                        35, 3, [Story.event(Story.b1), Story.event(Story.item("q", "1", 3, 3, 1))])
                ])
        },
        Falsification("a key outside the span is shown", [.watchFilter]) {
            $0.history.watches[1].attempts[0].receipts.append(
                Story.receipt(96, 5, [Story.event(Story.c)]))
        },
        Falsification("a delete is shown against the filter", [.watchFilter]) {
            $0.history.watches[0].noDelete = true
        },
        Falsification("a put is shown against the filter", [.watchFilter]) {
            $0.history.watches[0].noPut = true
        },
        Falsification("the previous value is missing", [.watchPrevious]) {
            $0.receive(0, 0, 3, [Story.receipt(75, 4, [Story.event(Story.a2)])])
        },
        Falsification("the previous value is wrong", [.watchPrevious]) {
            $0.receive(0, 0, 3, [Story.receipt(75, 4, [Story.event(Story.a2, Story.b1)])])
        },
        Falsification("a create has a previous value", [.watchPrevious]) {
            $0.receive(0, 0, 4, [Story.receipt(95, 5, [Story.event(Story.c, Story.a2)])])
        },
        Falsification("a previous value is shown unasked", [.watchPrevious]) {
            $0.receive(1, 0, 1, [Story.receipt(85, 4, [Story.event(Story.a2, Story.a1)])])
        },
    ]

    static let streams: [Falsification] = [
        Falsification("progress is told before an event", [.watchProgress]) {
            $0.history.watches[0].attempts[1].receipts.swapAt(2, 3)
        },
        Falsification("progress falls back", [.watchProgress]) {
            $0.receive(0, 1, 3, [WatchReceipt(at: 215, revision: 6, .progress)])
        },
        Falsification("a header is below its event", [.watchHeader]) {
            $0.receive(0, 0, 3, [Story.receipt(75, 3, [Story.event(Story.a2, Story.a1)])])
        },
        Falsification("a header is beyond all calls", [.watchHeader]) {
            $0.receive(0, 1, 3, [WatchReceipt(at: 215, revision: 1_000_000_000, .progress)])
        },
        Falsification("an event comes before the creation", [.watchOrder]) {
            $0.history.watches[0].attempts[0].receipts.swapAt(0, 1)
        },
        Falsification("a watch from now shows what was before", [.watchWrong]) {
            $0.history.watches[1].attempts[0].receipts.insert(
                Story.receipt(46, 3, [Story.event(Story.a1)]), at: 1)
        },
        Falsification("a watch from now misses the next change", [.watchMissing]) {
            $0.receive(1, 0, 1, [])
        },
        Falsification("a watch is resumed too late", [.watchResume]) {
            $0.history.watches[0].attempts[1].startRevision = 7
            $0.receive(0, 1, 1, [])
        },
        Falsification("a watch is resumed from now", [.watchResume]) {
            $0.history.watches[0].attempts[1].startRevision = 0
        },
        Falsification("a cancel names another compaction", [.watchCancel]) {
            $0.receive(2, 0, 1, [WatchReceipt(at: 402, revision: 0, .canceled(compactRevision: 5))])
        },
        Falsification("a watch that needs nothing old is canceled", [.watchCancel]) {
            $0.history.watches[2].attempts[0].startRevision = 4
        },
        Falsification("a canceled watch goes on", [.watchCancel]) {
            $0.history.watches[2].attempts[0].receipts.append(
                WatchReceipt(at: 403, revision: 9, .progress))
        },
        Falsification("a watch that must go on is never created", [.watchMissing]) {
            $0.history.watches[1].attempts[0].receipts = []
        },
    ]

    static let leases: [Falsification] = [
        Falsification("a lease ends early", [.leaseEarly]) {
            $0.history.operations[19].invoked = 2_000_000
            $0.history.operations[19].outcome = .answered(
                at: 2_000_010, Response(revision: 10, Story.found([])))
        },
        Falsification("a lease ends early for a watch", [.leaseEarly]) {
            $0.history.watches[0].attempts[1].receipts[5].at = 2_999_999
        },
        Falsification("a lease ends early for a fast clock, beyond the bound", [.leaseEarly]) {
            $0.terms.driftPerMillion = 10_000
            $0.history.watches[0].attempts[1].receipts[5].at = 2_979_000
        },
        Falsification("a renewal is forgotten", [.leaseEarly]) {
            $0.history.operations[18].invoked = 2_000_000
            $0.history.operations[18].outcome = .answered(
                at: 2_000_010, Response(revision: 9, .leaseKeepAlive(ttl: 2)))
        },
        Falsification("a lease ends late", [.leaseLate]) {
            $0.history.watches[0].attempts[1].receipts[5].at = 3_590_000
            $0.history.operations[19].invoked = 3_580_000
            $0.history.operations[19].outcome = .answered(
                at: 3_580_010, Response(revision: 9, Story.found([Story.l1, Story.l2])))
        },
        Falsification("only some keys go with their lease", [.leaseTorn]) {
            $0.receive(
                0, 1, 5, [Story.receipt(3_400_000, 10, [Story.event(deleted: Story.l1, 10)])])
            $0.answer(19, Story.found([Story.l2]))
            $0.contents = []
        },
        Falsification("some keys survive a revoke", [.answer, .unexplained]) {
            $0.answer(26, Story.found([Story.m]))
        },
        Falsification("a revoke leaves its keys", [.answer]) {
            $0.dropWatches()
            $0.answer(25, revision: 11)
            $0.history.operations.removeLast()
            $0.contents = []
        },
        Falsification("a lease is gone though it was just granted", [.leaseLost]) {
            $0.answer(24, .leaseTimeToLive(ttl: -1, granted: 0))
        },
        Falsification("a renewal finds no lease though it lives", [.leaseLost]) {
            $0.call(3_960_000, .leaseKeepAlive(id: 6), 11, .leaseKeepAlive(ttl: 0))
        },
        Falsification("a put finds no lease though it lives", [.leaseLost]) {
            $0.add(
                3_960_000, .put(Story.put("m", "w", lease: 6)),
                .refused(at: 3_960_010, .leaseNotFound))
        },
        Falsification("a put hangs on a lease that nobody granted", [.leaseDead]) {
            $0.history.operations.removeAll { $0.number == 15 || $0.number == 18 }
        },
        Falsification("a revoked lease is renewed", [.leaseDead]) {
            $0.call(4_200_000, .leaseKeepAlive(id: 6), 12, .leaseKeepAlive(ttl: 100))
        },
        Falsification("an ended lease is used", [.leaseDead, .leaseEarly]) {
            $0.answer(20, .leaseKeepAlive(ttl: 2))
        },
        Falsification("a number is refused as taken though it is free", [.refusal]) {
            $0.add(4_200_000, .leaseGrant(id: 9, ttl: 2), .refused(at: 4_200_010, .leaseExists))
        },
    ]

    @Test("checkers: a lease may end early by as much as clocks drift")
    func drift() {
        var story = CheckerStory()
        story.terms.driftPerMillion = 10_000
        story.history.watches[0].attempts[1].receipts[5].at = 2_985_000
        #expect(story.check().isEmpty, "\(story.check())")
    }

    @Test("checkers: lateness is not judged across a change of leaders")
    func reigns() {
        var story = CheckerStory()
        story.history.watches[0].attempts[1].receipts[5].at = 3_590_000
        story.history.operations[19].invoked = 3_580_000
        story.history.operations[19].outcome = .answered(
            at: 3_580_010,
            Response(revision: 9, CheckerStory.found([CheckerStory.l1, CheckerStory.l2])))
        story.terms.reigns = [LeaseTerms.Reign(from: 2_000_000, until: 10_000_000)]
        #expect(story.check().isEmpty, "\(story.check())")
    }
}
