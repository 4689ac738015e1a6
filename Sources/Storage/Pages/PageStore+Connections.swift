// PageStore+Connections.swift: SQLite connections on the page store, set up so that its traps stay
// shut.
// Belongs here: the pragmas and why. Never here: tables, queries (MVCC/).
// Source: sqlite.org/pragma.html; the numbers of traps are those of Docs.docc/Pages.md.

internal import Synchronization

extension PageStore {
    /// Opens the one connection that may write; writer's thread.
    ///
    /// One for each term of leadership: after `discard` or `apply` it is refused by the page store,
    /// as its cache no longer holds what the pages are (trap 11). Writing in journal mode OFF has
    /// no undo within a transaction: on any error ROLLBACK the whole batch (trap 1).
    public func openWriter() throws(StorageError) -> Connection {
        precondition(recovery == nil, "a writer before recovery is complete")
        let connection = try Connection(path: "db", vfs: vfsName)
        try connection.execute("PRAGMA temp_store = MEMORY")
        try connection.execute("PRAGMA cache_spill = 0")
        try connection.execute("PRAGMA secure_delete = 0")
        try connection.execute("PRAGMA synchronous = OFF")
        try connection.execute("PRAGMA mmap_size = 0")
        try connection.execute("PRAGMA cache_size = -\(PageLimits.writerCacheKiB)")
        try connection.execute("PRAGMA page_size = \(PageLimits.pageBytes)")
        try connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        try connection.execute("PRAGMA journal_mode = OFF")
        // Writes page 1 of an empty database: the first batch will carry it.
        if tip.pageCount == 0 { try connection.execute("PRAGMA auto_vacuum = INCREMENTAL") }
        return connection
    }

    /// Opens a connection that reads committed states, for one thread; any thread may open it.
    ///
    /// - Throws: `busy` before recovery is complete.
    public func openReader() throws(StorageError) -> StoreReader {
        guard published.load(ordering: .acquiring) != nil else {
            throw .busy(what: "recovery is not complete")
        }
        let connection = try Connection(path: "db", vfs: vfsName, readOnly: true)
        try connection.execute("PRAGMA temp_store = MEMORY")
        try connection.execute("PRAGMA cache_size = -\(PageLimits.readerCacheKiB)")
        // Any size: it only switches xFetch on, nothing is mapped.
        try connection.execute("PRAGMA mmap_size = \(Int64(1) << 40)")
        return StoreReader(connection: connection)
    }
}

/// A reading connection and the state it sees; confined to the thread of its owner.
public final class StoreReader {
    /// The connection; every transaction on it sees one committed state.
    public let connection: Connection
    private let file: UnsafeMutablePointer<StoreFile>

    init(connection: Connection) {
        self.connection = connection
        file = StoreFile.of(connection)
    }

    /// The state that the open transaction sees, or nil outside of one.
    ///
    /// After BEGIN it is nil until the first statement reads: SQLite begins late.
    public var pinned: StoreState? {
        file.pointee.isPinned ? file.pointee.pinned : nil
    }

    /// Why the page store failed a statement on this connection, once.
    ///
    /// SQLite knows only "disk I/O error"; this says which page.
    public func takeFailure() -> StorageError? {
        let box = file.pointee.failure.takeUnretainedValue()
        defer { box.error = nil }
        return box.error
    }
}
