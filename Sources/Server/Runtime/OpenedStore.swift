// OpenedStore.swift: the store of a data directory, opened and brought to what is known to be agreed.
// Belongs here: the order of recovery. Never here: formats (Storage), what is agreed beyond that (Raft).
// Source: design section 4: nothing is served before redo has passed what a torn checkpoint may have touched.

internal import Raft
internal import Storage

/// Log and pages after recovery.
struct OpenedStore {
    let log: LogStore
    let pages: PageStore
    let recovered: RecoveredLog
    private let entries: [Entry]
    private let base: EntryID

    /// Opens both and applies what is known to be committed.
    ///
    /// - Parameters:
    ///   - disk: the directory's, or one that stands before it.
    ///   - seed: for a new log's salt.
    init(directory: DataDirectory, disk: any Disk, seed: UInt64) throws(StorageError) {
        (log, recovered) = try LogStore.open(
            disk: disk, directory: directory.logPath,
            options: LogOptions(salt: seed, queueBytesMax: ReplicaLimits.logQueueBytesMax))
        pages = try PageStore.open(
            disk: disk, directory: directory.path, intent: recovered.checkpointIntent)
        let checkpoint = pages.checkpointState.index
        guard recovered.firstIndex <= checkpoint + 1 else {
            throw .corrupt(
                file: directory.logPath, offset: 0,
                reason: "it begins at entry \(recovered.firstIndex), "
                    + "but the database stands at entry \(checkpoint)")
        }
        let committed = max(
            min(recovered.hardState.commit, recovered.lastIndex), pages.recoveryIndex ?? 0,
            checkpoint)
        try Self.redo(log, pages, from: checkpoint + 1, through: committed)
        try pages.finishRecovery()
        let rest = try Self.read(log, from: committed + 1, through: recovered.lastIndex)
        entries = rest.map {
            Entry(
                id: EntryID(term: Term($0.term), index: LogIndex($0.index)),
                kind: Entry.Kind(rawValue: $0.kind) ?? .normal, payload: $0.payload)
        }
        base = EntryID(
            term: Term(pages.committedState.term), index: LogIndex(pages.committedState.index))
    }

    private static func redo(
        _ log: LogStore, _ pages: PageStore, from first: UInt64, through last: UInt64
    ) throws(StorageError) {
        var next = first
        while next <= last {
            let part = try self.part(of: log, from: next, through: last)
            for entry in part {
                if Entry.Kind(rawValue: entry.kind) == .normal {
                    try pages.apply(index: entry.index, term: entry.term, payload: entry.payload)
                }
                pages.publish(through: entry.index, term: entry.term)
                next = entry.index + 1
            }
        }
    }

    private static func read(
        _ log: LogStore, from first: UInt64, through last: UInt64
    ) throws(StorageError) -> [LogEntry] {
        var entries: [LogEntry] = []
        while first + UInt64(entries.count) <= last {
            entries += try part(of: log, from: first + UInt64(entries.count), through: last)
        }
        return entries
    }

    private static func part(
        of log: LogStore, from first: UInt64, through last: UInt64
    ) throws(StorageError) -> [LogEntry] {
        guard let part = try log.entries(from: first, through: last, maxBytes: partBytesMax),
            !part.isEmpty
        else {
            throw .corrupt(file: "log", offset: first, reason: "entry \(first) is missing")
        }
        return part
    }

    /// Entry bytes held at once while redoing.
    private static let partBytesMax = 4 << 20

    /// The consensus core as the log says it was.
    func restore(_ identity: Identity, seed: UInt64) -> RaftNode {
        let own = MemberID(identity.memberID)
        var restored = Restored(voters: [own])
        let vote = recovered.hardState.vote
        restored.hardState = HardState(
            term: Term(recovered.hardState.term), vote: vote == 0 ? nil : MemberID(vote),
            commit: LogIndex(recovered.hardState.commit))
        restored.compactedThrough = LogIndex(min(recovered.firstIndex - 1, base.index.rawValue))
        restored.base = base
        restored.entries = entries
        restored.applied = base.index
        var configuration = Raft.Configuration(id: own, seed: seed)
        configuration.limits.uncommittedBytesMax = ReplicaLimits.logQueueBytesMax
        configuration.limits.unappliedBytesMax = ReplicaLimits.logQueueBytesMax
        return RaftNode(configuration: configuration, restoring: restored)
    }
}
