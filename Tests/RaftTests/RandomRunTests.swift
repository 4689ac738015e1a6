// RandomRunTests.swift: many short random lives of clusters, from fixed seeds.
// Belongs here: which seeds, how long, and that the checks can fail. Never here: the run itself.
// To repeat one: RandomRun(seed: N).run(steps: 1_500).
import Raft
import Testing

@Suite("random runs")
struct RandomRunTests {
    @Test(
        "random: whatever is lost, late or crashes, the four safety properties hold, then it heals")
    func seedsAreSafe() {
        var leaders = 0
        var agreed = 0
        var reads = 0
        var changes = 0
        var joint = 0
        var installs = 0
        var transfers = 0
        for seed in UInt64(1)...300 {
            var run = RandomRun(seed: seed)
            let violations = run.run(steps: 1_500)
            #expect(violations.isEmpty, "seed \(seed)")
            leaders += run.checker.leaderCount
            agreed += run.checker.agreedCount
            reads += run.checker.readsAnswered
            changes += run.checker.membership.changeCount
            joint += run.checker.membership.jointCount
            installs += run.checker.installCount
            transfers += run.transfersBegun
        }
        // That the runs do something, not that they do it often.
        #expect(leaders > 300)
        #expect(agreed > 3_000)
        #expect(reads > 300)
        #expect(changes > 100)
        #expect(joint > 20)
        #expect(installs > 30)
        #expect(transfers > 50)
    }

    @Test("random: the same seed gives the same run")
    func seedFixesRun() {
        var first = RandomRun(seed: 11)
        var second = RandomRun(seed: 11)
        #expect(first.run(steps: 3_000) == second.run(steps: 3_000))
        #expect(first.cluster.network == second.cluster.network)
        for (one, other) in zip(first.cluster.members, second.cluster.members) {
            #expect(one.disk.entries == other.disk.entries)
        }
        #expect(first.checker.agreedCount == second.checker.agreedCount)
    }

    @Test("random: a caller that sends votes and acknowledgements before the save is found out")
    func sendingBeforeSaveIsFound() async {
        // The node itself may trap on what follows, hence a process of its own.
        await #expect(processExitsWith: .failure) {
            for seed in UInt64(1)...400 {
                var run = RandomRun(seed: seed, sendsBeforeSave: true)
                let violations = run.run(steps: 4_000)
                precondition(violations.isEmpty, "seed \(seed): \(violations)")
            }
        }
    }

    @Test("checker: a configuration that may not follow the last one is found out")
    func wrongSuccessorIsFound() {
        let cases: [([Membership], Bool)] = [
            ([.of([1, 2])], true), ([.of([1])], false),
            ([.of([3, 4, 5], outgoing: [1, 2, 3]), .of([3, 4, 5])], true),
            ([.of([3, 4, 5], outgoing: [1, 2])], false),
            ([.of([3, 4, 5], outgoing: [1, 2, 3]), .of([1, 2, 3])], false),
        ]
        for (memberships, isAllowed) in cases {
            var checker = MembershipChecker(initial: .of([1, 2, 3]))
            var mistakes: [String] = []
            for (offset, membership) in memberships.enumerated() {
                let entry = Entry(
                    id: .at(UInt64(offset) + 1, term: 1), kind: .membership,
                    payload: membership.payload(with: []))
                if let mistake = checker.agree(on: entry) { mistakes.append(mistake) }
            }
            #expect(mistakes.isEmpty == isAllowed, "\(memberships)")
        }
    }

    @Test("checker: a member that goes by another configuration than its log's is found out")
    func wrongMembershipIsFound() {
        var cluster = Cluster(voters: [1, 2, 3])
        let checker = MembershipChecker(initial: .of([1, 2, 3]))
        #expect(checker.mistake(of: cluster.members[0]) == nil)
        cluster[1].checkpoint.membership = .of([1, 2])
        #expect(checker.mistake(of: cluster.members[0]) != nil)
    }

    @Test("checker: a vote lost in a crash makes two leaders, which is found out")
    func forgottenVoteIsFound() {
        var cluster = Cluster(voters: [1, 2, 3]) { $0.preVote = false }
        var checker = SafetyChecker(initial: cluster.members[0].checkpoint.membership)
        func step(_ id: UInt64, _ input: Input) {
            let effects = cluster.step(MemberID(id), input) ?? Effects()
            checker.observe(MemberID(id), effects, in: cluster)
        }
        func finishSaves(_ id: UInt64) {
            while let effects = cluster.finishSave(MemberID(id)) {
                checker.observe(MemberID(id), effects, in: cluster)
            }
        }
        func deliver(_ from: UInt64, _ to: UInt64) {
            let isMeant = { (message: Message) in
                message.from == MemberID(from) && message.to == MemberID(to)
            }
            let messages = cluster.network.filter(isMeant)
            cluster.network.removeAll(where: isMeant)
            for message in messages { step(to, .received(message)) }
        }
        // Two candidates in term 1; member 2 votes for the first, forgets it, votes for the other.
        for candidate: UInt64 in [1, 3] {
            step(candidate, .campaign)
            finishSaves(candidate)
        }
        for candidate: UInt64 in [1, 3] {
            deliver(candidate, 2)
            finishSaves(2)
            deliver(2, candidate)
            cluster[2].crash()
            cluster[2].disk.hard.vote = nil
            cluster[2].start()
        }
        #expect(checker.violations == ["election safety: 3 and 1 lead \(Term(1))"])
    }
}
