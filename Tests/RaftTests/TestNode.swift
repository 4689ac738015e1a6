// TestNode.swift: one node in a known state, for tests of a single rule.
// Belongs here: setting up and wrapping messages. Never here: expectations.
import Raft

/// One node whose saves the test finishes itself.
struct TestNode {
    var node: RaftNode
    /// What the last step asked for.
    var effects = Effects()

    /// Member 1 of `size`, with a log of one entry for each given term, all applied or none.
    init(
        size: UInt64 = 3, logTerms: [UInt64] = [], term: UInt64 = 0,
        configure: (inout Configuration) -> Void = { _ in }
    ) {
        var configuration = Configuration(id: MemberID(1), seed: 7)
        configuration.checksWholeLog = true
        configure(&configuration)
        var restored = Restored(voters: (1...size).map { MemberID($0) })
        restored.entries = TestNode.log(logTerms)
        restored.hardState.term = Term(max(term, logTerms.last ?? 0))
        node = RaftNode(configuration: configuration, restoring: restored)
    }

    /// A node that has become the leader in the next term and saved its no-op.
    static func leader(
        size: UInt64 = 3, logTerms: [UInt64] = [],
        configure: (inout Configuration) -> Void = { _ in }
    ) -> TestNode {
        var test = TestNode(size: size, logTerms: logTerms, configure: configure)
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
