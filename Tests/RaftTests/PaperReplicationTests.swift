// PaperReplicationTests.swift: the rules on appending and committing, one test for each.
// Source: Raft paper §5.3, §5.4.2, §8; thesis §10.2.1.
import Raft
import Testing

@Suite("replication")
struct PaperReplicationTests {
    @Test("§8: a leader opens its term with a no-op for everybody")
    func leaderAppendsNoop() {
        var test = TestNode(logTerms: [1])
        test.win()
        #expect(test.effects.append.map(\.id) == [.at(2, term: 2)])
        #expect(test.effects.append.map(\.kind) == [.noop])
        for member: UInt64 in [2, 3] {
            #expect(test.effects.appended(to: member) == [[.at(2, term: 2)]])
        }
    }

    @Test("§5.3: a batch gets places next to each other, which the effects tell")
    func batchIsConsecutive() {
        var test = TestNode.leader()
        let effects = test.step(.propose([[1], [2], [3]]))
        #expect(effects.proposal == .accepted(first: .at(2, term: 1)))
        #expect(effects.append.map(\.id.index.rawValue) == [2, 3, 4])
        #expect(effects.append.map(\.payload) == [[1], [2], [3]])
        #expect(effects.needsSave)
    }

    @Test("§5.3: who does not lead takes no proposals, and names the leader")
    func followerRejectsProposals() {
        var test = TestNode()
        #expect(test.step(.propose([[1]])).proposal == .rejected(.notLeader(leader: nil)))
        test.receive(from: 2, term: 1, .heartbeat(commit: .zero, round: .zero))
        let effects = test.step(.propose([[1]]))
        #expect(effects.proposal == .rejected(.notLeader(leader: MemberID(2))))
        #expect(effects.append.isEmpty)
        #expect(test.node.last == .zero)
    }

    @Test(
        "§5.3: entries are committed when a majority has them on disk, the leader's disk included")
    func majorityCommits() {
        var others = TestNode.leader(size: 5)
        let save = others.step(.propose([[1]])).saveNumber
        others.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        others.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(others.node.commit == LogIndex(1))
        #expect(others.step(.saved(save)).committed == LogIndex(2)..<LogIndex(3))

        var slowDisk = TestNode.leader()
        slowDisk.step(.propose([[1]]))
        slowDisk.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(slowDisk.node.commit == LogIndex(1))
        // A majority without the leader is one too (thesis §10.2.1).
        let effects = slowDisk.receive(from: 3, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(effects.committed == LogIndex(2)..<LogIndex(3))
    }

    @Test("§5.3: followers hear of the commit at once, with or without new entries")
    func commitIsTold() {
        var test = TestNode.leader()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        let commits = test.effects.bodies.map { body -> UInt64? in
            guard case .append(_, _, let commit) = body else { return nil }
            return commit.rawValue
        }
        #expect(commits == [1])
    }

    @Test("§5.4.2: entries of older terms are committed only with one of the leader's own")
    func olderTermsWait() {
        var test = TestNode(logTerms: [1, 2])
        test.win()
        test.saveAll()
        test.receive(from: 2, term: 3, .appendAccepted(match: LogIndex(2)))
        test.receive(from: 3, term: 3, .appendAccepted(match: LogIndex(2)))
        #expect(test.node.commit == .zero)
        let effects = test.receive(from: 2, term: 3, .appendAccepted(match: LogIndex(3)))
        #expect(effects.committed == LogIndex(1)..<LogIndex(4))
    }

    @Test("§5.3: a follower takes entries only after one that it has, and says where to look")
    func followerChecksPrevious() {
        let cases: [(previous: EntryID, hint: EntryID)] = [
            (.at(9, term: 4), .at(5, term: 3)),
            (.at(5, term: 4), .at(5, term: 3)),
            (.at(5, term: 2), .at(3, term: 2)),
            (.at(9, term: 1), .at(1, term: 1)),
        ]
        for (previous, hint) in cases {
            var test = TestNode(logTerms: [1, 2, 2, 3, 3])
            let effects = test.receive(
                from: 2, term: 5, .append(previous: previous, entries: [], commit: .zero))
            #expect(
                effects.bodies == [.appendRejected(previous: previous.index, hint: hint)],
                "\(previous)")
            #expect(test.node.last == .at(5, term: 3))
        }
    }

    @Test("§5.3: what conflicts is replaced; what is equal stays, even behind the message's end")
    func conflictsAreReplaced() {
        var shorter = TestNode(logTerms: [1, 1, 1])
        let equal = shorter.receive(
            from: 2, term: 1,
            .append(previous: .zero, entries: TestNode.log([1, 1]), commit: .zero))
        #expect(equal.truncateAfter == nil)
        #expect(equal.append.isEmpty)
        #expect(equal.bodies == [.appendAccepted(match: LogIndex(2))])
        #expect(shorter.node.last == .at(3, term: 1))

        var other = TestNode(logTerms: [1, 1, 1])
        let conflict = other.receive(
            from: 2, term: 2,
            .append(previous: .zero, entries: TestNode.log([1, 2]), commit: .zero))
        #expect(conflict.truncateAfter == LogIndex(1))
        #expect(conflict.append.map(\.id) == [.at(2, term: 2)])
        #expect(conflict.sendNow.isEmpty)
        #expect(conflict.sendAfterSave.map(\.body) == [.appendAccepted(match: LogIndex(2))])
    }

    @Test("§5.3: a follower commits no further than the message vouches for")
    func followerCommitIsBounded() {
        var test = TestNode(logTerms: [1, 1, 1])
        let effects = test.receive(
            from: 2, term: 2,
            .append(previous: .at(1, term: 1), entries: [], commit: LogIndex(3)))
        #expect(effects.committed == LogIndex(1)..<LogIndex(2))
        #expect(effects.needsSave)
        #expect(test.node.commit == LogIndex(1))
    }

    @Test("§5.3: malformed runs of entries are dropped, not stored")
    func malformedAppendsAreDropped() {
        let gap = [TestNode.log([1])[0], TestNode.log([1, 1, 1])[2]]
        let future = TestNode.log([9])
        let falling = TestNode.log([3, 2])
        for entries in [gap, future, falling] {
            var test = TestNode()
            let effects = test.receive(
                from: 2, term: 4, .append(previous: .zero, entries: entries, commit: .zero))
            #expect(effects.append.isEmpty)
            #expect(effects.bodies.isEmpty)
        }
    }

    @Test("§5.3: a rejection takes the leader back by whole terms")
    func leaderBacktracksByTerm() {
        var test = TestNode.leader(logTerms: [1, 1, 4, 4, 5, 5, 6])
        // The follower's log is 1 1 2 2 2 3 3.
        test.receive(
            from: 2, term: 7, .appendRejected(previous: LogIndex(7), hint: .at(7, term: 3)))
        guard case .append(let previous, _, _) = test.effects.sendNow.first?.body else {
            Issue.record("no probe: \(test.effects)")
            return
        }
        #expect(previous == .at(2, term: 1))
    }

    @Test("§5.3: late and repeated answers neither move a member back nor send anything twice")
    func lateAnswersAreIgnored() {
        var test = TestNode.leader()
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        test.step(.propose([[1]]))
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        let late = test.receive(
            from: 2, term: 1, .appendRejected(previous: LogIndex(1), hint: .zero))
        #expect(late.sendNow.isEmpty)
        let again = test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        #expect(again.sendNow.isEmpty)
        let impossible = test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(99)))
        #expect(impossible.sendNow.isEmpty)
    }

    @Test("thesis §10.2.1: appends follow each other without waiting, within the window")
    func appendsArePipelined() {
        var test = TestNode.leader { $0.limits.inflightAppendsMax = 3 }
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        var sent = 0
        for _ in 0..<5 { sent += test.step(.propose([[1]])).appended(to: 2).count }
        #expect(sent == 3)
        // An answer makes room; what waited goes as one message.
        let effects = test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(3)))
        #expect(effects.appended(to: 2).last == [.at(5, term: 1), .at(6, term: 1)])
    }

    @Test("thesis §10.2.1: the window is bounded in bytes too, and one entry always fits")
    func windowIsBoundedInBytes() {
        var test = TestNode.leader { configuration in
            configuration.limits.inflightBytesMax = 1_000
            configuration.limits.appendBytesMax = 500
        }
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        let large = [UInt8](repeating: 0, count: 5_000)
        #expect(test.step(.propose([large])).appended(to: 2) == [[.at(2, term: 1)]])
        #expect(test.step(.propose([[1]])).appended(to: 2).isEmpty)
        let effects = test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(2)))
        #expect(effects.appended(to: 2).contains([.at(3, term: 1)]))
    }

    @Test("replication: a lost append is found out by heartbeats, even with a full window")
    func lostAppendsAreSentAgain() {
        var test = TestNode.leader { $0.limits.inflightAppendsMax = 1 }
        test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        test.step(.propose([[1]]))
        test.step(.propose([[2]]))
        var probed = false
        for _ in 0..<3 {
            test.step(.tick)
            test.receive(from: 2, term: 1, .heartbeatAnswer(round: .zero))
            probed =
                probed
                || test.effects.bodies.contains { body in
                    guard case .append(.at(2, term: 1), _, _) = body else { return false }
                    return true
                }
        }
        #expect(probed)
        let effects = test.receive(
            from: 2, term: 1, .appendRejected(previous: LogIndex(2), hint: .at(1, term: 1)))
        #expect(effects.appended(to: 2) == [[.at(2, term: 1), .at(3, term: 1)]])
    }

    @Test("replication: a silent member gets one probe, not a flood")
    func silentMemberIsProbedOnce() {
        var test = TestNode.leader()
        for _ in 0..<100 { #expect(test.step(.propose([[1]])).appended(to: 2).isEmpty) }
        let effects = test.receive(from: 2, term: 1, .appendAccepted(match: LogIndex(1)))
        #expect(effects.appended(to: 2).flatMap { $0 }.count == 100)
    }
}

/// Lets a pattern compare an ID.
private func ~= (pattern: EntryID, value: EntryID) -> Bool { pattern == value }
