// PageStore.swift: the multi-version page store under SQLite: its state, and who may touch what.
// Belongs here: fields, opening, statistics. Never here: SQL, Raft, the log (WAL/).
// Source: Docs.docc/Pages.md. Threads: one writer (the replica loop) calls what is marked writer;
// readers look things up without a lock; a checkpoint runs on any one thread beside them. What they
// share is guarded by `gate`.
// Invariants: checkpoint <= oldest pin <= committed <= tip; a page of any pinned state is in memory
// or in the file.

internal import Synchronization

/// A batch that was sealed or applied and whose older versions are not collected yet.
struct Batch {
    var state: StoreState
    var pages: [UInt32]
}

/// A database whose pages have versions: one writer, many readers, and none waits for another.
public final class PageStore: @unchecked Sendable {
    // @unchecked Sendable: fields say who guards them: the gate, the writer's thread, or that they
    // never change.
    let disk: any Disk
    let directory: String
    let database: any DiskFile
    let side: SideFile
    let meta: MetaFile
    let options: PageStoreOptions
    let cacheFramesMax: Int
    /// Name of this store's VFS within the process.
    let vfsName: String
    /// Set once while opening; freed when the store goes.
    var vfs: RegisteredVFS?

    /// Guards what is marked so.
    ///
    /// Held for a few instructions, never during a system call.
    let gate = Monitor()
    /// Slots: see the fields there.
    ///
    /// Reserving: gate.
    let table = PageTable()
    /// Taking, giving and scanning slots: gate.
    let readers = ReaderSlots()
    /// Gate.
    var pool = FramePool()
    /// Gate: the cache's frames, in no order; `hand` is where the clock stands.
    var ring: [Frame] = []
    /// Gate.
    var hand = 0
    /// Gate: unlinked buffers in the order of their epochs.
    var retired = RetiredQueue()
    /// Gate: versions in memory.
    var overlayFrames = 0
    /// Gate: pages with versions that the database file does not have, each once.
    var dirty: [UInt32] = []
    /// Gate: pages with versions that the file holds too, or that were cut off, but that older
    /// readers need.
    var residual: [UInt32] = []
    /// Gate: the oldest pin when the list was last tried.
    var residualTried: UInt64 = 0
    /// Gate: what the owner should know of.
    var failures: [StorageError] = []
    /// Gate: set by the first failed write or sync of a checkpoint; nothing is tried again.
    var checkpointFailure: StorageError?
    /// Gate: a checkpoint is being written, or a page repaired.
    var isCheckpointing = false
    /// Gate: what the database file holds, if no checkpoint is being written.
    var base: StoreState

    /// The committed state as readers see it; nil until recovery is complete.
    let published = Atomic<UnsafeMutablePointer<StoreState>?>(nil)
    /// Gate: published states that a reader may be copying.
    var retiredStates: [(epoch: UInt64, state: UnsafeMutablePointer<StoreState>)] = []

    /// Writer: the newest sealed state.
    var tip: StoreState
    /// Writer: the newest published state, also while readers are not admitted yet.
    var committed: StoreState
    /// Writer: batches whose older versions are not collected, oldest first, from `batchesStart`.
    var batches: [Batch] = []
    /// Writer.
    var batchesStart = 0
    /// Writer: how many of the batches are published, counting from `batchesStart`.
    var publishedBatches = 0
    /// Writer: pages that SQLite wrote since the last seal, in that order, each once.
    var pending: [UInt32] = []
    /// Writer: pages of the database after what was written since the last seal.
    var pendingPageCount: UInt32
    /// Writer: SQLite wrote or cut something since the last seal.
    var hasPending = false
    /// Writer: an encoded batch that waits for its index.
    var encoded: Batch?
    /// Writer: raised whenever pages change beneath an open writer connection, which is then
    /// refused (trap 11).
    var writerGeneration: UInt64 = 0
    /// Writer: its announcement while it looks at buffers.
    let writerSlot: UnsafeMutablePointer<ReaderSlot>
    /// Writer: where batches are encoded and unpacked.
    var buffer = EntryBuffer()
    /// Writer: one page for what has no other place.
    let sparePage = UnsafeMutableRawPointer.allocate(
        byteCount: PageLimits.pageBytes + 64, alignment: 64)
    /// Writer: what a torn checkpoint may have left in pieces, until redo has passed it.
    var recovery: CheckpointIntent?

    init(
        disk: any Disk, directory: String, options: PageStoreOptions, database: any DiskFile,
        side: SideFile, meta: MetaFile, state: StoreState
    ) {
        self.disk = disk
        self.directory = directory
        self.options = options
        self.database = database
        self.side = side
        self.meta = meta
        cacheFramesMax = options.cacheBytes / PageLimits.pageBytes
        vfsName = RegisteredVFS.uniqueName()
        base = state
        tip = state
        committed = state
        pendingPageCount = state.pageCount
        guard let slot = readers.take() else { preconditionFailure("no slot in a new store") }
        writerSlot = slot
    }

    deinit {
        published.load(ordering: .relaxed)?.deallocate()
        for old in retiredStates { old.state.deallocate() }
        sparePage.deallocate()
    }

    /// The newest sealed state; writer's thread.
    public var tipState: StoreState { tip }
    /// The newest published state; writer's thread.
    public var committedState: StoreState { committed }
    /// Whether readers are refused because a torn checkpoint has not been passed by redo; writer's
    /// thread.
    public var isRecovering: Bool { recovery != nil }
    /// The index redo must reach before anything is served, or nil; writer's thread.
    public var recoveryIndex: UInt64? { recovery?.state.index }

    /// The state the database file stands at; any thread.
    public var checkpointState: StoreState {
        gate.lock()
        defer { gate.unlock() }
        return base
    }

    /// Failures met by readers, the writer and whoever copies pages since the last call, each once; any thread.
    public func takeFailures() -> [StorageError] {
        gate.lock()
        defer { gate.unlock() }
        defer { failures.removeAll() }
        return failures
    }

    func note(_ failure: StorageError) {
        gate.lock()
        defer { gate.unlock() }
        guard failures.count < PageLimits.failuresMax, !failures.contains(failure) else { return }
        failures.append(failure)
    }

    /// Figures of this moment; writer's thread.
    public func statistics() -> PageStoreStatistics {
        let free = freePages()
        gate.lock()
        defer { gate.unlock() }
        return PageStoreStatistics(
            pageCount: committed.pageCount, freePages: free,
            overlayBytes: overlayFrames * Frame.strideBytes,
            retiredBytes: retired.count * Frame.strideBytes,
            cacheBytes: ring.count * Frame.strideBytes, allocatedBytes: pool.allocatedBytes,
            oldestPinnedIndex: readers.oldestPin(atMost: committed.index),
            checkpointIndex: base.index, committedIndex: committed.index, tipIndex: tip.index,
            dirtyPages: dirty.count)
    }

    /// Bytes of page versions in memory, for back-pressure; any thread.
    public var overlayBytes: Int {
        gate.lock()
        defer { gate.unlock() }
        return (overlayFrames + retired.count) * Frame.strideBytes
    }

    /// Pages on SQLite's free list as of the committed state: header bytes 36 to 39.
    private func freePages() -> UInt32 {
        guard committed.pageCount > 0, recovery == nil else { return 0 }
        readers.enter(writerSlot)
        defer { readers.leave(writerSlot) }
        do {
            let page = try bytes(of: 1, at: committed.index)
            return UInt32(bigEndian: page.load(fromByteOffset: 36, as: UInt32.self))
        } catch {
            note(error)
            return 0
        }
    }
}

/// Unlinked buffers, oldest first, linked through `FrameHeader.next`.
struct RetiredQueue {
    private var first: Frame?
    private var last: Frame?
    private(set) var count = 0

    mutating func append(_ frame: Frame, epoch: UInt64) {
        frame.header.pointee.retiredEpoch = epoch
        frame.header.pointee.next = nil
        if let last { last.header.pointee.next = frame.raw } else { first = frame }
        last = frame
        count += 1
    }

    /// Removes the oldest if it was unlinked before `epoch`.
    mutating func popFirst(before epoch: UInt64) -> Frame? {
        guard let frame = first, frame.header.pointee.retiredEpoch < epoch else { return nil }
        first = frame.header.pointee.next.map { Frame($0) }
        if first == nil { last = nil }
        count -= 1
        return frame
    }
}
