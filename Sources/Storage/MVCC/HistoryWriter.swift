// HistoryWriter.swift: changes that were made elsewhere, written down as they were made there.
// Belongs here: both key tables. Never here: what the changes are read from (Server/Migration).
// Source: design section 5. KeyWriter makes revisions; this one is told them.

/// Writes a history inside the writer's open transaction; confined to its thread.
///
/// Changes come in ascending order. With SQLite's journal off an error voids the whole batch.
public final class HistoryWriter {
    private let insertLog: Statement
    private let insertKey: Statement
    private let updateKey: Statement
    private let formerRow: FormerRow
    /// The place of the last change; the next one has to lie behind it.
    public private(set) var last: PackedRevision

    /// Prepares the statements and reads where the history stands.
    public init(connection: Connection) throws(StorageError) {
        // Before the statement that calls it is prepared.
        formerRow = connection.formerRow
        insertLog = try connection.prepare("INSERT INTO log VALUES(?, ?, ?, ?, ?, ?, ?)")
        insertKey = try connection.prepare("INSERT INTO cur VALUES(?, ?, ?, ?, ?)")
        updateKey = try connection.prepare(
            """
            UPDATE cur SET rev = noting(?2, rev, crev, ver, lease), crev = ?3, ver = ?4, lease = ?5 \
            WHERE key = ?1
            """)
        last = PackedRevision(rawValue: try connection.integer("SELECT max(rev) FROM log") ?? 0)
    }

    /// Adds a put, with the record that it made.
    public func put(
        _ key: UnsafeRawBufferPointer, _ record: KeyRecord, value: UnsafeRawBufferPointer
    ) throws(StorageError) {
        precondition(record.isLive, "a put of version \(record.version)")
        let former = try update(key, record)
        insertLog.bind(7, value)
        try append(key, record, previous: former?.place ?? 0)
    }

    /// Adds a deletion; the create revision is that of the generation that it ends, as far as known.
    public func delete(
        _ key: UnsafeRawBufferPointer, at place: PackedRevision
    ) throws(StorageError) {
        var record = KeyRecord(revision: place, createRevision: 0, version: 0, lease: 0)
        let former = try update(key, record)
        record.createRevision = former?.createRevision ?? 0
        if record.createRevision != 0 { _ = try update(key, record) }
        insertLog.bindNull(7)
        try append(key, record, previous: former?.place ?? 0)
    }

    /// Makes `record` the newest of a key; returns what was the newest before.
    private func update(
        _ key: UnsafeRawBufferPointer, _ record: KeyRecord
    ) throws(StorageError) -> (place: Int64, createRevision: Int64)? {
        formerRow.clear()
        bind(updateKey, key, record)
        try updateKey.run()
        if let (place, createRevision, _, _) = formerRow.numbers { return (place, createRevision) }
        bind(insertKey, key, record)
        try insertKey.run()
        return nil
    }

    private func bind(
        _ statement: Statement, _ key: UnsafeRawBufferPointer, _ record: KeyRecord
    ) {
        statement.bind(1, key)
        statement.bind(2, record.revision.rawValue)
        statement.bind(3, record.createRevision)
        statement.bind(4, record.version + Schema.versionBias)
        statement.bind(5, record.lease)
    }

    private func append(
        _ key: UnsafeRawBufferPointer, _ record: KeyRecord, previous: Int64
    ) throws(StorageError) {
        precondition(record.revision > last, "\(record.revision) is not after \(last)")
        insertLog.bind(1, record.revision.rawValue)
        insertLog.bind(2, key)
        insertLog.bind(3, previous)
        insertLog.bind(4, record.createRevision)
        insertLog.bind(5, record.version + Schema.versionBias)
        insertLog.bind(6, record.lease)
        try insertLog.run()
        last = record.revision
    }
}
