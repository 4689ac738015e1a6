// MembershipTests.swift: configurations as values: their order, their steps, their bytes.
// Source: Raft paper §6; thesis §4.1 to §4.3.
import Raft
import Testing

@Suite("membership")
struct MembershipTests {
    @Test("membership: lists are put in order, and nobody is named twice")
    func listsAreOrdered() {
        let membership = Membership.of([3, 1, 3, 2], learners: [5, 4, 5])
        #expect(membership.voters.map(\.rawValue) == [1, 2, 3])
        #expect(membership.members.map(\.rawValue) == [1, 2, 3, 4, 5])
        #expect(!membership.isJoint)
        #expect(membership.problem == nil)
    }

    @Test("§4.1: a change of one voter and any learners is a single step")
    func oneVoterIsOneStep() {
        let now = Membership.of([1, 2, 3], learners: [4])
        for target in [
            Membership.of([1, 2, 3, 4]), .of([1, 2], learners: [3, 4]), .of([1, 2, 3]),
            .of([1, 2, 3], learners: [4, 5, 6]), now,
        ] { #expect(now.next(toward: target) == target) }
    }

    @Test("§6: any other change goes by a joint configuration, and demoted voters wait for its end")
    func otherChangesAreJoint() {
        let now = Membership.of([1, 2, 3], learners: [4])
        let target = Membership.of([2, 4, 5], learners: [3, 6])
        let joint = now.next(toward: target)
        #expect(joint == .of([2, 4, 5], outgoing: [1, 2, 3], learners: [6], next: [3]))
        #expect(joint.problem == nil)
        #expect(joint.left == target)
        #expect(joint.next(toward: now) == target, "there is no way but forward")
    }

    @Test("membership: what a configuration can't be is told")
    func problemsAreFound() {
        let many = (0...UInt64(Membership.membersMax)).map { $0 }
        let cases: [(Membership, Membership.Problem)] = [
            (.of([]), .noVoters), (.of([], outgoing: [1]), .noVoters),
            (.of(many), .tooManyMembers), (.of([1], learners: [1]), .rolesOverlap),
            (.of([1], outgoing: [2, 1]), .notAscending),
            (.of([1], outgoing: [1, 1]), .notAscending),
            (.of([1], outgoing: [2], learners: [2]), .rolesOverlap),
            (.of([1], outgoing: [2], next: [3]), .rolesOverlap),
            (.of([1], outgoing: [1, 2], next: [1]), .rolesOverlap),
            (.of([1], next: [2]), .rolesOverlap),
        ]
        for (membership, problem) in cases { #expect(membership.problem == problem) }
    }

    @Test("membership: bytes are read back, and have the layout that is documented")
    func bytesAreReadBack() {
        let joint = Membership.of([1, 258], outgoing: [1, 2], learners: [.max], next: [2])
        #expect(Membership(decoding: joint.encoded) == joint)
        #expect(
            Membership.of([1]).encoded == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test("membership: bytes cut short, too long or with one changed are refused or well-formed")
    func damagedBytesAreRefused() {
        let bytes = Membership.of([1, 2], outgoing: [3], learners: [4], next: [3]).encoded
        for count in 0..<bytes.count {
            #expect(Membership(decoding: Array(bytes[..<count])) == nil)
        }
        #expect(Membership(decoding: bytes + [0]) == nil)
        #expect(Membership(decoding: [2] + bytes.dropFirst()) == nil)
        #expect(Membership(decoding: [1, 255] + [UInt8](repeating: 0, count: 2_050)) == nil)
        for place in bytes.indices {
            for value: UInt8 in [0, 1, 2, 3, 64, 65, 255] {
                var changed = bytes
                changed[place] = value
                if let read = Membership(decoding: changed) { #expect(read.problem == nil) }
            }
        }
    }

    @Test("membership: an entry's payload holds the configuration and the caller's own bytes")
    func payloadIsSplit() {
        let membership = Membership.of([1, 2, 3])
        for rest in [[], [9, 8, 7] as [UInt8]] {
            let payload = membership.payload(with: rest)
            let parts = Membership.split(payload)
            #expect(parts?.membership == membership)
            #expect(parts.map { Array(payload[$0.restStart...]) } == rest)
        }
        let payload = membership.payload(with: [])
        #expect(Array(payload[..<4]) == [UInt8(payload.count - 4), 0, 0, 0])
        for count in 0..<payload.count {
            #expect(Membership.split(Array(payload[..<count])) == nil)
        }
        #expect(Membership.split([255, 255, 255, 255, 1]) == nil)
        #expect(Membership.split([0, 0, 0, 0]) == nil)
    }
}
