// MembershipHistory.swift: which configuration is in force at which place of the log.
// Belongs here: the order of configurations. Never here: what a change causes
// (RaftNode+Membership.swift).
// Source: Raft paper §6: a server uses the latest configuration in its log, committed or not.
// Invariant: places ascend; only the first may be at or before the last applied entry.

/// The configurations of the log's end, with what was in force before.
struct MembershipHistory: Sendable {
    private struct Change: Sendable {
        var index: LogIndex
        var membership: Membership
    }

    /// Never empty; the first is in force from `index` at the latest, and can't be taken back.
    private var changes: [Change]

    init(asOf index: LogIndex, _ membership: Membership) {
        changes = [Change(index: index, membership: membership)]
    }

    /// The configuration in force: the newest, committed or not.
    var current: Membership { changes[changes.count - 1].membership }

    /// The configuration that was in force at a place, or as early as is known.
    func membership(asOf index: LogIndex) -> Membership {
        for change in changes.reversed() where change.index <= index { return change.membership }
        return changes[0].membership
    }

    /// The entry that put it in force, or a later one that is applied.
    var currentIndex: LogIndex { changes[changes.count - 1].index }

    /// Puts a configuration in force that the log has got at a place.
    mutating func append(_ membership: Membership, at index: LogIndex) {
        precondition(
            index > currentIndex,
            "membership at \(index.rawValue) follows one at \(currentIndex.rawValue)")
        changes.append(Change(index: index, membership: membership))
    }

    /// Takes back what was put in force after a place; false if that is nothing.
    mutating func truncate(after index: LogIndex) -> Bool {
        let count = changes.count
        while changes.count > 1, currentIndex > index { changes.removeLast() }
        return changes.count < count
    }

    /// Forgets what can't come back, since entries through `index` are applied.
    mutating func forget(through index: LogIndex) {
        while changes.count > 1, changes[1].index <= index { changes.removeFirst() }
    }
}
