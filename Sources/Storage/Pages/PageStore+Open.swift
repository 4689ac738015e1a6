// PageStore+Open.swift: finding out what a directory holds, and making an empty store where there
// is none.
// Belongs here: the order of checks at the start. Never here: redo itself (+Apply), reading the log
// (WAL/).
// Decision: an interrupted checkpoint is known by its intent, which the caller takes from the log.

internal import Synchronization

extension PageStore {
    /// Opens the store in a directory that exists, or creates an empty one there.
    ///
    /// Afterwards the store stands at `checkpointState`: the caller applies and publishes the
    /// entries of the log after it, then calls `finishRecovery`. If a checkpoint was interrupted
    /// nothing is served before (`isRecovering`).
    /// - Parameters: - disk: where the files are. - directory: holds `db`, `db.pages` and
    ///   `db.meta`. - options: what the operator set. - intent: the newest checkpoint intent in the
    ///   log, if there is one.
    /// - Throws: `corrupt` if the files contradict each other, `incompatible` if they are of
    ///   another format.
    public static func open(
        disk: any Disk, directory: String, options: PageStoreOptions = PageStoreOptions(),
        intent: [UInt8]? = nil
    ) throws(StorageError) -> PageStore {
        let database: any DiskFile
        let sideFile: any DiskFile
        let metaFile: any DiskFile
        let databaseBytes: UInt64
        do {
            database = try disk.open("\(directory)/db", create: true)
            sideFile = try disk.open("\(directory)/db.pages", create: true)
            metaFile = try disk.open("\(directory)/db.meta", create: true)
            databaseBytes = try database.size()
        } catch {
            throw .disk(error)
        }
        let side = SideFile(file: sideFile)
        let meta = MetaFile(file: metaFile)
        var state = try meta.load()
        try meta.settle()
        if state == nil {
            let sideBytes = try side.size()
            guard databaseBytes == 0 && sideBytes == 0 else {
                throw .corrupt(file: metaFile.path, offset: 0, reason: "neither slot is whole")
            }
            // Both slots, so that no later one needs space on a disk that may be full.
            try meta.store(.empty)
            try meta.store(.empty)
            state = .empty
        }
        do {
            // Also for files that were there: who made them may not have come this far.
            try disk.syncDirectory(directory)
        } catch {
            throw .disk(error)
        }
        let store = PageStore(
            disk: disk, directory: directory, options: options, database: database, side: side,
            meta: meta, state: state ?? .empty)
        try store.prepare(intent: intent, databaseBytes: databaseBytes)
        store.vfs = try RegisteredVFS(store: store)
        return store
    }

    private func prepare(intent payload: [UInt8]?, databaseBytes: UInt64) throws(StorageError) {
        let pageCount = base.pageCount
        try takeIntent(payload)
        let size = UInt64(pageCount) << PageLimits.pageShift
        guard databaseBytes >= size else {
            throw .corrupt(
                file: database.path, offset: databaseBytes,
                reason: "it should have \(size) bytes as of index \(base.index)")
        }
        table.reserve(through: max(pageCount, 1))
        var sum: UInt64 = 0
        try side.load(pageCount: pageCount) { page, index, hash in
            sum ^= hash
            table[page].pointee.baseIndex.store(index, ordering: .relaxed)
            table[page].pointee.baseHash.store(hash, ordering: .relaxed)
        }
        guard let recovery else {
            guard sum == base.databaseHash else {
                throw .corrupt(
                    file: "\(directory)/db.pages", offset: 0,
                    reason: "checksums do not add up to that of index \(base.index)")
            }
            try cutLeftovers(databaseBytes: databaseBytes, size: size)
            admitReaders(to: base)
            return
        }
        table.reserve(through: max(recovery.state.pageCount, 1))
        for (page, _) in recovery.pages { table[page].pointee.isSuspect = true }
        try cutLeftovers(databaseBytes: databaseBytes, size: size)
    }

    /// What lies past the end was written by a checkpoint that never ended, or not yet cut by one
    /// that did.
    private func cutLeftovers(databaseBytes: UInt64, size: UInt64) throws(StorageError) {
        guard databaseBytes > size else { return }
        do {
            try database.truncate(to: size)
        } catch {
            throw .disk(error)
        }
    }

    private func takeIntent(_ payload: [UInt8]?) throws(StorageError) {
        guard let payload else { return }
        guard let intent = CheckpointIntent(payload) else {
            throw .corrupt(file: "log", offset: 0, reason: "the checkpoint intent is not one")
        }
        guard intent.state.index > base.index else { return }
        guard intent.fromIndex == base.index else {
            throw .corrupt(
                file: "\(directory)/db.meta", offset: 0,
                reason: "it stands at \(base.index), but a checkpoint began at \(intent.fromIndex)")
        }
        recovery = intent
    }
}
