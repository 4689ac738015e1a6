// StoreState.swift: what is known about the database at one log index.
// Belongs here: plain data that travels with batches, pins and checkpoints. Never here: behaviour.

/// What the owner of the tables wants to know about a state without asking SQL.
///
/// It travels in every entry, so that all nodes have the same header at the same index.
public struct StateHeader: Equatable, Sendable {
    /// Revision of the newest change.
    public var revision: Int64
    /// Revision that history was compacted to.
    public var compactedRevision: Int64
    /// Free for the owner.
    public var spare: Int64

    /// Creates a header; without arguments that of an empty store.
    public init(revision: Int64 = 0, compactedRevision: Int64 = 0, spare: Int64 = 0) {
        self.revision = revision
        self.compactedRevision = compactedRevision
        self.spare = spare
    }
}

/// The database at one log index.
public struct StoreState: Equatable, Sendable {
    /// The index of the last entry that this state includes; 0 is the empty store.
    public var index: UInt64
    /// The term of that entry.
    public var term: UInt64
    /// Pages of the database; 0 before the first transaction.
    public var pageCount: UInt32
    /// XOR of the hashes of all pages: equal states have equal hashes.
    public var databaseHash: UInt64
    /// What the owner said about it.
    public var header: StateHeader

    /// The store before its first entry.
    public static let empty = StoreState(
        index: 0, term: 0, pageCount: 0, databaseHash: 0, header: StateHeader())
}

/// What the operator may set.
public struct PageStoreOptions: Equatable, Sendable {
    /// Bytes of clean pages that are kept in memory.
    public var cacheBytes: Int

    /// Creates options; the default cache holds 64 MiB.
    public init(cacheBytes: Int = 64 << 20) {
        precondition(cacheBytes >= 16 * PageLimits.pageBytes, "cache of \(cacheBytes) bytes")
        self.cacheBytes = cacheBytes
    }
}

/// Figures for back-pressure and metrics; taken at one moment.
public struct PageStoreStatistics: Equatable, Sendable {
    /// Pages of the committed state.
    public var pageCount: UInt32
    /// Pages of the committed state on SQLite's free list.
    public var freePages: UInt32
    /// Bytes of page versions in memory that the database file does not have yet, or that readers
    /// need.
    ///
    /// The owner holds writes and checkpoints when this exceeds what it can afford.
    public var overlayBytes: Int
    /// Bytes that no state needs any more, but that a reader may still look at.
    public var retiredBytes: Int
    /// Bytes of clean pages in the cache.
    public var cacheBytes: Int
    /// Bytes of page buffers taken from the system, in use or free.
    public var allocatedBytes: Int
    /// The smallest index that a reader has pinned, or the committed one.
    public var oldestPinnedIndex: UInt64
    /// The index the database file stands at.
    public var checkpointIndex: UInt64
    /// The committed index.
    public var committedIndex: UInt64
    /// The index of the newest sealed batch.
    public var tipIndex: UInt64
    /// Pages that the next checkpoint would write.
    public var dirtyPages: Int
}
