// MembershipChecker.swift: the rules on configurations, over a whole run.
// Belongs here: which configuration may follow which, and that each member goes by its own log.
// Never here: log and leaders (SafetyChecker.swift).
// Source: Raft paper §6; thesis §4.1. Written again, and plainly, so as not to repeat a mistake.
import Raft

/// Follows the configurations of the agreed log.
struct MembershipChecker {
    private struct Agreed {
        var index: LogIndex
        var membership: Membership
    }

    private var agreed: [Agreed]

    /// How many joint configurations, and how many in all, were agreed on.
    private(set) var jointCount = 0
    var changeCount: Int { agreed.count - 1 }

    init(initial: Membership) { agreed = [Agreed(index: .zero, membership: initial)] }

    /// The agreed configuration at a place.
    func membership(at index: LogIndex) -> Membership? {
        agreed.last { $0.index <= index }?.membership
    }

    /// Takes in an entry newly agreed on; the text says what is wrong with it.
    mutating func agree(on entry: Entry) -> String? {
        guard entry.kind == .membership else { return nil }
        guard let (next, _) = Membership.split(entry.payload), let last = agreed.last else {
            return "membership entry \(entry.id) can't be read"
        }
        agreed.append(Agreed(index: entry.id.index, membership: next))
        if next.isJoint { jointCount += 1 }
        let isAllowed =
            if last.membership.isJoint {
                !next.isJoint && next.voters == last.membership.voters
            } else if next.isJoint {
                next.outgoing == last.membership.voters
            } else {
                Set(next.voters).symmetricDifference(last.membership.voters).count <= 1
            }
        return isAllowed ? nil : "membership: \(last.membership) is followed by \(next)"
    }

    /// What is wrong with the configuration that a member goes by, given its log.
    func mistake(of member: Member) -> String? {
        guard let node = member.node else { return nil }
        var expected = member.checkpoint
        for entry in member.disk.written.entries where entry.id.index > expected.last.index {
            expected.apply(entry)
        }
        return node.membership == expected.membership
            ? nil
            : "membership: \(member.id) goes by \(node.membership), "
                + "its log says \(expected.membership)"
    }

    /// What is wrong with a snapshot, if it is not what was agreed.
    func mistake(in snapshot: Snapshot) -> String? {
        membership(at: snapshot.last.index) == snapshot.membership
            ? nil : "membership: the snapshot of \(snapshot.last) has \(snapshot.membership)"
    }

    /// Whether the members that have an entry on their disks are a quorum of a configuration.
    ///
    /// - Returns: their number for each half that is short of one.
    func shortHalves(
        of membership: Membership, with entry: EntryID, in cluster: Cluster
    ) -> [String] {
        let halves =
            membership.isJoint ? [membership.voters, membership.outgoing] : [membership.voters]
        return halves.compactMap { half in
            let copies = cluster.members.filter { member in
                half.contains(member.id)
                    && (member.disk.base.index >= entry.index
                        || member.disk.entry(at: entry.index)?.id == entry)
            }
            return copies.count * 2 > half.count
                ? nil : "\(entry) is committed on \(copies.count) disks of \(half)"
        }
    }
}
