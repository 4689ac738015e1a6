// Invariants+Elections.swift: who may lead and with which log, changes of the members, files after a start.
// Belongs here: rules that look at one moment of a member's life. Never here: the records (Invariants.swift).
// Source: Raft paper sections 5.2 (election), 5.4.3 (leader completeness) and 6; thesis section 4.1 (one change at
// a time). What clients see of a mistake in these depends on luck.

@testable import Raft
import Storage

@testable import Server

/// Whether election timeouts are drawn anew, or are always the same.
struct TimeoutSample {
    private var first: Int?
    private var differs = false
    private var newestTerm: Term = .zero
    /// Terms in which somebody stood for election.
    private(set) var elections = 0

    /// So many elections with one and the same timeout are no chance: there are ten to draw from, or more.
    static let electionsMax = 25

    /// Takes what a member waits for; false if that is what all have waited for all the time.
    mutating func take(_ timeout: Int, term: Term) -> Bool {
        if first == nil { first = timeout }
        differs = differs || timeout != first
        if term > newestTerm {
            newestTerm = term
            elections += 1
        }
        return differs || elections < Self.electionsMax
    }
}

extension Invariants {
    /// A new leader was elected by a quorum of its members, and has what was agreed in earlier terms.
    func checkElection(_ process: MemberProcess) {
        let node = process.replica.node
        // It may have heard of a change in the turn in which it won.
        let isElected = [records[process.node.place].standing ?? node.membership, node.membership]
            .contains { JointQuorum($0).isMet { votedFor(node, $0) } }
        if !isElected {
            world.fail(
                "a quorum elects",
                "\(process.node.name) leads in term \(node.term.rawValue) without the votes of a quorum"
            )
        }
        guard let needed = agreed(before: node.term.rawValue), !has(node, needed) else { return }
        world.fail(
            "leader completeness",
            "\(process.node.name) leads in term \(node.term.rawValue) without entry \(needed), which was "
                + "agreed in an earlier one")
    }

    /// Whether a voter has granted its vote; one that was replaced since is believed.
    private func votedFor(_ leader: RaftNode, _ voter: MemberID) -> Bool {
        if voter == leader.id { return true }
        guard let place = world.place(of: voter.rawValue), records.indices.contains(place) else {
            return true
        }
        let term = leader.term.rawValue
        return records[place].votes.last { $0.term == term }?.candidate == leader.id.rawValue
    }

    /// The newest entry that was agreed in terms before one.
    private func agreed(before term: UInt64) -> UInt64? {
        reached.last { $0.term < term }?.index
    }

    private func has(_ node: RaftNode, _ index: UInt64) -> Bool {
        guard node.last.index.rawValue >= index else { return false }
        guard index > node.memoryBase.index.rawValue, entries.indices.contains(Int(index)),
            let agreed = entries[Int(index)]
        else { return true }
        return Self.hash(node.entry(at: LogIndex(index))) == agreed.hash
    }

    /// A change of the members begins only when the one before is agreed.
    func checkChange(_ process: MemberProcess) {
        let place = process.node.place
        let node = process.replica.node
        let index = node.membershipIndex
        guard index != records[place].change?.index else { return }
        if let former = records[place].change, former.index < index,
            former.index.rawValue > newest, former.index > node.memoryBase.index,
            node.entry(at: former.index).id == former
        {
            world.fail(
                "one change of the members",
                "the log of \(process.node.name) changes them at entry \(index.rawValue), and entry "
                    + "\(former.index.rawValue), which does as well, is not agreed")
        }
        records[place].change = index > node.memoryBase.index ? node.entry(at: index).id : nil
    }

    /// Those that stood against each other do so with other timeouts the next time (paper section 5.2).
    func checkTimeout(_ node: RaftNode) {
        guard !timeouts.take(node.electionTimeout, term: node.term) else { return }
        world.fail(
            "election timeouts differ",
            "all members waited for \(node.electionTimeout) ticks through \(timeouts.elections) elections"
        )
    }

    /// A store that opens has a whole file, or knows which pages of it are not: the disk has lost no bytes.
    func checkFile(_ process: MemberProcess) {
        do throws(StorageError) {
            let pages = process.store.pages
            let count = Int(pages.checkpointState.pageCount)
            guard count > 0, process.node.disk.faults.readErrors == 0,
                let bad = try pages.scrub(from: 1, count: count).badPages.first
            else { return }
            world.fail(
                "whole file",
                "\(process.node.name) starts on a file of which page \(bad) has changed")
        } catch {
            world.fail("whole file", "\(process.node.name) can't read its file: \(error)")
        }
    }
}
