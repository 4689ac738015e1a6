// ReplicaEvent.swift: what the replica reports besides its answers.
// Belongs here: the events. Never here: what is done about them (Runtime/ServerNode.swift).

internal import Storage

/// What the replica tells operators.
enum ReplicaEvent: Equatable, Sendable {
    /// This member leads.
    case becameLeader(term: UInt64)
    /// Another member leads, or 0: none is known to.
    case leaderChanged(term: UInt64, leader: UInt64)
    /// The members are these now.
    case membersChanged([MemberRow], removed: [UInt64])
    /// The database is damaged, as this error says.
    case damaged(StorageError)
    /// This member was removed from the cluster; the process has to stop.
    case removed
    /// Leadership was handed over, or stays, for this reason.
    case handingOver(to: UInt64, reason: String)
    /// The published state may be read.
    case readable
    /// A request met an error of the store; it was refused, and so was its batch.
    case requestFailed(StorageError)
    /// The store cannot go on; the process has to stop.
    case stopped(StorageError)
    /// A compaction has removed its last row.
    case compacted(revision: Int64)
    /// The disk is full, or has space again.
    case diskFull(Bool)
    /// More than eight tenths of the quota are in use.
    case quotaNear(bytesInUse: Int64, quota: Int64)
    /// The quota is used up, or there is room again.
    case quotaReached(Bool)
}

extension Replica {
    /// Whether this member leads and has its tip.
    var isLeading: Bool { tip != nil }
}
