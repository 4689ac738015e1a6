// Schema.swift: the tables, and the format version they stand for.
// Belongs here: DDL and column encodings. Never here: queries.
// Source: design section 5; the fixed-width encodings are measured in storage.md ("Schema").

/// The tables of a store.
///
/// `log` is append only: one row a change, `prev` chains the changes of a key, newest first. `cur` is the
/// key index, holding the newest change of each key, also of deleted keys until they are compacted.
/// `ver` is biased by `versionBias`, so that SQLite can overwrite a record in place as it grows: a log
/// entry then holds a few changed bytes instead of half a page.
public enum Schema {
    /// Raised when the meaning of a table changes; a newer one is refused.
    public static let formatVersion: Int64 = 1
    /// The version of a store whose calls are checked: releases that knew no users refuse it.
    public static let formatVersionWithAuth: Int64 = 2
    /// Added to stored versions; a tombstone stores exactly this.
    static let versionBias: Int64 = 1 << 24

    /// Came after format 1 was in use: a store without them is read as one that removed nobody and has no
    /// users.
    private static let laterStatements = [
        "CREATE TABLE IF NOT EXISTS removed_member(id INTEGER PRIMARY KEY)",
        """
        CREATE TABLE IF NOT EXISTS auth_user(name BLOB PRIMARY KEY, hash BLOB NOT NULL, \
        no_password INT NOT NULL) WITHOUT ROWID
        """,
        """
        CREATE TABLE IF NOT EXISTS auth_user_role(user BLOB NOT NULL, role BLOB NOT NULL, \
        PRIMARY KEY(user, role)) WITHOUT ROWID
        """,
        "CREATE TABLE IF NOT EXISTS auth_role(name BLOB PRIMARY KEY) WITHOUT ROWID",
        """
        CREATE TABLE IF NOT EXISTS auth_permission(role BLOB NOT NULL, key BLOB NOT NULL, \
        range_end BLOB NOT NULL, kind INT NOT NULL, PRIMARY KEY(role, key, range_end)) WITHOUT ROWID
        """,
        """
        CREATE TABLE IF NOT EXISTS auth_token(digest BLOB PRIMARY KEY, user BLOB NOT NULL, \
        idx INT NOT NULL) WITHOUT ROWID
        """,
    ]

    private static let statements = [
        """
        CREATE TABLE log(rev INTEGER PRIMARY KEY, key BLOB NOT NULL, prev INT NOT NULL, \
        crev INT NOT NULL, ver INT NOT NULL, lease INT NOT NULL, val BLOB)
        """,
        """
        CREATE TABLE cur(key BLOB PRIMARY KEY, rev INT NOT NULL, crev INT NOT NULL, \
        ver INT NOT NULL, lease INT NOT NULL) WITHOUT ROWID
        """,
        "CREATE INDEX cur_lease ON cur(lease) WHERE lease <> 0",
        "CREATE TABLE lease(id INTEGER PRIMARY KEY, ttl INT NOT NULL, remaining INT NOT NULL)",
        """
        CREATE TABLE alarm(member INT NOT NULL, kind INT NOT NULL, \
        PRIMARY KEY(member, kind)) WITHOUT ROWID
        """,
        """
        CREATE TABLE member(id INTEGER PRIMARY KEY, name TEXT NOT NULL, peer_urls TEXT NOT NULL, \
        client_urls TEXT NOT NULL, learner INT NOT NULL)
        """,
        "CREATE TABLE meta(name TEXT PRIMARY KEY, value INT NOT NULL) WITHOUT ROWID",
    ]

    /// Creates the tables inside the caller's transaction.
    public static func create(on connection: Connection) throws(StorageError) {
        for statement in statements + laterStatements {
            try connection.execute(statement)
        }
        try MetaTable(connection: connection).set(.formatVersion, to: formatVersion)
    }

    /// Whether the tables exist.
    ///
    /// - Throws: `StorageError.incompatible` if they are of a newer format.
    public static func exists(on connection: Connection) throws(StorageError) -> Bool {
        guard try hasTable("meta", on: connection) else { return false }
        let found = try MetaTable(connection: connection).value(.formatVersion) ?? 0
        guard found == formatVersion || found == formatVersionWithAuth else {
            throw .incompatible(
                file: "db", found: "table format \(found), this is \(formatVersionWithAuth)")
        }
        return true
    }

    /// Whether the tables exist, all of them.
    ///
    /// A leader whose tip answers no calls ``create(on:)`` or ``upgrade(on:)``, each in a transaction
    /// that becomes an entry of its own; followers get the tables as pages.
    public static func isCurrent(on connection: Connection) throws(StorageError) -> Bool {
        guard try exists(on: connection) else { return false }
        // The last one of each release that added any.
        guard try hasTable("removed_member", on: connection) else { return false }
        return try hasTable("auth_token", on: connection)
    }

    /// Adds the tables that an older release did not make, inside the caller's transaction.
    ///
    /// None of them changes the meaning of another, so the format version stays and the older release
    /// still reads the store.
    public static func upgrade(on connection: Connection) throws(StorageError) {
        for statement in laterStatements { try connection.execute(statement) }
    }

    static func hasTable(
        _ name: String, on connection: Connection
    ) throws(StorageError) -> Bool {
        try connection.integer(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '\(name)'") == 1
    }
}
