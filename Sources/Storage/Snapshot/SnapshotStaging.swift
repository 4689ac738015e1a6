// SnapshotStaging.swift: the receiver's side of a snapshot: pages gather beside the database until
// all are there.
// Belongs here: order, progress, when it is whole. Never here: connections, installing
// (SnapshotInstallation.swift).
// Source: Docs.docc/Pages.md, "Snapshots between members", with the argument why pages that were
// not sent may be taken from the own file.
//   idle --begin()--> receiving --add()--> receiving --finish()--> idle, complete
//                     receiving --begin(), or anything that throws--> idle, to go on from `have`
// Invariant: pages are staged without a gap: after a piece that was not taken, none of its attempt
// is.

/// A snapshot under way on disk, in the folder `incoming` of the data directory; confined to one
/// thread at a time.
///
/// The database is not touched and goes on serving. What was received outlives a broken connection
/// and a restart: `have` then says where to go on, with the sender's state of that moment.
public final class SnapshotStaging {
    /// The folder's name within the data directory.
    public static let folderName = "incoming"

    private let disk: any Disk
    private let directory: String
    private let folder: String
    private let pages: StagedPages
    /// What of the own file is relied on; `empty` is nothing.
    private var base: StoreState
    /// The newest state that pages are of; none may come that are older.
    private var newest: StoreState
    /// What was there before the present attempt.
    private var held: SnapshotHave
    /// The sender's state in the present attempt.
    private var attempt: StoreState?
    /// The last page that came in the present attempt.
    private var lastPage: UInt32 = 0
    /// What the manifest does not tell of.
    private var unsavedBytes = 0
    /// The first failure of the disk other than a full one: what it left behind is unknown.
    private var failure: StorageError?

    private init(
        disk: any Disk, directory: String, pages: StagedPages, base: StoreState,
        newest: StoreState, held: SnapshotHave
    ) {
        self.disk = disk
        self.directory = directory
        folder = Self.folder(directory)
        self.pages = pages
        self.base = base
        self.newest = newest
        self.held = held
    }

    static func folder(_ directory: String) -> String { "\(directory)/\(folderName)" }

    /// Opens the staging of a data directory, with what an earlier attempt left if that is of use.
    ///
    /// Reads all of that back, so not on a thread that others wait for.
    ///
    /// - Parameters:
    ///   - disk: where the files are.
    ///   - directory: the one with `db`, `db.pages` and `db.meta`.
    ///   - base: `PageStore.checkpointState`; `StoreState.empty` if nothing of the database file
    ///     can be relied on, as when it could not be opened, or `finish` found a contradiction.
    ///   - corrupt: pages of the file that were found bad.
    /// - Throws: `disk`.
    public static func open(
        disk: any Disk, directory: String, base: StoreState, corrupt: [UInt32] = []
    ) throws(StorageError) -> SnapshotStaging {
        let folder = folder(directory)
        try onDisk { () throws(DiskError) in
            try disk.createDirectory(folder)
            try disk.syncDirectory(directory)
        }
        let file = try onDisk { () throws(DiskError) in
            let file = try disk.open("\(folder)/pages", create: true)
            // Before a manifest counts records in it.
            try disk.syncDirectory(folder)
            return file
        }
        if let found = try SnapshotManifest.load(disk, folder), found.isUseful(for: base),
            let have = found.have.wanting(corrupt),
            let pages = try StagedPages.load(
                file, count: found.records, pageCount: found.state.pageCount)
        {
            return SnapshotStaging(
                disk: disk, directory: directory, pages: pages, base: found.base,
                newest: found.state, held: have)
        }
        try onDisk { () throws(DiskError) in
            try SnapshotManifest.remove(disk, folder)
            try file.truncate(to: 0)
        }
        let own = SnapshotHave(base, wanted: corrupt)
        let relied = own == nil ? .empty : base
        return SnapshotStaging(
            disk: disk, directory: directory, pages: StagedPages(file: file), base: relied,
            newest: relied, held: own ?? .nothing)
    }

    /// Takes away what is staged, as is due when the log has caught up without it.
    ///
    /// No staging of this directory may be open.
    /// - Throws: `disk`.
    public static func discard(disk: any Disk, directory: String) throws(StorageError) {
        let folder = folder(directory)
        try onDisk { () throws(DiskError) in
            guard try disk.exists(folder) else { return }
            try SnapshotManifest.remove(disk, folder)
            try disk.remove("\(folder)/pages")
        }
    }

    /// What to tell a sender, so that it sends the rest.
    public var have: SnapshotHave {
        var have = held
        if let attempt, lastPage > 0 {
            have.advance(throughPage: lastPage, index: attempt.index)
        }
        have.noLongerWants { pages.hash(of: $0) != nil }
        return have
    }

    /// Begins an attempt: the pieces that follow are of the sender's state, in the order of pages.
    ///
    /// - Throws: `busy` if pages of a newer state are here: another sender has to be asked. `disk`
    ///   after a failure that was final.
    public func begin(_ state: StoreState) throws(StorageError) {
        endAttempt()
        if let failure { throw failure }
        guard state.index >= newest.index else {
            throw .busy(
                what: "the sender stands at \(state.index), "
                    + "pages as of \(newest.index) are here already")
        }
        attempt = state
        pages.reserve(pageCount: state.pageCount)
    }

    private func endAttempt() {
        held = have
        attempt = nil
        lastPage = 0
    }

    private func current() throws(StorageError) -> StoreState {
        if let failure { throw failure }
        // Not a mistake of the caller: pieces may be on their way when an attempt ends.
        guard let attempt else { throw .busy(what: "no snapshot is being received") }
        return attempt
    }

    /// Takes a piece; every 16 MiB progress is made durable.
    ///
    /// Whatever it throws ends the attempt; another one goes on from `have`.
    /// - Throws: `corrupt` if the piece is not what a sender may send next. `busy` if no attempt is
    ///   under way, or if more was sent again than is allowed: everything is dropped then, and the
    ///   next attempt brings all pages. `disk`, which is final unless it is full.
    public func add(_ piece: [UInt8]) throws(StorageError) {
        let state = try current()
        do throws(StorageError) {
            try take(piece, of: state)
        } catch {
            endAttempt()
            throw error
        }
        if unsavedBytes >= PageLimits.stagingSaveBytes { try save() }
    }

    private func take(_ piece: [UInt8], of state: StoreState) throws(StorageError) {
        var records: [UInt8] = []
        var headers: [SnapshotPageHeader] = []
        var last = lastPage
        try SnapshotPiece.read(piece) { (header, bytes) throws(StorageError) in
            guard header.page > last, header.page <= state.pageCount else {
                throw SnapshotPiece.malformed(
                    "page \(header.page) after \(last) of \(state.pageCount)")
            }
            guard header.index > 0, header.index <= state.index else {
                throw SnapshotPiece.malformed(
                    "page \(header.page) as of \(header.index), the state is of \(state.index)")
            }
            last = header.page
            StagedPages.encode(header, bytes, to: &records)
            headers.append(header)
        }
        try checkBound(headers.count, state)
        do throws(DiskError) {
            try pages.append(records, headers)
        } catch {
            throw latch(error)
        }
        newest = state
        lastPage = last
        unsavedBytes += records.count
    }

    /// What came again in later attempts must not fill the disk.
    private func checkBound(_ more: Int, _ state: StoreState) throws(StorageError) {
        let bound =
            PageLimits.stagedRecordsPerPage * max(Int(state.pageCount), PageLimits.piecePagesMax)
        guard Int(pages.count) + more > bound else { return }
        try startOver()
        throw .busy(what: "a snapshot broke off too often and begins again")
    }

    /// Makes what came so far durable, as is due when a connection ends.
    ///
    /// - Throws: `disk`, which is final unless it is full.
    public func save() throws(StorageError) {
        if let failure { throw failure }
        guard unsavedBytes > 0 else { return }
        try save(isComplete: false)
    }

    private func save(isComplete: Bool) throws(StorageError) {
        do throws(DiskError) {
            try pages.sync()
        } catch {
            failure = .disk(error)
            throw .disk(error)
        }
        let manifest = SnapshotManifest(
            isComplete: isComplete, base: base, state: newest, records: pages.count, have: have)
        do throws(DiskError) {
            try manifest.store(disk, folder)
        } catch {
            // The old manifest is still there, or the new one is.
            throw latch(error)
        }
        unsavedBytes = 0
    }

    private func latch(_ error: DiskError) -> StorageError {
        if case .full = error { return .disk(error) }
        failure = .disk(error)
        return .disk(error)
    }

    /// Ends the attempt, the sender having said that there is no more; the next start of the
    /// process installs it.
    ///
    /// - Returns: the state that it will stand at.
    /// - Throws: `corrupt` if these pages and those of the own file do not make the sender's
    ///   database. All of it is dropped then, the own file is not relied on any more, and the next
    ///   attempt brings everything. `busy` if no attempt is under way, or if the own file has gone
    ///   past the snapshot, which is dropped. `disk`, which is final unless it is full.
    public func finish() throws(StorageError) -> StoreState {
        let state = try current()
        switch try verdict(state) {
        case .whole: break
        case .overtaken:
            try startOver()
            throw .busy(what: "the database has gone past the snapshot of \(state.index)")
        case .contradiction(let reason):
            try startOver()
            throw .corrupt(file: folder, offset: 0, reason: "the snapshot is not whole: \(reason)")
        }
        newest = state
        lastPage = state.pageCount
        endAttempt()
        try save(isComplete: true)
        return state
    }

    private func verdict(_ state: StoreState) throws(StorageError) -> SnapshotProof.Verdict {
        for page in have.wanted where page <= state.pageCount {
            return .contradiction("page \(page) was asked for and did not come")
        }
        return try SnapshotProof(disk: disk, directory: directory, base: base, state: state)
            .verdict(pages)
    }

    /// Drops everything, and relies on nothing of the own file from now on.
    private func startOver() throws(StorageError) {
        do throws(DiskError) {
            try SnapshotManifest.remove(disk, folder)
            try pages.clear()
        } catch {
            failure = .disk(error)
            throw .disk(error)
        }
        base = .empty
        newest = .empty
        held = .nothing
        attempt = nil
        lastPage = 0
        unsavedBytes = 0
    }
}

extension SnapshotManifest {
    /// Whether to go on from here, for a caller whose database file stands at `own`.
    ///
    /// Not if that file may not be relied on any more, and not if it is as new as what was
    /// received.
    fileprivate func isUseful(for own: StoreState) -> Bool {
        guard base.index <= own.index, base.index < own.index || base == own || base == .empty
        else { return false }
        return own.index < state.index
    }
}

extension SnapshotHave {
    /// The same with more pages wanted; nil if they are too many.
    fileprivate func wanting(_ more: [UInt32]) -> SnapshotHave? {
        var have = self
        return have.want(more) ? have : nil
    }
}
