// OpenedStore.swift: the store of a data directory, opened and brought to what is known to be agreed.
// Belongs here: the order of recovery. Never here: formats (Storage), what is agreed beyond that (Raft).
// Source: design section 4: nothing is served before redo has passed what a torn checkpoint may have touched.

internal import Raft
internal import Storage

/// Log and pages after recovery.
struct OpenedStore {
    let log: LogStore
    let pages: PageStore
    /// What the log was opened with, or begins with since a snapshot was installed.
    let recovered: RecoveredLog
    /// A write that a crash interrupted, and that was cut off the log.
    let tornTail: TornTail?
    /// What became of a snapshot that an earlier process had fetched.
    let installed: SnapshotInstallation
    private let directoryPath: String
    private let entries: [Entry]
    private let base: EntryID

    /// Opens both, after installing a snapshot that lies ready, and applies what is known to be committed.
    ///
    /// - Parameters:
    ///   - disk: the directory's, or one that stands before it.
    ///   - seed: for a new log's salt.
    ///   - segmentBytes: the size of new segments of the log.
    ///   - options: of the page store.
    init(
        directory: DataDirectory, disk: any Disk, seed: UInt64,
        segmentBytes: Int = Storage.LogLimits.segmentBytes,
        options: PageStoreOptions = PageStoreOptions()
    ) throws(StorageError) {
        directoryPath = directory.path
        let found: RecoveredLog
        (log, found) = try LogStore.open(
            disk: disk, directory: directory.logPath,
            options: LogOptions(
                salt: seed, segmentBytes: segmentBytes,
                queueBytesMax: ReplicaLimits.logQueueBytesMax))
        tornTail = found.tornTail
        installed = try SnapshotStaging.installIfComplete(
            disk: disk, directory: directory.path, log: log)
        recovered = log.contents
        #if SIMULATION
            let intent =
                ServerBug.recoveryWithoutIntent.isPlanted ? nil : recovered.checkpointIntent
        #else
            let intent = recovered.checkpointIntent
        #endif
        pages = try PageStore.open(
            disk: disk, directory: directory.path, options: options, intent: intent)
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
        let redone = try Self.redo(log, pages, from: checkpoint + 1, through: committed)
        if redone == committed { try pages.finishRecovery() }
        let rest = try Self.read(log, from: redone + 1, through: recovered.lastIndex)
        entries = rest.map(Entry.init)
        base = EntryID(
            term: Term(pages.committedState.term), index: LogIndex(pages.committedState.index))
    }

    /// Whether this member has never taken part in anything.
    var isBlank: Bool {
        recovered.lastIndex == 0 && recovered.hardState.term == 0 && base.index == .zero
    }

    /// Applies entries that are not known to be agreed; returns how many.
    ///
    /// Only for commands on a member that is left alone.
    func applyRest() throws(StorageError) -> Int {
        for entry in entries {
            try pages.apply(entry)
            pages.publish(through: entry.id.index.rawValue, term: entry.id.term.rawValue)
        }
        return entries.count
    }

    /// Applies entries again; a damaged page ends that early, for the running member fetches a good copy.
    ///
    /// - Returns: how far it came.
    private static func redo(
        _ log: LogStore, _ pages: PageStore, from first: UInt64, through last: UInt64
    ) throws(StorageError) -> UInt64 {
        var next = first
        while next <= last {
            let part = try self.part(of: log, from: next, through: last)
            for entry in part {
                do throws(StorageError) {
                    try pages.apply(Entry(entry))
                } catch .corruptPage(let page, let reason) {
                    // What an interrupted checkpoint has torn must not be seen.
                    guard !pages.isRecovering else {
                        throw .corruptPage(page: page, reason: reason)
                    }
                    return next - 1
                }
                pages.publish(through: entry.index, term: entry.term)
                next = entry.index + 1
            }
        }
        return max(last, first - 1)
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
    ///
    /// - Parameter founders: the members of a cluster that begins; none on one that is about to join.
    func restore(
        _ settings: ReplicaSettings, founders: [MemberRow], preVote: Bool = true
    ) throws(StorageError) -> RaftNode {
        try checkCluster(settings.identity)
        let own = MemberID(settings.identity.memberID)
        var restored = Restored(membership: try membership(founders))
        let vote = recovered.hardState.vote
        restored.hardState = HardState(
            term: Term(recovered.hardState.term), vote: vote == 0 ? nil : MemberID(vote),
            commit: LogIndex(recovered.hardState.commit))
        #if SIMULATION
            if ServerBug.voteForgotten.isPlanted { restored.hardState.vote = nil }
        #endif
        restored.compactedThrough = LogIndex(min(recovered.firstIndex - 1, base.index.rawValue))
        restored.base = base
        restored.entries = entries
        restored.applied = base.index
        var configuration = Raft.Configuration(id: own, seed: settings.seed)
        configuration.preVote = preVote
        configuration.heartbeatTicks = ReplicaSettings.ticksPerHeartbeat
        configuration.electionTimeoutTicks = max(
            ReplicaSettings.ticksPerHeartbeat + 1,
            Int(settings.electionTimeoutMilliseconds / settings.tickMilliseconds))
        configuration.electionJitterTicks = configuration.electionTimeoutTicks
        configuration.limits.appendBytesMax = settings.appendBytesMax
        configuration.limits.uncommittedBytesMax = ReplicaLimits.logQueueBytesMax
        configuration.limits.unappliedBytesMax = ReplicaLimits.logQueueBytesMax
        return RaftNode(configuration: configuration, restoring: restored)
    }

    /// Refuses tables that name another cluster than the directory does: a recovery was interrupted.
    private func checkCluster(_ identity: Identity) throws(StorageError) {
        guard pages.committedState.pageCount > 0 else { return }
        let stored: Int64?
        do throws(StorageError) {
            stored = try LoopStore(pages: pages) { _ in }.read { (reader, _) throws(StorageError) in
                try MetaTable(connection: reader.connection).value(.clusterID)
            }
        } catch {
            // As below: a member with damaged tables listens until it is repaired.
            guard Damage(error) != nil else { throw error }
            return
        }
        guard let stored, UInt64(bitPattern: stored) != identity.clusterID else { return }
        throw .unfinished(directory: directoryPath)
    }

    /// Who takes part as of what is applied: as the table says, once there is one.
    ///
    /// Nobody, if the table is damaged: the member then votes for nobody but listens, until it is repaired.
    private func membership(_ founders: [MemberRow]) throws(StorageError) -> Membership {
        guard pages.committedState.pageCount > 0 else { return Membership(founders) }
        do throws(StorageError) {
            return try LoopStore(pages: pages) { _ in }.read { (reader, _) throws(StorageError) in
                Membership(try MemberTable(connection: reader.connection).all())
            }
        } catch {
            guard Damage(error) != nil else { throw error }
            return Membership(voters: [])
        }
    }
}
