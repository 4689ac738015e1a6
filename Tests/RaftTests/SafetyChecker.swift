// SafetyChecker.swift: the properties of figure 3 of the Raft paper, over a whole run.
// Belongs here: what must hold across members and restarts. Never here: how the run goes, what
// configurations may be (MembershipChecker.swift).
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
    private(set) var installCount = 0
    private(set) var membership: MembershipChecker

    init(initial: Membership) { membership = MembershipChecker(initial: initial) }

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
        let position = cluster.position(of: id)
        guard let node = cluster.members[position].node else { return }
        matchLog(effects.append, in: node)
        if case .becameLeader(let term) = effects.leadership {
            if let other = leaders[term] {
                fail("election safety: \(id.rawValue) and \(other.rawValue) lead \(term)")
            }
            leaders[term] = id
            check(
                node.membership.isVoter(id) || node.membershipIndex > node.commit,
                "\(id.rawValue) leads though its removal is committed")
            checkCompleteness(of: node, term: term)
        }
        let mayChangeMembers =
            effects.truncateAfter != nil || effects.membership != nil
            || effects.append.contains { $0.kind == .membership }
        if mayChangeMembers, let mistake = membership.mistake(of: cluster.members[position]) {
            fail(mistake)
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

    /// Looks at a snapshot that took the place of a member's state.
    mutating func installed(_ snapshot: Snapshot) {
        installCount += 1
        let position = Int(snapshot.last.index.rawValue) - 1
        check(
            position < agreed.count && agreed[position].id == snapshot.last,
            "state machine safety: a snapshot ends with \(snapshot.last)")
        if let mistake = membership.mistake(in: snapshot) { fail(mistake) }
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

    /// State machine safety, and that what is agreed is on a quorum of the disks.
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
            if let mistake = membership.agree(on: entry) { fail(mistake) }
            // Who reports an entry first is its leader, which went by the configuration in force.
            violations += membership.shortHalves(
                of: node.membership, with: entry.id, in: cluster)
        }
    }
}
