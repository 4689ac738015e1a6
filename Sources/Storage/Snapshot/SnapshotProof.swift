// SnapshotProof.swift: whether staged pages and those of the own file make the sender's database.
// Belongs here: sums over hashes. Never here: reading pages, deciding what to do about it.
// Source: Docs.docc/Pages.md, "Snapshots between members": pages that were not sent have not
// changed since the own file's index, also if a checkpoint has moved that file on meanwhile.

/// The parts of a proof; asked before a snapshot counts as complete, and again before it is
/// installed.
struct SnapshotProof {
    enum Verdict: Equatable {
        case whole
        /// The own file is past the snapshot already.
        case overtaken
        case contradiction(String)
    }

    let disk: any Disk
    let directory: String
    /// What of the own file is relied on.
    let base: StoreState
    /// The sender's state.
    let state: StoreState

    /// Looks at every page's hash once.
    func verdict(_ staged: StagedPages) throws(StorageError) -> Verdict {
        if let own = try openMeta().load(), own.index > state.index { return .overtaken }
        var sum: UInt64 = 0
        var last: UInt32 = 0
        var newest: UInt64 = 0
        let shared = min(base.pageCount, state.pageCount)
        try openSide().load(pageCount: shared) { page, index, hash in
            last = page
            guard staged.hash(of: page) == nil else { return }
            sum ^= hash
            newest = max(newest, index)
        }
        if newest > state.index { return .overtaken }
        guard newest <= base.index else {
            return .contradiction("a page was changed by entry \(newest), and did not come")
        }
        if state.pageCount > 0 {
            for page in 1...state.pageCount {
                if let hash = staged.hash(of: page) {
                    sum ^= hash
                } else if page > last {
                    return .contradiction("page \(page) did not come")
                }
            }
        }
        guard sum == state.databaseHash else {
            return .contradiction("checksums do not add up to the sender's")
        }
        return .whole
    }

    private func openMeta() throws(StorageError) -> MetaFile {
        try onDisk { () throws(DiskError) in
            MetaFile(file: try disk.open("\(directory)/db.meta", create: true))
        }
    }

    private func openSide() throws(StorageError) -> SideFile {
        try onDisk { () throws(DiskError) in
            SideFile(file: try disk.open("\(directory)/db.pages", create: true))
        }
    }
}
