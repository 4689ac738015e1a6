// KeyWriter.swift: puts and deletions inside the writer's open transaction.
// Belongs here: revisions, versions, the two key tables. Never here: validation (Server), BEGIN and COMMIT.
// Source: etcd semantics G2, P1, D3, T3, S1, S2; design section 5.

/// Writes keys on the one writer connection; confined to the replica loop.
///
/// With SQLite's journal off a failing statement leaves what it wrote: callers validate a request before
/// its first write, and on any error here throw the whole batch away.
public final class KeyWriter {
    /// Reads on the same connection: they see the writes of the open transaction.
    public let reader: KeyReader
    private let insertLog: Statement
    private let insertKey: Statement
    private let updateKey: Statement
    private var changesInRequest: Int64 = 0

    /// Main revision of the newest request that changed something, in this batch or before.
    public private(set) var revision: Int64

    /// Prepares the statements and reads where the history stands.
    public init(connection: Connection) throws(StorageError) {
        reader = try KeyReader(connection: connection)
        insertLog = try connection.prepare("INSERT INTO log VALUES(?, ?, ?, ?, ?, ?, ?)")
        insertKey = try connection.prepare("INSERT INTO cur VALUES(?, ?, ?, ?, ?)")
        updateKey = try connection.prepare(
            "UPDATE cur SET rev = ?2, crev = ?3, ver = ?4, lease = ?5 WHERE key = ?1")
        revision = try reader.currentRevision()
    }

    /// The revision that the open request's changes carry.
    public var nextRevision: Int64 { revision + 1 }
    /// Whether the open request has changed anything yet.
    public var hasChanges: Bool { changesInRequest > 0 }
    /// How many changes the open request has made.
    public var changeCount: Int { Int(changesInRequest) }

    /// Ends a request: if it changed anything, the store is one revision further (G2).
    public func finishRequest() {
        if changesInRequest > 0 { revision += 1 }
        changesInRequest = 0
    }

    private func takePlace() -> PackedRevision {
        precondition(
            changesInRequest < PackedRevision.changesPerRequestMax,
            "request with \(changesInRequest) changes was not refused")
        defer { changesInRequest += 1 }
        return PackedRevision(main: nextRevision, sub: changesInRequest)
    }

    /// Stores a value (P1); returns the key's new record.
    ///
    /// - Parameter current: what `reader.record(of:)` says of the key now.
    public func put(
        _ key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lease: Int64,
        replacing current: KeyRecord?
    ) throws(StorageError) -> KeyRecord {
        let place = takePlace()
        var record = KeyRecord(
            revision: place, createRevision: place.main, version: 1, lease: lease)
        if let current, current.isLive {
            record.createRevision = current.createRevision
            record.version = current.version + 1
        }
        insertLog.bind(7, value)
        try append(key, record, replacing: current)
        return record
    }

    /// Deletes a live key; returns the place of the tombstone.
    public func delete(
        _ key: UnsafeRawBufferPointer, replacing current: KeyRecord
    ) throws(StorageError) -> PackedRevision {
        precondition(current.isLive, "deleting a key that is not there")
        let place = takePlace()
        insertLog.bindNull(7)
        try append(
            key,
            KeyRecord(
                revision: place, createRevision: current.createRevision, version: 0, lease: 0),
            replacing: current)
        return place
    }

    private func append(
        _ key: UnsafeRawBufferPointer, _ record: KeyRecord, replacing current: KeyRecord?
    ) throws(StorageError) {
        insertLog.bind(1, record.revision.rawValue)
        insertLog.bind(2, key)
        insertLog.bind(3, current?.revision.rawValue ?? 0)
        insertLog.bind(4, record.createRevision)
        insertLog.bind(5, record.version + Schema.versionBias)
        insertLog.bind(6, record.lease)
        try insertLog.run()
        let index = current == nil ? insertKey : updateKey
        index.bind(1, key)
        index.bind(2, record.revision.rawValue)
        index.bind(3, record.createRevision)
        index.bind(4, record.version + Schema.versionBias)
        index.bind(5, record.lease)
        try index.run()
    }
}
