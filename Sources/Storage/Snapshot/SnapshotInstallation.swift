// SnapshotInstallation.swift: a snapshot that is complete becomes the database, when a process
// starts.
// Belongs here: what is looked at before, the order of writes and syncs. Never here: receiving
// (SnapshotStaging).
// Source: Docs.docc/Pages.md, "Snapshots between members" with its crash cases. Invariants: nothing
// is written before all of it was proved; the manifest goes last, so that any crash before leads
// here again.

/// What became of a snapshot when a process started.
public enum SnapshotInstallation: Equatable, Sendable {
    /// There was none, or not all of it; what there is may be resumed.
    case nothing
    /// Database and log stand at this state now; the log may have entries after it.
    case installed(StoreState)
    /// It was of no use and was dropped; database and log are as they were.
    case discarded(reason: String)
}

extension SnapshotStaging {
    /// Installs a snapshot that `finish` completed; without one it only looks.
    ///
    /// Called at every start, after `LogStore.open` and before anything else is done with the log,
    /// and before `PageStore.open`, which gets `log.contents.checkpointIntent`. After a crash or a
    /// failure it is called again and does the rest.
    /// - Parameters:
    ///   - disk: where the files are.
    ///   - directory: the one with `db`, `db.pages` and `db.meta`; it exists.
    ///   - log: just opened, without a writer yet. It goes on after the snapshot: entries that the
    ///     snapshot contradicts go, term and vote stay.
    /// - Throws: `disk`, of which a full one leaves everything as it was if it was foreseeable;
    ///   `corrupt` if a committed entry of the log contradicts the snapshot; `incompatible` if the
    ///   database is of another format.
    public static func installIfComplete(
        disk: any Disk, directory: String, log: LogStore
    ) throws(StorageError) -> SnapshotInstallation {
        let folder = folder(directory)
        guard let manifest = try SnapshotManifest.load(disk, folder), manifest.isComplete else {
            return .nothing
        }
        let work = try SnapshotInstall(disk: disk, directory: directory, manifest: manifest)
        if let reason = try work.obstacle(log.contents) {
            try discard(disk: disk, directory: directory)
            return .discarded(reason: reason)
        }
        try log.alignmentIsPossible(index: manifest.state.index, term: manifest.state.term)
        try work.writeDatabase()
        try log.alignAfterSnapshot(index: manifest.state.index, term: manifest.state.term)
        try discard(disk: disk, directory: directory)
        return .installed(manifest.state)
    }
}

/// The steps of one installation.
private struct SnapshotInstall {
    private let disk: any Disk
    private let directory: String
    private let manifest: SnapshotManifest
    private let database: any DiskFile
    private let side: SideFile
    private let meta: MetaFile
    /// What the database file stands at, or nil if that cannot be known.
    private let found: StoreState?
    private let stagedFile: any DiskFile
    /// Nil if the staged pages are not what was staged.
    private let staged: StagedPages?

    init(disk: any Disk, directory: String, manifest: SnapshotManifest) throws(StorageError) {
        self.disk = disk
        self.directory = directory
        self.manifest = manifest
        let files = try onDisk { () throws(DiskError) in
            (
                try disk.open("\(directory)/db", create: true),
                try disk.open("\(directory)/db.pages", create: true),
                try disk.open("\(directory)/db.meta", create: true),
                try disk.open("\(SnapshotStaging.folder(directory))/pages", create: true)
            )
        }
        database = files.0
        side = SideFile(file: files.1)
        meta = MetaFile(file: files.2)
        stagedFile = files.3
        found = try meta.load()
        try meta.settle()
        staged = try StagedPages.load(
            stagedFile, count: manifest.records, pageCount: manifest.state.pageCount)
    }

    /// Why the snapshot must not be installed, or nil.
    ///
    /// A checkpoint may have moved the database file on since the snapshot began, or be half done.
    /// Up to the snapshot's index that is harmless; beyond, the file has what the snapshot lacks.
    func obstacle(_ log: RecoveredLog) throws(StorageError) -> String? {
        #if SIMULATION
            if StorageBug.snapshotNotProved.isPlanted { return nil }
        #endif
        let own = found ?? .empty
        let target = manifest.state
        let intent = log.checkpointIntent.flatMap { CheckpointIntent($0) }
        if let intent, intent.state.index > max(own.index, target.index) {
            return "it is of \(target.index), a checkpoint of \(intent.state.index) was begun"
        }
        guard log.firstIndex <= target.index + 1 else {
            return "it is of \(target.index), the log begins at \(log.firstIndex)"
        }
        if manifest.base != .empty {
            guard own.index >= manifest.base.index,
                own.index > manifest.base.index || own == manifest.base
            else {
                return "it builds on a database of \(manifest.base.index), "
                    + "which is not the one here, of \(own.index)"
            }
        }
        guard let staged else { return "staged pages do not match their checksums" }
        let proof = SnapshotProof(
            disk: disk, directory: directory, base: manifest.base, state: target)
        switch try proof.verdict(staged) {
        case .whole: return nil
        case .overtaken: return "it is of \(target.index), the database stands at \(own.index)"
        case .contradiction(let reason): return reason
        }
    }

    /// Brings the database file and what belongs to it to the snapshot's state.
    func writeDatabase() throws(StorageError) {
        try checkSpace()
        if found == nil {
            // Until the end it is an empty store, whatever lies in the files; and no later write of
            // a slot needs space.
            try meta.store(.empty)
            try meta.store(.empty)
        }
        try onDisk { () throws(DiskError) in try disk.syncDirectory(directory) }
        try writePages()
        try onDisk { () throws(DiskError) in try database.sync() }
        try side.sync()
        try meta.store(manifest.state)
        try onDisk { () throws(DiskError) in
            try database.truncate(to: UInt64(manifest.state.pageCount) << PageLimits.pageShift)
        }
        try side.truncate(pageCount: manifest.state.pageCount)
    }

    private func checkSpace() throws(StorageError) {
        let count = UInt64(manifest.state.pageCount)
        let sideBytes = count * UInt64(SideFile.entryBytes)
        let sideHas = try side.size()
        try onDisk { () throws(DiskError) in
            let bytes = count << PageLimits.pageShift
            let has = try database.size()
            let more = bytes - min(bytes, has) + sideBytes - min(sideBytes, sideHas)
            guard try disk.freeBytes(directory) >= more else { throw .full(path: directory) }
        }
    }

    /// Writes all staged pages in order, neighbours together, with their entries.
    private func writePages() throws(StorageError) {
        guard let staged else { preconditionFailure("installing what was not read back") }
        let room = StagedRecords(capacity: 1)
        let run = UnsafeMutableRawPointer.allocate(
            byteCount: PageLimits.runPagesMax * PageLimits.pageBytes, alignment: 64)
        defer { run.deallocate() }
        var page: UInt32 = 1
        while page <= manifest.state.pageCount {
            let first = page
            var entries: [(index: UInt64, hash: UInt64)] = []
            while page <= manifest.state.pageCount, entries.count < PageLimits.runPagesMax,
                staged.hash(of: page) != nil
            {
                let place = run + entries.count * PageLimits.pageBytes
                guard let header = try staged.read(page, room, to: place) else {
                    throw .corrupt(
                        file: stagedFile.path, offset: 0,
                        reason: "page \(page) changed since it was looked at")
                }
                entries.append((header.index, header.hash))
                page += 1
            }
            guard !entries.isEmpty else {
                page += 1
                continue
            }
            let bytes = UnsafeRawBufferPointer(
                start: run, count: entries.count * PageLimits.pageBytes)
            try onDisk { () throws(DiskError) in
                try database.write(bytes, at: UInt64(first - 1) << PageLimits.pageShift)
            }
            try side.write(entries, from: first)
        }
    }
}
