// Compactor.swift: removing history up to the compacted revision, in small steps.
// Belongs here: which rows go. Never here: when a step runs (Server/Replica).
// Source: etcd semantics C1-C5; storage.md "Schema" (measured: 1.9 us a revision).

/// Removes compacted history inside the writer's open transaction; confined to the replica loop.
///
/// The compacted revision takes effect at once, as a number in `meta`; the rows go later, in steps, and
/// the step's cursor is stored with them, so that a new leader or a restart goes on where it stopped.
/// A step walks changes in order and (1) removes what each of them replaced, (2) removes tombstones
/// before the compacted revision with their key; a tombstone exactly at it stays (C3).
public final class Compactor {
    private let connection: Connection
    private let meta: MetaTable
    private let walk: Statement
    private let removeChange: Statement
    private let removeKey: Statement

    /// Prepares the statements.
    public init(connection: Connection) throws(StorageError) {
        self.connection = connection
        meta = try MetaTable(connection: connection)
        walk = try connection.prepare(
            """
            SELECT rev, prev, ver, CASE WHEN ver = \(Schema.versionBias) THEN key END FROM log \
            WHERE rev >= ? AND rev <= ? ORDER BY rev LIMIT ?
            """)
        removeChange = try connection.prepare("DELETE FROM log WHERE rev = ?")
        removeKey = try connection.prepare("DELETE FROM cur WHERE key = ? AND rev = ?")
    }

    /// The compacted revision, or nil on a store never compacted (C2).
    public func compacted() throws(StorageError) -> Int64? {
        try meta.value(.compacted)
    }

    /// Whether rows wait to be removed.
    public func isPending() throws(StorageError) -> Bool {
        try meta.value(.compactionCursor) != nil
    }

    /// Makes `revision` the compacted one; the caller has checked that it lies ahead (C1).
    public func begin(at revision: Int64) throws(StorageError) {
        // Changes at the former compacted revision are looked at again, even if a step that still runs has
        // passed them: a tombstone there was kept, and may go now.
        let former = PackedRevision(main: try meta.value(.compacted) ?? 0).rawValue
        let start = try min(meta.value(.compactionCursor) ?? former, former)
        try meta.set(.compacted, to: revision)
        try meta.set(.compactionCursor, to: start)
    }

    /// Looks at up to `limit` changes; returns whether more are left.
    public func step(limit: Int) throws(StorageError) -> Bool {
        guard let start = try meta.value(.compactionCursor),
            let compacted = try meta.value(.compacted)
        else { return false }
        var work: [(place: Int64, previous: Int64, deletedKey: [UInt8]?)] = []
        walk.bind(1, start)
        walk.bind(2, PackedRevision.last(of: compacted).rawValue)
        walk.bind(3, Int64(limit))
        while try walk.step() {
            let isOldTombstone =
                walk.integer(2) == Schema.versionBias
                && PackedRevision(rawValue: walk.integer(0)).main < compacted
            work.append(
                (walk.integer(0), walk.integer(1), isOldTombstone ? Array(walk.bytes(3)) : nil))
        }
        walk.reset()
        for change in work {
            if change.previous != 0 { try remove(change.previous) }
            guard let key = change.deletedKey else { continue }
            try remove(change.place)
            try remove(key: key, at: change.place)
        }
        guard work.count == limit, let last = work.last else {
            try meta.remove(.compactionCursor)
            return false
        }
        try meta.set(.compactionCursor, to: last.place + 1)
        return true
    }

    private func remove(_ place: Int64) throws(StorageError) {
        removeChange.bind(1, place)
        try removeChange.run()
    }

    private func remove(key: [UInt8], at place: Int64) throws(StorageError) {
        var failure: StorageError?
        key.withUnsafeBytes { bytes in
            do throws(StorageError) {
                removeKey.bind(1, bytes)
                removeKey.bind(2, place)
                try removeKey.run()
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// All pages of the database file.
    public func pages() throws(StorageError) -> Int64 {
        try connection.integer("PRAGMA page_count") ?? 0
    }

    /// Free pages of the database file, which `giveBack` can remove.
    public func freePages() throws(StorageError) -> Int64 {
        try connection.integer("PRAGMA freelist_count") ?? 0
    }

    /// Moves up to `pages` free pages to the end of the file and cuts them off.
    public func giveBack(pages: Int) throws(StorageError) {
        try connection.execute("PRAGMA incremental_vacuum(\(pages))")
    }
}
