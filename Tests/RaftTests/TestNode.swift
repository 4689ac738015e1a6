// TestNode.swift: one node in a known state, for tests of a single rule.
// Belongs here: setting up and wrapping messages. Never here: expectations.
import Raft

/// One node whose saves the test finishes itself.
struct TestNode {
    var node: RaftNode
    /// What the last step asked for.
    var effects = Effects()

    /// Member 1 of `size` voters, or of a given configuration, with a log of one entry for each
    /// given term, none of them applied.
    init(
        size: UInt64 = 3, membership: Membership? = nil, logTerms: [UInt64] = [],
        term: UInt64 = 0, configure: (inout Configuration) -> Void = { _ in }
    ) {
        var configuration = Configuration(id: MemberID(1), seed: 7)
        configuration.checksWholeLog = true
        configure(&configuration)
        var restored = Restored(membership: membership ?? .of(Array(1...size)))
        restored.entries = TestNode.log(logTerms)
        restored.hardState.term = Term(max(term, logTerms.last ?? 0))
        node = RaftNode(configuration: configuration, restoring: restored)
    }

    /// A node that has become the leader in the next term and saved its no-op.
    static func leader(
        size: UInt64 = 3, membership: Membership? = nil, logTerms: [UInt64] = [],
        configure: (inout Configuration) -> Void = { _ in }
    ) -> TestNode {
        var test = TestNode(
            size: size, membership: membership, logTerms: logTerms, configure: configure)
        test.win()
        test.saveAll()
        return test
    }

    static func log(_ terms: [UInt64], after: UInt64 = 0) -> [Entry] {
        terms.enumerated().map { offset, term in
            Entry(
                id: .at(after + UInt64(offset) + 1, term: term), kind: .normal,
                payload: [UInt8(truncatingIfNeeded: offset)])
        }
    }

    @discardableResult
    mutating func step(_ input: Input) -> Effects {
        effects = node.step(input)
        return effects
    }

    @discardableResult
    mutating func receive(from: UInt64, term: UInt64, _ body: Message.Body) -> Effects {
        step(
            .received(
                Message(from: MemberID(from), to: node.id, term: Term(term), body: body)))
    }

    /// Finishes every save asked for so far.
    @discardableResult
    mutating func saveAll() -> Effects { step(.saved(effects.saveNumber)) }

    /// A leader that has committed the no-op of its term, entry 1, by the word of all others.
    static func committedLeader(
        size: UInt64 = 3, membership: Membership? = nil,
        configure: (inout Configuration) -> Void = { _ in }
    ) -> TestNode {
        var test = leader(size: size, membership: membership, configure: configure)
        test.acceptAll(through: 1)
        return test
    }

    /// Lets every other member acknowledge the log through a place.
    mutating func acceptAll(through index: UInt64) {
        for member in node.membership.members where member != node.id && node.role == .leader {
            receive(
                from: member.rawValue, term: node.term.rawValue,
                .appendAccepted(match: LogIndex(index)))
        }
    }

    /// Stands for election and gets every vote.
    mutating func win() {
        step(.campaign)
        let next = node.role == .candidate ? node.term.rawValue : node.term.rawValue + 1
        let peers = node.voters.filter { $0 != node.id }.map(\.rawValue)
        for peer in peers where node.role == .preCandidate {
            receive(from: peer, term: next, .preVoteAnswer(granted: true))
        }
        saveAll()
        for peer in peers where node.role == .candidate {
            receive(from: peer, term: next, .voteAnswer(granted: true))
        }
    }
}

extension Membership {
    static func of(
        _ voters: [UInt64], outgoing: [UInt64] = [], learners: [UInt64] = [], next: [UInt64] = []
    ) -> Membership {
        var membership = Membership(
            voters: voters.map { MemberID($0) }, learners: learners.map { MemberID($0) })
        membership.outgoing = outgoing.map { MemberID($0) }
        membership.learnersNext = next.map { MemberID($0) }
        return membership
    }
}

extension EntryID {
    static func at(_ index: UInt64, term: UInt64) -> EntryID {
        EntryID(term: Term(term), index: LogIndex(index))
    }
}

extension Effects {
    /// What is said, to whomever, now or after the save.
    var bodies: [Message.Body] { (sendNow + sendAfterSave).map(\.body) }

    /// The entries of the appends sent to a member.
    func appended(to member: UInt64) -> [[EntryID]] {
        sendNow.compactMap { message in
            guard message.to == MemberID(member), case .append(_, let entries, _) = message.body
            else { return nil }
            return entries.map(\.id)
        }
    }
}
