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
    private let putKey: Statement
    private let deleteKey: Statement
    private let formerRow: FormerRow
    private var changesInRequest: Int64 = 0

    /// Main revision of the newest request that changed something, in this batch or before.
    public private(set) var revision: Int64

    /// Prepares the statements and reads where the history stands.
    public init(connection: Connection) throws(StorageError) {
        reader = try KeyReader(connection: connection)
        insertLog = try connection.prepare("INSERT INTO log VALUES(?, ?, ?, ?, ?, ?, ?)")
        insertKey = try connection.prepare("INSERT INTO cur VALUES(?, ?, ?, ?, ?)")
        formerRow = connection.formerRow
        let tombstone = Schema.versionBias
        putKey = try connection.prepare(
            """
            UPDATE cur SET rev = noting(?2, rev, crev, ver, lease), \
            crev = CASE WHEN ver > \(tombstone) THEN crev ELSE ?3 END, \
            ver = CASE WHEN ver > \(tombstone) THEN ver + 1 ELSE \(tombstone + 1) END, \
            lease = ?4 WHERE key = ?1
            """)
        deleteKey = try connection.prepare(
            "UPDATE cur SET rev = ?2, ver = \(tombstone), lease = 0 WHERE key = ?1")
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

    /// Stores a value (P1); returns the key's new record and its former one, which may be a tombstone.
    ///
    /// What the key was is found on the way to its row: callers need not look before.
    public func put(
        _ key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lease: Int64
    ) throws(StorageError) -> (record: KeyRecord, former: KeyRecord?) {
        let place = takePlace()
        var record = KeyRecord(
            revision: place, createRevision: place.main, version: 1, lease: lease)
        let former = try update(key, record)
        if let former, former.isLive {
            record.createRevision = former.createRevision
            record.version = former.version + 1
        } else if former == nil {
            try insert(key, record)
        }
        #if SIMULATION
            if StorageBug.versionNotReset.isPlanted, let former {
                record.version = former.version + 2
            }
            if StorageBug.createRevisionMoves.isPlanted { record.createRevision = place.main }
        #endif
        insertLog.bind(7, value)
        try append(key, record, replacing: former)
        return (record, former)
    }

    /// Makes a put's record of the row of a key, if there is one; returns what it was.
    private func update(
        _ key: UnsafeRawBufferPointer, _ record: KeyRecord
    ) throws(StorageError) -> KeyRecord? {
        formerRow.clear()
        putKey.bind(1, key)
        putKey.bind(2, record.revision.rawValue)
        putKey.bind(3, record.createRevision)
        putKey.bind(4, record.lease)
        try putKey.run()
        return formerRow.numbers.map {
            KeyRecord(
                revision: PackedRevision(rawValue: $0.0), createRevision: $0.1,
                version: $0.2 - Schema.versionBias, lease: $0.3)
        }
    }

    private func insert(
        _ key: UnsafeRawBufferPointer, _ record: KeyRecord
    ) throws(StorageError) {
        insertKey.bind(1, key)
        insertKey.bind(2, record.revision.rawValue)
        insertKey.bind(3, record.createRevision)
        insertKey.bind(4, record.version + Schema.versionBias)
        insertKey.bind(5, record.lease)
        try insertKey.run()
    }

    /// Deletes a live key; returns the place of the tombstone.
    ///
    /// - Parameter current: what `reader.record(of:)` says of the key now.
    public func delete(
        _ key: UnsafeRawBufferPointer, replacing current: KeyRecord
    ) throws(StorageError) -> PackedRevision {
        precondition(current.isLive, "deleting a key that is not there")
        let place = takePlace()
        deleteKey.bind(1, key)
        deleteKey.bind(2, place.rawValue)
        try deleteKey.run()
        insertLog.bindNull(7)
        try append(
            key,
            KeyRecord(
                revision: place, createRevision: current.createRevision, version: 0, lease: 0),
            replacing: current)
        return place
    }

    private func append(
        _ key: UnsafeRawBufferPointer, _ record: KeyRecord, replacing former: KeyRecord?
    ) throws(StorageError) {
        insertLog.bind(1, record.revision.rawValue)
        insertLog.bind(2, key)
        insertLog.bind(3, former?.revision.rawValue ?? 0)
        insertLog.bind(4, record.createRevision)
        insertLog.bind(5, record.version + Schema.versionBias)
        insertLog.bind(6, record.lease)
        try insertLog.run()
    }
}
