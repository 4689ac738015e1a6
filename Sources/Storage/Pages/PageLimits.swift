// PageLimits.swift: every bound of the page store, with the sum that justifies it.
// Belongs here: constants of the formats and of memory. Never here: what the operator may set
// (PageStoreOptions).

/// The bounds of the page store.
public enum PageLimits {
    /// Bytes of a database page; larger ones cost 1.4 to 2.2 times more to commit (storage.md).
    public static let pageBytes = 4096
    /// Shift from a byte offset to a page, instead of a division.
    static let pageShift: UInt64 = 12
    /// The most pages of a database: 1 TiB; the table of them then takes at most 10 GiB, 1 % of it.
    public static let pagesMax = 1 << 28
    /// The most readers, snapshots and checkpoints at one time: each takes a line of 64 bytes.
    public static let readersMax = 512
    /// The most bytes of one entry before compression; a log entry may not be larger either.
    public static let entryBytesMax = 1 << 26
    /// The most pages of one entry: 256 MiB of buffers, whatever its bytes claim.
    public static let entryPagesMax = 1 << 16
    /// Below this many bytes LZ4 costs more than it saves.
    static let compressBytesMin = 512
    /// Page buffers that are allocated together: a little over 1 MiB.
    static let slabFrames = 256
    /// Retired buffers that wait for readers before the cache stops taking new pages: 4 MiB.
    static let retiredFramesMax = 1024
    /// Pages that a checkpoint writes with one call when they are neighbours: 256 KiB.
    static let runPagesMax = 64
    /// Failures that are kept for the owner to fetch; later ones of the same burst are dropped.
    static let failuresMax = 16
    /// Memory of a reader's own cache, used only for page 1 and when the shared one is full.
    static let readerCacheKiB = 512
    /// Memory of the writer's cache; a larger one makes commits slower after page splits (trap 8).
    static let writerCacheKiB = 16_384
    /// The most pages of one piece of a snapshot: 4 MiB unpacked, however few bytes it claims.
    static let piecePagesMax = 1024
    /// Interrupted attempts that a receiver of a snapshot can tell apart; further ones are merged.
    static let snapshotSegmentsMax = 64
    /// Corrupt pages that a receiver may name; with more it asks for all pages.
    static let snapshotWantedMax = 4096
    /// Bytes of staged pages after which progress is made durable: that much is sent again at most.
    static let stagingSaveBytes = 16 << 20
    /// Records that staging may keep for each page of the database, on average: what was staged for
    /// an attempt that broke off and came again.
    static let stagedRecordsPerPage = 2
}
