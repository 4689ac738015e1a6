// KeyReader.swift: questions about keys and their history, on one connection.
// Belongs here: statements over `cur` and `log`. Never here: limits, sorting, encoding (Server).
// Source: etcd semantics R1-R8, W4, W8; design section 5 (walks along `prev`).

/// The upper end of a key range (etcd semantics R1).
public enum RangeEnd {
    /// Only the key itself.
    case single
    /// All keys at or after the first.
    case unbounded
    /// Keys before these bytes.
    case before(UnsafeRawBufferPointer)
}

/// Reads keys and history on one connection; confined to the thread of its owner.
///
/// The caller brackets reads with a transaction where they must agree with each other.
public final class KeyReader {
    /// The connection the reader works on.
    public let connection: Connection
    private let selectKey: Statement
    private let selectChange: Statement
    private let selectLeaseKeys: Statement
    private let selectLive: Statement
    private let countBounded: Statement
    private let countUnbounded: Statement
    private let lastRevision: Statement
    // Scans by [shape][end]; prepared at first use, since most connections never need some of them.
    private var scans: [Statement?] = Array(repeating: nil, count: 12)
    private var eventScan: Statement?

    /// Prepares the common statements; the tables must exist.
    public init(connection: Connection) throws(StorageError) {
        self.connection = connection
        selectKey = try connection.prepare("SELECT rev, crev, ver, lease FROM cur WHERE key = ?")
        selectChange = try connection.prepare(
            "SELECT prev, crev, ver, lease, val, key FROM log WHERE rev = ?")
        selectLeaseKeys = try connection.prepare(
            "SELECT key, rev, crev, ver, lease FROM cur WHERE lease = ? AND lease <> 0 ORDER BY key"
        )
        let live = "ver > \(Schema.versionBias)"
        selectLive = try connection.prepare(
            """
            SELECT cur.rev, cur.crev, cur.ver, cur.lease, log.val FROM cur \
            CROSS JOIN log ON log.rev = cur.rev WHERE cur.key = ? AND cur.\(live)
            """)
        countBounded = try connection.prepare(
            """
            SELECT count(*), max(key) FROM (SELECT key FROM cur \
            WHERE key >= ?1 AND key < ?3 AND \(live) ORDER BY key LIMIT ?2)
            """)
        countUnbounded = try connection.prepare(
            """
            SELECT count(*), max(key) FROM (SELECT key FROM cur \
            WHERE key >= ?1 AND \(live) ORDER BY key LIMIT ?2)
            """)
        lastRevision = try connection.prepare(
            """
            SELECT max(coalesce((SELECT max(rev) FROM log), 0), \
            coalesce((SELECT value FROM meta WHERE name = ?), 0) << \(PackedRevision.subBits))
            """)
    }

    /// The main revision of the newest change, or what a restore raised it to; 1 on an empty store
    /// (etcd semantics G1).
    public func currentRevision() throws(StorageError) -> Int64 {
        defer { lastRevision.reset() }
        lastRevision.bind(1, MetaTable.Name.revisionFloor.rawValue)
        _ = try lastRevision.step()
        return max(1, PackedRevision(rawValue: lastRevision.integer(0)).main)
    }

    /// The newest change of a key, also a tombstone; nil if the key never was, or is compacted.
    public func record(of key: UnsafeRawBufferPointer) throws(StorageError) -> KeyRecord? {
        defer { selectKey.reset() }
        selectKey.bind(1, key)
        guard try selectKey.step() else { return nil }
        return KeyRecord(
            revision: PackedRevision(rawValue: selectKey.integer(0)),
            createRevision: selectKey.integer(1),
            version: selectKey.integer(2) - Schema.versionBias, lease: selectKey.integer(3))
    }

    /// Passes the key, the record and the value of one change to `body`; nil if it is compacted away.
    public func withChange<Result>(
        at revision: PackedRevision,
        _ body: (
            _ key: UnsafeRawBufferPointer, _ record: KeyRecord, _ value: UnsafeRawBufferPointer
        ) -> Result
    ) throws(StorageError) -> Result? {
        defer { selectChange.reset() }
        selectChange.bind(1, revision.rawValue)
        guard try selectChange.step() else { return nil }
        return body(
            selectChange.bytes(5),
            KeyRecord(
                revision: revision, createRevision: selectChange.integer(1),
                version: selectChange.integer(2) - Schema.versionBias,
                lease: selectChange.integer(3)), selectChange.bytes(4))
    }

    /// Passes what a key was before a main revision to `body`; nil if that is compacted away.
    ///
    /// - Parameter previous: the key's change before one of that revision, perhaps of the same revision.
    public func withChange<Result>(
        _ previous: PackedRevision, before main: Int64,
        _ body: (
            _ key: UnsafeRawBufferPointer, _ record: KeyRecord, _ value: UnsafeRawBufferPointer
        ) -> Result
    ) throws(StorageError) -> Result? {
        guard let place = try revision(of: previous, asOf: PackedRevision.last(of: main - 1)) else {
            return nil
        }
        return try withChange(at: place, body)
    }

    /// Calls `body` for each key that hangs on a lease, in key order.
    public func forEachKey(
        ofLease lease: Int64, _ body: (UnsafeRawBufferPointer, KeyRecord) -> Void
    ) throws(StorageError) {
        defer { selectLeaseKeys.reset() }
        selectLeaseKeys.bind(1, lease)
        while try selectLeaseKeys.step() {
            let record = KeyRecord(
                revision: PackedRevision(rawValue: selectLeaseKeys.integer(1)),
                createRevision: selectLeaseKeys.integer(2),
                version: selectLeaseKeys.integer(3) - Schema.versionBias,
                lease: selectLeaseKeys.integer(4))
            body(selectLeaseKeys.bytes(0), record)
        }
    }

    /// Passes the record and value of a key that exists now to `body`; nil if it does not.
    @inline(__always)
    public func withLiveKey<Result>(
        _ key: UnsafeRawBufferPointer,
        _ body: (_ record: KeyRecord, _ value: UnsafeRawBufferPointer) -> Result
    ) throws(StorageError) -> Result? {
        defer { selectLive.reset() }
        selectLive.bind(1, key)
        guard try selectLive.step() else { return nil }
        let record = KeyRecord(
            revision: PackedRevision(rawValue: selectLive.integer(0)),
            createRevision: selectLive.integer(1),
            version: selectLive.integer(2) - Schema.versionBias, lease: selectLive.integer(3))
        return body(record, selectLive.bytes(4))
    }

    /// Counts up to `limit` keys that exist now in a range, and says which was the last.
    ///
    /// A count equal to `limit` may go on after that key.
    public func countLive(
        from key: UnsafeRawBufferPointer, to end: RangeEnd, limit: Int
    ) throws(StorageError) -> (count: Int, lastKey: [UInt8]) {
        let statement: Statement
        switch end {
        case .single:
            return (try record(of: key)?.isLive == true ? 1 : 0, Array(key))
        case .unbounded:
            statement = countUnbounded
        case .before(let bytes):
            statement = countBounded
            statement.bind(3, bytes)
        }
        defer { statement.reset() }
        statement.bind(1, key)
        statement.bind(2, Int64(limit))
        _ = try statement.step()
        return (Int(statement.integer(0)), Array(statement.bytes(1)))
    }

    /// What a scan has to bring along.
    enum Shape: Int {
        /// Live keys without values.
        case liveRecords
        /// Live keys with values.
        case liveValues
        /// Live keys with the lengths of their values.
        case liveLengths
        /// All rows of the key index, tombstones too.
        case allRecords
    }

    /// The statement for a scan, bound to its range and ready to step.
    func scan(
        _ shape: Shape, from key: UnsafeRawBufferPointer, to end: RangeEnd
    ) throws(StorageError) -> Statement {
        let endSlot: Int
        let condition: String
        switch end {
        case .single: (endSlot, condition) = (0, "cur.key = ?1")
        case .unbounded: (endSlot, condition) = (1, "cur.key >= ?1")
        case .before: (endSlot, condition) = (2, "cur.key >= ?1 AND cur.key < ?2")
        }
        let slot = shape.rawValue * 3 + endSlot
        let statement: Statement
        if let prepared = scans[slot] {
            statement = prepared
        } else {
            let columns = "cur.key, cur.rev, cur.crev, cur.ver, cur.lease"
            let live = "cur.ver > \(Schema.versionBias)"
            let sql =
                switch shape {
                case .liveRecords:
                    "SELECT \(columns) FROM cur WHERE \(condition) AND \(live) ORDER BY cur.key"
                case .liveValues:
                    """
                    SELECT \(columns), log.val FROM cur CROSS JOIN log ON log.rev = cur.rev \
                    WHERE \(condition) AND \(live) ORDER BY cur.key
                    """
                case .liveLengths:
                    """
                    SELECT \(columns), length(log.val) FROM cur \
                    CROSS JOIN log ON log.rev = cur.rev \
                    WHERE \(condition) AND \(live) ORDER BY cur.key
                    """
                case .allRecords:
                    "SELECT \(columns) FROM cur WHERE \(condition) ORDER BY cur.key"
                }
            statement = try connection.prepare(sql)
            scans[slot] = statement
        }
        statement.bind(1, copying: key)
        if case .before(let bytes) = end { statement.bind(2, copying: bytes) }
        return statement
    }

    /// The statement that walks all changes from a place on, in order, ready to step.
    func changes(from revision: PackedRevision) throws(StorageError) -> Statement {
        let statement: Statement
        if let eventScan {
            statement = eventScan
        } else {
            statement = try connection.prepare(
                "SELECT rev, key, prev, crev, ver, lease, val FROM log WHERE rev >= ? ORDER BY rev")
            eventScan = statement
        }
        statement.bind(1, revision.rawValue)
        return statement
    }

    /// The change of a key that was the newest at a place in history; nil if there was none.
    ///
    /// - Parameter newest: the key's newest change, from `cur`.
    func revision(
        of newest: PackedRevision, asOf place: PackedRevision
    ) throws(StorageError) -> PackedRevision? {
        var candidate = newest
        while candidate > place {
            selectChange.bind(1, candidate.rawValue)
            defer { selectChange.reset() }
            guard try selectChange.step() else { return nil }
            candidate = PackedRevision(rawValue: selectChange.integer(0))
        }
        return candidate.rawValue == 0 ? nil : candidate
    }
}

extension KeyReader {
    /// The change of a key that was the newest at a place in history; nil if there was none.
    public func newestChange(
        of key: UnsafeRawBufferPointer, asOf place: PackedRevision
    ) throws(StorageError) -> PackedRevision? {
        guard let newest = try record(of: key) else { return nil }
        return try revision(of: newest.revision, asOf: place)
    }
}
