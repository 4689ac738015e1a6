// SmallTables.swift: leases and alarms, as rows.
// Belongs here: one statement each. Never here: expiry (Server/Lease), what an alarm forbids (Server),
// members (MemberTables.swift).
// Source: etcd semantics L1, L11, M2.

/// A stored lease.
public struct LeaseRow: Equatable, Sendable {
    /// The lease's id, any int64 but 0.
    public var id: Int64
    /// Granted time to live in seconds.
    public var timeToLive: Int64
    /// Seconds that were left when the leader last wrote them down; equal to `timeToLive` if never.
    public var remaining: Int64

    /// A lease as granted.
    public init(id: Int64, timeToLive: Int64, remaining: Int64) {
        self.id = id
        self.timeToLive = timeToLive
        self.remaining = remaining
    }
}

/// Table `lease`.
public struct LeaseTable {
    private let selectAll: Statement
    private let replace: Statement
    private let delete: Statement

    /// Prepares the statements.
    public init(connection: Connection) throws(StorageError) {
        selectAll = try connection.prepare("SELECT id, ttl, remaining FROM lease ORDER BY id")
        replace = try connection.prepare("INSERT OR REPLACE INTO lease VALUES(?, ?, ?)")
        delete = try connection.prepare("DELETE FROM lease WHERE id = ?")
    }

    /// All leases by ascending id.
    public func all() throws(StorageError) -> [LeaseRow] {
        defer { selectAll.reset() }
        var rows: [LeaseRow] = []
        while try selectAll.step() {
            rows.append(
                LeaseRow(
                    id: selectAll.integer(0), timeToLive: selectAll.integer(1),
                    remaining: selectAll.integer(2)))
        }
        return rows
    }

    /// Adds a lease or rewrites it.
    public func set(_ row: LeaseRow) throws(StorageError) {
        replace.bind(1, row.id)
        replace.bind(2, row.timeToLive)
        replace.bind(3, row.remaining)
        try replace.run()
    }

    /// Removes a lease; missing is no error.
    public func remove(_ id: Int64) throws(StorageError) {
        delete.bind(1, id)
        try delete.run()
    }
}

/// A stored alarm: the member that raised it, and etcd's AlarmType number.
public struct AlarmRow: Hashable, Sendable {
    /// Member id as a bit pattern.
    public var member: UInt64
    /// 1 NOSPACE, 2 CORRUPT.
    public var kind: Int32

    /// An alarm of a member.
    public init(member: UInt64, kind: Int32) {
        self.member = member
        self.kind = kind
    }
}

/// Table `alarm`.
public struct AlarmTable {
    private let selectAll: Statement
    private let insert: Statement
    private let delete: Statement

    /// Prepares the statements.
    public init(connection: Connection) throws(StorageError) {
        selectAll = try connection.prepare("SELECT member, kind FROM alarm ORDER BY member, kind")
        insert = try connection.prepare("INSERT OR IGNORE INTO alarm VALUES(?, ?)")
        delete = try connection.prepare("DELETE FROM alarm WHERE member = ? AND kind = ?")
    }

    /// All alarms, by member and kind.
    public func all() throws(StorageError) -> [AlarmRow] {
        defer { selectAll.reset() }
        var rows: [AlarmRow] = []
        while try selectAll.step() {
            rows.append(
                AlarmRow(
                    member: UInt64(bitPattern: selectAll.integer(0)),
                    kind: Int32(truncatingIfNeeded: selectAll.integer(1))))
        }
        return rows
    }

    /// Raises an alarm; raised already is no error.
    public func raise(_ row: AlarmRow) throws(StorageError) {
        insert.bind(1, Int64(bitPattern: row.member))
        insert.bind(2, Int64(row.kind))
        try insert.run()
    }

    /// Clears an alarm; not raised is no error.
    public func clear(_ row: AlarmRow) throws(StorageError) {
        delete.bind(1, Int64(bitPattern: row.member))
        delete.bind(2, Int64(row.kind))
        try delete.run()
    }
}
