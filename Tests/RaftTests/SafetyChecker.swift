// SafetyChecker.swift: the properties of figure 3 of the Raft paper, over a whole run.
// Belongs here: what must hold across members and restarts. Never here: how the run goes.
// Source: Raft paper figure 3; thesis §6.4 for reads.
import Raft

/// Watches every step of every member, and collects what is wrong.
struct SafetyChecker {
    private struct Known {
        var entry: Entry
        var previous: EntryID
    }

    private struct Agreed {
        var id: EntryID
        /// The term of the leader that first reported it.
        var term: Term
    }

    private var leaders: [Term: MemberID] = [:]
    private var entries: [EntryID: Known] = [:]
    private var agreed: [Agreed] = []
    private var reads: [ReadContext: LogIndex] = [:]
    private(set) var violations: [String] = []
    private(set) var readsAnswered = 0

    var agreedCount: Int { agreed.count }
    var leaderCount: Int { leaders.count }

    private mutating func check(_ condition: Bool, _ text: @autoclosure () -> String) {
        if !condition { violations.append(text()) }
    }

    /// Notes what another check found wrong.
    mutating func fail(_ text: String) { violations.append(text) }

    /// Notes that a read is asked for now.
    mutating func asked(_ context: ReadContext) {
        reads[context] = LogIndex(UInt64(agreed.count))
    }

    /// Looks at what a member did in one step.
    mutating func observe(_ id: MemberID, _ effects: Effects, in cluster: Cluster) {
        guard let node = cluster.members[cluster.position(of: id)].node else { return }
        matchLog(effects.append, in: node)
        if case .becameLeader(let term) = effects.leadership {
            if let other = leaders[term] {
                fail("election safety: \(id.rawValue) and \(other.rawValue) lead \(term)")
            }
            leaders[term] = id
            checkCompleteness(of: node, term: term)
        }
        if let committed = effects.committed { agree(on: committed, by: node, in: cluster) }
        for read in effects.readStates {
            readsAnswered += 1
            let asked = reads[read.context] ?? .zero
            check(
                read.index >= asked,
                "read \(read.context) got \(read.index), but \(asked) was committed when it began")
        }
    }

    /// Log matching: the same ID means the same entry after the same entry.
    private mutating func matchLog(_ appended: [Entry], in node: RaftNode) {
        for entry in appended {
            let index = entry.id.index.previous
            let previous =
                index == node.memoryBase.index ? node.memoryBase : node.entry(at: index).id
            if let known = entries[entry.id] {
                check(known.entry == entry, "log matching: two entries \(entry.id)")
                check(
                    known.previous == previous, "log matching: two entries before \(entry.id)")
            } else {
                entries[entry.id] = Known(entry: entry, previous: previous)
            }
        }
    }

    /// Leader completeness: a leader has everything that leaders before it committed.
    private mutating func checkCompleteness(of node: RaftNode, term: Term) {
        for entry in agreed where entry.term < term && entry.id.index > node.memoryBase.index {
            let has =
                entry.id.index <= node.last.index
                && node.entry(at: entry.id.index).id == entry.id
            check(has, "leader completeness: \(node.id) of \(term) lacks \(entry.id)")
        }
    }

    /// State machine safety, and that what is agreed is on a majority of the disks.
    private mutating func agree(
        on range: Range<LogIndex>, by node: RaftNode, in cluster: Cluster
    ) {
        for entry in node.entries(in: range) {
            let position = Int(entry.id.index.rawValue) - 1
            if position < agreed.count {
                let known = agreed[position].id
                check(known == entry.id, "state machine safety: \(entry.id) and \(known)")
                continue
            }
            check(position == agreed.count, "commit jumps to \(entry.id)")
            agreed.append(Agreed(id: entry.id, term: node.term))
            var copies = 0
            for member in cluster.members
            where position < member.disk.entries.count
                && member.disk.entries[position].id == entry.id
            {
                copies += 1
            }
            check(
                copies * 2 > cluster.members.count, "\(entry.id) is committed on \(copies) disks")
        }
    }
}
