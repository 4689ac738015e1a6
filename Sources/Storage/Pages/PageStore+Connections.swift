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
        var pragmas = [
            "temp_store = MEMORY", "cache_spill = 0", "secure_delete = 0", "synchronous = OFF",
            "mmap_size = 0", "cache_size = -\(PageLimits.writerCacheKiB)",
            "page_size = \(PageLimits.pageBytes)", "locking_mode = EXCLUSIVE",
            "journal_mode = OFF",
        ]
        // Writes page 1 of an empty database: the first batch will carry it.
        if tip.pageCount == 0 { pragmas.append("auto_vacuum = INCREMENTAL") }
        try set(pragmas, on: StoreReader(connection: connection))
        return connection
    }

    /// Opens a connection that reads committed states, for one thread; any thread may open it.
    ///
    /// - Throws: `busy` before recovery is complete; `corruptPage` if the first page is.
    public func openReader() throws(StorageError) -> StoreReader {
        guard published.load(ordering: .acquiring) != nil else {
            throw .busy(what: "recovery is not complete")
        }
        let connection = try Connection(path: "db", vfs: vfsName, readOnly: true)
        let reader = StoreReader(connection: connection)
        // Any size of the mapping: it only switches xFetch on, nothing is mapped.
        try set(
            [
                "temp_store = MEMORY", "cache_size = -\(PageLimits.readerCacheKiB)",
                "mmap_size = \(Int64(1) << 40)",
            ], on: reader)
        return reader
    }

    /// Sets pragmas; some of them read page 1, and an error then says which page is bad.
    private func set(_ pragmas: [String], on reader: StoreReader) throws(StorageError) {
        do throws(StorageError) {
            for pragma in pragmas { try reader.connection.execute("PRAGMA \(pragma)") }
        } catch {
            throw reader.takeFailure() ?? error
        }
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
