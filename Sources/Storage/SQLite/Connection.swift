// Connection.swift: one SQLite connection, owned by one thread.
// Belongs here: opening, running SQL, turning result codes into StorageError. Never here: what the SQL means.
// Source: sqlite.org/c3ref; NOMUTEX because each connection has exactly one owner.

internal import CSQLite

/// Settings of SQLite for the whole process.
enum SQLiteLibrary {
    private static let result = martlet_sqlite_configure()

    /// Makes the settings, the first time it is called; to be called before anything else of SQLite is.
    static func configure() {
        precondition(result == SQLITE_OK, "SQLite was in use before it was configured: \(result)")
    }
}

/// An SQLite connection; confined to the thread of its owner.
public final class Connection {
    /// The raw handle, for calls that have no wrapper here.
    package let handle: OpaquePointer
    /// Made at first use; one for all statements of the connection.
    private(set) lazy var formerRow = FormerRow(handle: handle)

    /// Opens `path` through the named VFS, or SQLite's own if nil.
    ///
    /// - Parameter readOnly: opens without the right to write; the file must exist.
    public init(path: String, vfs: String? = nil, readOnly: Bool = false) throws(StorageError) {
        SQLiteLibrary.configure()
        var opened: OpaquePointer?
        let access = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        let code = sqlite3_open_v2(path, &opened, access | SQLITE_OPEN_NOMUTEX, vfs)
        guard code == SQLITE_OK, let opened else {
            let text = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(opened)
            throw .sqlite(code: code, message: "open \(path): \(text)")
        }
        handle = opened
        sqlite3_extended_result_codes(opened, 1)
    }

    deinit {
        sqlite3_close_v2(handle)
    }

    /// Runs one or more statements, discarding rows.
    public func execute(_ sql: String) throws(StorageError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(code, during: sql) }
    }

    /// Prepares a statement that will be used many times.
    public func prepare(_ sql: String) throws(StorageError) -> Statement {
        var prepared: OpaquePointer?
        let code = sqlite3_prepare_v3(
            handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard code == SQLITE_OK, let prepared else { throw failure(code, during: sql) }
        return Statement(handle: prepared, connection: self)
    }

    /// The single integer of a query, or nil if it has no row or the column is NULL.
    public func integer(_ sql: String) throws(StorageError) -> Int64? {
        let statement = try prepare(sql)
        guard try statement.step(), !statement.isNull(0) else { return nil }
        return statement.integer(0)
    }

    /// Turns a result code into an error that names what was being done.
    func failure(_ code: Int32, during what: String) -> StorageError {
        .sqlite(
            code: code, message: "\(String(cString: sqlite3_errmsg(handle))) (\(what.prefix(120)))")
    }
}
