// PageStore+Offline.swift: a store without a log beside it: making one from a whole database, and folding
// everything into the file.
// Belongs here: what only a directory may go through that nobody serves yet. Never here: which directory
// that is (Server/Offline). A crash in here leaves a directory that must not be used.

extension PageStore {
    /// Makes the files of a store out of a database, in a directory that has none of them yet.
    ///
    /// The store stands at index 1 of term 1 afterwards.
    /// - Parameters:
    ///   - disk: where the files are.
    ///   - directory: gets `db`, `db.pages` and `db.meta`; all are durable afterwards.
    ///   - pageCount: pages of the database.
    ///   - header: what its tables say.
    ///   - read: fills the buffer from an offset of the database.
    public static func create(
        disk: any Disk, directory: String, pageCount: UInt32, header: StateHeader,
        read: (UnsafeMutableRawBufferPointer, UInt64) throws(StorageError) -> Void
    ) throws(StorageError) {
        precondition(pageCount <= PageLimits.pagesMax, "\(pageCount) pages")
        let files = try onDisk { () throws(DiskError) in
            (
                try disk.open("\(directory)/db", create: true),
                try disk.open("\(directory)/db.pages", create: true),
                try disk.open("\(directory)/db.meta", create: true)
            )
        }
        let side = SideFile(file: files.1)
        let meta = MetaFile(file: files.2)
        try meta.store(.empty)
        var state = StoreState(
            index: 1, term: 1, pageCount: pageCount, databaseHash: 0, header: header)
        let room = UnsafeMutableRawPointer.allocate(
            byteCount: PageLimits.runPagesMax * PageLimits.pageBytes, alignment: 64)
        defer { room.deallocate() }
        var page: UInt32 = 1
        while page <= pageCount {
            let count = min(PageLimits.runPagesMax, Int(pageCount - page) + 1)
            let offset = UInt64(page - 1) << PageLimits.pageShift
            let run = UnsafeMutableRawBufferPointer(
                start: room, count: count * PageLimits.pageBytes)
            try read(run, offset)
            var entries: [(index: UInt64, hash: UInt64)] = []
            for position in 0..<count {
                let hash = PageHash.hash(
                    page: page + UInt32(position), room + position * PageLimits.pageBytes)
                state.databaseHash ^= hash
                entries.append((state.index, hash))
            }
            try onDisk { () throws(DiskError) in
                try files.0.write(UnsafeRawBufferPointer(run), at: offset)
            }
            try side.write(entries, from: page)
            page += UInt32(count)
        }
        try onDisk { () throws(DiskError) in try files.0.sync() }
        try side.sync()
        try meta.store(state)
        try onDisk { () throws(DiskError) in try disk.syncDirectory(directory) }
    }

    /// Writes everything that is committed into the database file, with no log to fall back on.
    public func foldEverything() throws(StorageError) {
        guard let checkpoint = try beginCheckpoint() else { return }
        checkpoint.intentIsDurable()
        while try !checkpoint.step(pages: PageLimits.runPagesMax * 16) {}
    }
}
