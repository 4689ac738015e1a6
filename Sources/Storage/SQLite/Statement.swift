// Statement.swift: a prepared statement with typed binding and columns that are not copied.
// Belongs here: bind, step, column. Never here: SQL text.
// Source: sqlite.org/c3ref/bind_blob.html and column_blob.html (lifetimes).

internal import CSQLite

/// A prepared statement, reused for the life of its connection.
///
/// Bound bytes are not copied, unless `bind(_:copying:)` says so: they must stay valid until `reset`,
/// which the closures of the callers guarantee. Column bytes are valid until the next `step` or `reset`.
public final class Statement {
    private let handle: OpaquePointer
    // Keeps the connection open for as long as a statement may run on it.
    private let connection: Connection
    // SQLITE_TRANSIENT, a cast that the importer can't see.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    init(handle: OpaquePointer, connection: Connection) {
        self.handle = handle
        self.connection = connection
    }

    deinit {
        sqlite3_finalize(handle)
    }

    /// Binds an integer; parameters count from 1.
    @inline(__always)
    public func bind(_ index: Int32, _ value: Int64) {
        let code = sqlite3_bind_int64(handle, index, value)
        precondition(code == SQLITE_OK, "bind \(index): result \(code)")
    }

    /// Binds bytes without copying them; an empty range is an empty blob, not NULL.
    @inline(__always)
    public func bind(_ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        let code =
            bytes.count == 0
            ? sqlite3_bind_zeroblob(handle, index, 0)
            : sqlite3_bind_blob(handle, index, bytes.baseAddress, Int32(bytes.count), nil)
        precondition(code == SQLITE_OK, "bind \(index): result \(code)")
    }

    /// Binds a copy of bytes, for statements that are stepped after the bytes' owner is out of sight.
    public func bind(_ index: Int32, copying bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return bind(index, bytes) }
        let code = sqlite3_bind_blob(
            handle, index, bytes.baseAddress, Int32(bytes.count), Self.transient)
        precondition(code == SQLITE_OK, "bind \(index): result \(code)")
    }

    /// Binds NULL.
    public func bindNull(_ index: Int32) {
        let code = sqlite3_bind_null(handle, index)
        precondition(code == SQLITE_OK, "bind \(index): result \(code)")
    }

    /// Binds text, copied by SQLite.
    public func bind(_ index: Int32, _ text: String) {
        let code = sqlite3_bind_text(handle, index, text, -1, Self.transient)
        precondition(code == SQLITE_OK, "bind \(index): result \(code)")
    }

    /// Advances to the next row; false when there is none.
    @inline(__always)
    public func step() throws(StorageError) -> Bool {
        let code = sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        throw failure(code)
    }

    /// Runs a statement that returns no rows, and makes it ready for the next use.
    @inline(__always)
    public func run() throws(StorageError) {
        let code = sqlite3_step(handle)
        guard code == SQLITE_DONE else { throw failure(code) }
        sqlite3_reset(handle)
    }

    /// Makes the statement ready for the next use; bound bytes may go afterwards.
    @inline(__always)
    public func reset() {
        // The code repeats the error of the last step, which was thrown there.
        sqlite3_reset(handle)
    }

    /// The integer in a column of the current row; columns count from 0.
    @inline(__always)
    public func integer(_ column: Int32) -> Int64 {
        sqlite3_column_int64(handle, column)
    }

    /// The bytes in a column of the current row; NULL is empty.
    @inline(__always)
    public func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(handle, column)
        return UnsafeRawBufferPointer(
            start: start, count: Int(sqlite3_column_bytes(handle, column)))
    }

    /// The length of the bytes in a column, without reading them.
    @inline(__always)
    public func count(_ column: Int32) -> Int {
        Int(sqlite3_column_bytes(handle, column))
    }

    /// The text in a column of the current row.
    public func text(_ column: Int32) -> String {
        String(decoding: bytes(column), as: UTF8.self)
    }

    /// Whether a column of the current row is NULL.
    @inline(__always)
    public func isNull(_ column: Int32) -> Bool {
        sqlite3_column_type(handle, column) == SQLITE_NULL
    }

    private func failure(_ code: Int32) -> StorageError {
        let sql = sqlite3_sql(handle).map { String(cString: $0) } ?? ""
        let error = connection.failure(code, during: sql)
        sqlite3_reset(handle)
        return error
    }
}
