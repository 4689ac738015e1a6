// CheckerMutationTests.swift: each way in which calls, compactions and contents can lie is found.
// Belongs here: falsifications of CheckerStory, one promise each. Never here: those of watches and
// leases (CheckerWatchMutationTests.swift).
import Simulation
import Testing

@Suite("checkers: falsified calls")
struct CheckerMutationTests {
    @Test("checkers: the true story is accepted")
    func trueStory() {
        let found = CheckerStory().check()
        #expect(found.isEmpty, "\(found)")
    }

    @Test("checkers: the true story is accepted from its calls alone")
    func trueStoryWithoutWatches() {
        var story = CheckerStory()
        story.dropWatches()
        let found = story.check()
        #expect(found.isEmpty, "\(found)")
    }

    @Test("checkers: a falsified story is refused", arguments: calls + old + ends)
    func isFound(_ lie: Falsification) {
        var story = CheckerStory()
        lie.change(&story)
        let found = story.check()
        #expect(
            found.contains { lie.rules.contains($0.rule) }, "found \(found), not \(lie.rules)")
    }

    @Test("checkers: a falsified story is refused from its calls alone", arguments: calls + old)
    func isFoundWithoutWatches(_ lie: Falsification) {
        var story = CheckerStory()
        lie.change(&story)
        story.dropWatches()
        let found = story.check()
        #expect(
            found.contains { lie.rules.contains($0.rule) }, "found \(found), not \(lie.rules)")
    }

    private typealias Story = CheckerStory

    static let calls: [Falsification] = [
        Falsification("a wrong value is read", [.answer]) {
            $0.answer(2, Story.found([Story.item("a", "7", 2, 2, 1)]))
        },
        Falsification("a wrong version is read", [.answer]) {
            $0.answer(2, Story.found([Story.item("a", "1", 2, 2, 2)]))
        },
        Falsification("a wrong create revision is read", [.answer]) {
            $0.answer(2, Story.found([Story.item("a", "1", 1, 2, 1)]))
        },
        Falsification("a wrong lease is read", [.answer]) {
            $0.answer(2, Story.found([Story.item("a", "1", 2, 2, 1, lease: 3)]))
        },
        Falsification("a key is not read", [.answer]) { $0.answer(2, Story.found([])) },
        Falsification("a key that nobody put is read", [.answer]) {
            $0.answer(2, Story.found([Story.a1, Story.item("ax", "1", 2, 2, 1)]))
        },
        Falsification("a read is older than a write that ended before", [.stale]) {
            $0.answer(9, revision: 6)
            $0.answer(9, Story.found([]))
            $0.add(190, .range(RangeRead(Story.span("d"))), .unknown)
            $0.call(185, .range(RangeRead(Story.span("d"))), 7, Story.found([Story.d]))
        },
        Falsification("a read shows a revision that nothing had begun", [.realTime, .unexplained]) {
            $0.answer(2, revision: 4)
        },
        Falsification("a serializable read shows a write before it began", [.realTime]) {
            $0.history.operations[7].invoked = 100
            $0.history.operations[7].outcome = .answered(
                at: 120, Response(revision: 6, Story.found([])))
        },
        Falsification("a serializable read mixes two revisions", [.answer]) {
            $0.answer(7, revision: 6)
        },
        Falsification("writes stand against real time", [.realTime]) {
            $0.history.operations[1].invoked = 1
            $0.history.operations[1].outcome = .answered(
                at: 5, Response(revision: 3, .put(previous: nil)))
        },
        Falsification("two writes have one revision", [.revisionTwice]) {
            $0.answer(1, revision: 2)
        },
        Falsification("a revision is beyond all calls", [.revisionRange]) {
            $0.answer(10, revision: 1_000_000_000_000)
        },
        Falsification("a revision is zero", [.revisionRange]) { $0.answer(2, revision: 0) },
        Falsification("an acknowledged write is not applied", [.answer, .unexplained]) {
            $0.history.operations[3].request = .put(Story.put("b", "2"))
        },
        Falsification("the previous value is wrong", [.answer]) {
            $0.answer(3, .put(previous: Story.b1))
        },
        Falsification("the previous value is not shown", [.answer]) {
            $0.answer(3, .put(previous: nil))
        },
        Falsification("a transaction takes the wrong path", [.answer, .unexplained]) {
            $0.answer(4, .txn(succeeded: false, answers: []))
        },
        Falsification("a transaction misses its own put", [.answer]) {
            $0.answer(
                4,
                .txn(
                    succeeded: true,
                    answers: [.put(previous: nil), Story.found([Story.a2, Story.b1])]))
        },
        Falsification("a condition held that does not", [.answer]) {
            guard case .txn(var txn) = $0.history.operations[4].request else { return }
            txn.compares = [Compare(Story.span("a"), .less, .modRevision(4))]
            $0.history.operations[4].request = .txn(txn)
        },
        Falsification("a transaction is half applied", [.answer, .unexplained]) {
            guard case .txn(var txn) = $0.history.operations[4].request else { return }
            txn.success.insert(.put(Story.put("e", "y")), at: 1)
            $0.history.operations[4].request = .txn(txn)
            $0.answer(
                4,
                .txn(
                    succeeded: true,
                    answers: [
                        .put(previous: nil), .put(previous: nil),
                        Story.found([Story.a2, Story.b1, Story.c]),
                    ]))
        },
        Falsification("a delete counts wrongly", [.answer]) {
            $0.answer(6, .deleteRange(deleted: 2, previous: [Story.b1]))
        },
        Falsification("a delete shows the wrong value", [.answer]) {
            $0.answer(6, .deleteRange(deleted: 1, previous: [Story.a2]))
        },
        Falsification("a delete is undone", [.answer]) {
            $0.answer(
                12, .range(RangeAnswer([Story.a2], count: 4, more: true)))
        },
        Falsification("more is not said", [.answer]) {
            $0.answer(12, .range(RangeAnswer([Story.a2], count: 3, more: false)))
        },
        Falsification("a limit is not kept", [.answer]) {
            $0.answer(12, .range(RangeAnswer([Story.a2, Story.c], count: 3, more: true)))
        },
        Falsification("nothing explains a revision", [.unexplained]) {
            $0.history.operations.removeAll { $0.number == 8 }
        },
        Falsification("a lost write is applied before it began", [.unexplained]) {
            $0.history.operations[8].invoked = 230
        },
        Falsification("a lost write is applied twice", [.answer, .unexplained]) {
            $0.call(
                4_200_000, .range(RangeRead(Story.span("d"))), 13,
                Story.found([Story.item("d", "9", 7, 13, 2)]))
        },
        Falsification("a refused write is applied", [.unexplained, .answer]) {
            $0.history.operations[8].outcome = .refused(at: 180, .other("too many requests"))
        },
    ]

    static let old: [Falsification] = [
        Falsification("an old read shows the present", [.answer]) {
            $0.answer(5, Story.found([Story.a2, Story.b1]))
        },
        Falsification("an old read of a revision that is not yet is answered", [.answer]) {
            $0.history.operations[5].request = .range(RangeRead(.everything, revision: 6))
        },
        Falsification("a read below the compacted revision is answered", [.compaction]) {
            $0.history.operations[11].outcome = .answered(
                at: 250, Response(revision: 7, Story.found([Story.a1])))
        },
        Falsification("a transaction reads below the compacted revision", [.compaction]) {
            $0.call(
                4_200_000,
                .txn(Txn(success: [.range(RangeRead(Story.span("a"), revision: 3))])), 12,
                .txn(succeeded: true, answers: [Story.found([Story.a1])]))
        },
        Falsification("a read at the compacted revision is refused", [.compaction]) {
            $0.history.operations[11].request = .range(RangeRead(Story.span("a"), revision: 4))
        },
        Falsification("a read is refused as compacted before any compaction", [.compaction]) {
            $0.history.operations[11].invoked = 60
            $0.history.operations[11].outcome = .refused(at: 65, .compacted)
        },
        Falsification("a present read is refused as of the future", [.compaction]) {
            $0.history.operations[13].request = .range(RangeRead(Story.span("a"), revision: 6))
        },
        Falsification("a compaction of the future is answered", [.compaction]) {
            $0.history.operations[10].request = .compact(revision: 8)
        },
        Falsification("a compaction is answered twice", [.compaction]) {
            $0.call(4_200_000, .compact(revision: 4), 12, .compact)
        },
        Falsification("a compaction is refused though nothing was compacted", [.compaction]) {
            $0.history.operations[10].outcome = .refused(at: 230, .compacted)
        },
        Falsification("a put that keeps the value finds no key though it is there", [.refusal]) {
            var kept = Story.put("a", "")
            kept.ignoreValue = true
            $0.history.operations[14].request = .put(kept)
        },
    ]

    static let ends: [Falsification] = [
        Falsification("an acknowledged write is not in the end", [.durability]) {
            $0.contents[0].keyValues.remove(at: 1)
        },
        Falsification("an old value is there in the end", [.durability]) {
            $0.contents[0].keyValues[0] = Story.a1
        },
        Falsification("another value is there in the end", [.durability]) {
            $0.contents[0].keyValues[0].value = [0x39]
        },
        Falsification("a deleted key is there in the end", [.durability]) {
            $0.contents[0].keyValues.insert(Story.b1, at: 1)
        },
        Falsification("a key that nobody put is there in the end", [.durability]) {
            $0.contents[0].keyValues.append(Story.item("y", "1", 3, 3, 1))
        },
        Falsification("a newer value than any put is there in the end", [.durability]) {
            $0.contents[0].keyValues[1].modRevision = 11
        },
        Falsification("a member ends behind", [.durability]) { $0.contents[1].revision = 11 },
        Falsification("members end with different values", [.divergence]) {
            $0.contents[1].keyValues[2].version = 2
        },
        Falsification("members end with different keys", [.divergence]) {
            $0.contents[1].keyValues.removeLast()
        },
        Falsification("members end at different revisions", [.divergence]) {
            $0.contents[1].revision = 13
        },
    ]

    @Test("checkers: page hashes are compared by index")
    func pageHashes() {
        var checker = ConvergenceChecker()
        #expect(checker.add(member: 1, index: 5, hash: 77) == nil)
        #expect(checker.add(member: 2, index: 6, hash: 78) == nil)
        #expect(checker.add(member: 2, index: 5, hash: 77) == nil)
        #expect(checker.add(member: 3, index: 5, hash: 78)?.rule == .divergence)
        checker.forget(below: 6)
        #expect(checker.count == 1)
        #expect(checker.add(member: 3, index: 5, hash: 78) == nil)
        #expect(checker.add(member: 3, index: 6, hash: 77)?.rule == .divergence)
    }
}
