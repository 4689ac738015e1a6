// JointQuorumTests.swift: two majorities compared with slow and obvious ways of counting.
// Source: Raft paper §6; thesis §4.1 and §4.3.
import Raft
import Testing

@Suite("joint quorum")
struct JointQuorumTests {
    private static func subset(of count: Int, _ bits: Int) -> [MemberID] {
        (0..<count).filter { bits >> $0 & 1 == 1 }.map { MemberID(UInt64($0)) }
    }

    private static func isMajority(_ some: [MemberID], of all: [MemberID]) -> Bool {
        all.filter { some.contains($0) }.count * 2 > all.count
    }

    /// Whether members decide, as §6 has it: by separate majorities.
    private static func decides(_ some: [MemberID], in membership: Membership) -> Bool {
        isMajority(some, of: membership.voters)
            && (!membership.isJoint || isMajority(some, of: membership.outgoing))
    }

    private static func random(_ generator: inout SeededGenerator) -> Membership {
        let bits = Int.random(in: 1..<64, using: &generator)
        var membership = Membership(voters: subset(of: 6, bits))
        let outgoing = Int.random(in: 0..<64, using: &generator)
        if Bool.random(using: &generator) { membership.outgoing = subset(of: 6, outgoing) }
        return membership
    }

    @Test("joint: the greatest value reached is the greatest that enough members have")
    func greatestIsBackedByBoth() {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<3_000 {
            let membership = JointQuorumTests.random(&generator)
            let values = (0..<6).map { _ in Int.random(in: 0...9, using: &generator) }
            let fast = JointQuorum(membership).greatest(
                reached: { values[Int($0.rawValue)] }, nobody: -1)
            let slow = (-1...9).last { value in
                let reached = (0..<6).filter { values[$0] >= value }.map { MemberID(UInt64($0)) }
                return JointQuorumTests.decides(reached, in: membership)
            }
            #expect(fast == slow, "\(membership) \(values)")
        }
    }

    @Test("joint: a vote is won, lost or open as every way to complete it says")
    func voteIsDecidedWhenAllCompletionsAgree() {
        var generator = SeededGenerator(seed: 8)
        for _ in 0..<3_000 {
            let membership = JointQuorumTests.random(&generator)
            let votes = (0..<6).map { _ in
                [true, false, nil][Int.random(in: 0..<3, using: &generator)]
            }
            let granted = (0..<6).filter { votes[$0] == true }.map { MemberID(UInt64($0)) }
            let possible = (0..<6).filter { votes[$0] != false }.map { MemberID(UInt64($0)) }
            let least = JointQuorumTests.decides(granted, in: membership)
            let most = JointQuorumTests.decides(possible, in: membership)
            let expected: Majority.VoteResult = least ? .won : most ? .pending : .lost
            let quorum = JointQuorum(membership)
            #expect(quorum.result { votes[Int($0.rawValue)] } == expected, "\(membership)")
            #expect(quorum.isMet { votes[Int($0.rawValue)] == true } == least, "\(membership)")
        }
    }

    @Test("joint: the voters are those of both halves, each once, in order")
    func votersAreOfBothHalves() {
        let quorum = JointQuorum(.of([2, 3, 4], outgoing: [1, 2]))
        #expect(quorum.voters.map(\.rawValue) == [1, 2, 3, 4])
        #expect(quorum.contains(MemberID(1)))
        #expect(!quorum.contains(MemberID(5)))
    }

    @Test("§6, thesis §4.1: on the way between any two configurations, neighbours share a decider")
    func neighboursCannotDecideApart() {
        for from in 1..<32 {
            for to in 1..<32 {
                var step = Membership(voters: JointQuorumTests.subset(of: 5, from))
                let target = Membership(voters: JointQuorumTests.subset(of: 5, to))
                for _ in 0..<2 where step != target {
                    let next = step.next(toward: target)
                    // What is left over by a quorum of one must never be a quorum of the other.
                    for bits in 0..<32 {
                        let some = JointQuorumTests.subset(of: 5, bits)
                        let others = JointQuorumTests.subset(of: 5, 31 - bits)
                        #expect(
                            !(JointQuorumTests.decides(some, in: step)
                                && JointQuorumTests.decides(others, in: next)),
                            "\(step) to \(next)")
                    }
                    step = next
                }
                #expect(step == target)
            }
        }
    }
}
