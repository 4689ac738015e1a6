// ChangeCursor.swift: one pass over the history, as watches that catch up and hashes need it.
// Belongs here: stepping over `log`. Never here: which changes matter to whom.
// Source: etcd semantics W4, W10 (order), M6 (hash order).

/// A pass over all changes from a place on, in order; bytes are valid until the next `next()`.
///
/// One at a time on a reader.
public final class ChangeCursor {
    private let statement: Statement
    private var isDone = false

    /// Begins at the first change at or after `revision`.
    public init(reader: KeyReader, from revision: PackedRevision) throws(StorageError) {
        statement = try reader.changes(from: revision)
    }

    deinit {
        close()
    }

    /// Ends the pass and frees the statement.
    public func close() {
        guard !isDone else { return }
        isDone = true
        statement.reset()
    }

    /// Moves to the next change; false at the end.
    public func next() throws(StorageError) -> Bool {
        precondition(!isDone, "a finished cursor was moved")
        if try statement.step() { return true }
        close()
        return false
    }

    /// The change's place.
    public var revision: PackedRevision { PackedRevision(rawValue: statement.integer(0)) }
    /// The key that changed.
    public var key: UnsafeRawBufferPointer { statement.bytes(1) }
    /// The key's change before this one; raw value 0 if none.
    public var previous: PackedRevision { PackedRevision(rawValue: statement.integer(2)) }
    /// What the change made of the key.
    public var record: KeyRecord {
        KeyRecord(
            revision: revision, createRevision: statement.integer(3),
            version: statement.integer(4) - Schema.versionBias, lease: statement.integer(5))
    }
    /// The new value; empty for a deletion.
    public var value: UnsafeRawBufferPointer { statement.bytes(6) }
}
