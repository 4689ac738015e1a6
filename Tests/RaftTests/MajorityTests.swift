// MajorityTests.swift: counting compared with a slow and obvious way of counting.
// Source: Raft paper §5.2, §5.3.
import Raft
import Testing

@Suite("majority")
struct MajorityTests {
    @Test("majority: the greatest value reached is that of the sorted middle")
    func greatestIsTheMiddle() {
        var generator = SeededGenerator(seed: 42)
        for _ in 0..<5_000 {
            let size = Int.random(in: 1...9, using: &generator)
            let values = (0..<size).map { _ in Int.random(in: 0...12, using: &generator) }
            let majority = Majority(voters: (0..<size).map { MemberID(UInt64($0)) })
            let fast = majority.greatest(reached: { values[Int($0.rawValue)] }, nobody: -1)
            let slow = values.sorted(by: >)[size / 2]
            #expect(fast == slow, "\(values)")
        }
    }

    @Test("majority: a vote is won, lost or open as every way to complete it says")
    func voteIsDecidedWhenAllCompletionsAgree() {
        for size in 1...5 {
            let majority = Majority(voters: (0..<size).map { MemberID(UInt64($0)) })
            var combinations = 1
            for _ in 0..<size { combinations *= 3 }
            for combination in 0..<combinations {
                var rest = combination
                var votes: [Bool?] = []
                for _ in 0..<size {
                    votes.append([true, false, nil][rest % 3])
                    rest /= 3
                }
                let least = votes.filter { $0 == true }.count * 2 > size
                let most = votes.filter { $0 != false }.count * 2 > size
                let expected: Majority.VoteResult = least ? .won : most ? .pending : .lost
                #expect(majority.result { votes[Int($0.rawValue)] } == expected, "\(votes)")
                #expect(majority.isMet { votes[Int($0.rawValue)] == true } == least)
            }
        }
    }

    @Test("majority: nobody decides where nobody votes, and nobody votes twice")
    func degenerateSets() {
        let none = Majority(voters: [])
        #expect(none.result { _ in true } == .lost)
        #expect(!none.isMet { _ in true })
        #expect(none.greatest(reached: { _ in 9 }, nobody: 0) == 0)
        let doubled = Majority(voters: [MemberID(2), MemberID(1), MemberID(2)])
        #expect(doubled.voters == [MemberID(1), MemberID(2)])
        #expect(doubled.quorum == 2)
    }
}
