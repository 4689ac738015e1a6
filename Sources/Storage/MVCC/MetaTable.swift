// MetaTable.swift: the few values that belong to the store as a whole.
// Belongs here: names and access. Never here: what follows from a value.

/// Integers and bytes by name, in table `meta`; on the writer's connection or a reader's.
public struct MetaTable {
    /// What is stored.
    public enum Name: String, Sendable {
        /// `Schema.formatVersion` of the writer.
        case formatVersion = "format"
        /// The compacted main revision; absent on a store never compacted (etcd semantics C2).
        case compacted
        /// First packed revision that the running compaction has yet to look at; absent when none runs.
        case compactionCursor = "compaction_cursor"
        /// Present while the NOSPACE alarm was raised by a full disk, which then also clears it.
        case diskAlarm = "disk_alarm"
        /// The same for one that the quota raised.
        case quotaAlarm = "quota_alarm"
        /// Cluster id, as a bit pattern.
        case clusterID = "cluster"
        /// The current revision of a store whose newest change is older: a restore raised it.
        case revisionFloor = "revision_floor"
        /// Who votes in the Raft group, encoded by the server; absent until a membership changes.
        case membership
        /// 1 while calls are checked against users and roles; absent otherwise.
        case authEnabled = "auth_enabled"
        /// Counts changes of users, roles and permissions; absent stands for 1 (etcd semantics A2).
        case authRevision = "auth_revision"
    }

    private let select: Statement
    private let replace: Statement
    private let delete: Statement

    /// Prepares the statements; `meta` must exist.
    public init(connection: Connection) throws(StorageError) {
        select = try connection.prepare("SELECT value FROM meta WHERE name = ?")
        replace = try connection.prepare("INSERT OR REPLACE INTO meta VALUES(?, ?)")
        delete = try connection.prepare("DELETE FROM meta WHERE name = ?")
    }

    /// The stored value, or nil.
    public func value(_ name: Name) throws(StorageError) -> Int64? {
        defer { select.reset() }
        select.bind(1, name.rawValue)
        return try select.step() ? select.integer(0) : nil
    }

    /// Stores a value.
    public func set(_ name: Name, to value: Int64) throws(StorageError) {
        replace.bind(1, name.rawValue)
        replace.bind(2, value)
        try replace.run()
    }

    /// The stored bytes, or nil.
    public func bytes(_ name: Name) throws(StorageError) -> [UInt8]? {
        defer { select.reset() }
        select.bind(1, name.rawValue)
        return try select.step() ? Array(select.bytes(0)) : nil
    }

    /// Stores bytes.
    public func set(_ name: Name, to bytes: [UInt8]) throws(StorageError) {
        replace.bind(1, name.rawValue)
        bytes.withUnsafeBytes { replace.bind(2, copying: $0) }
        try replace.run()
    }

    /// Removes a value; absent is no error.
    public func remove(_ name: Name) throws(StorageError) {
        delete.bind(1, name.rawValue)
        try delete.run()
    }
}
