// SnapshotSource.swift: the pages of one committed state that a receiver lacks, in bounded pieces.
// Belongs here: choosing and reading pages on the sender. Never here: connections, pace, the
// receiver.
// Source: Docs.docc/Pages.md, "Snapshots between members". Invariant: which entry last changed a
// page as of the pin never changes, so pages are counted first and found again when sent.

internal import Synchronization

/// Reads a pinned state for one receiver; confined to one thread at a time.
///
/// The pin lasts as long as the object, and with it the versions in memory that it needs: see
/// `isTooOld`.
public final class SnapshotSource {
    private let store: PageStore
    private let slot: UnsafeMutablePointer<ReaderSlot>
    private let buffer = UnsafeMutableRawPointer.allocate(
        byteCount: PageLimits.pageBytes, alignment: 64)
    private var selection: SnapshotSelection
    private var nextPage: UInt32 = 1
    /// The state that the receiver ends with; it goes ahead of the pieces.
    public let state: StoreState
    /// How many pages the pieces have in all.
    public let pagesToSend: Int
    /// How many of them were read so far.
    public private(set) var pagesSent = 0

    init(
        store: PageStore, slot: UnsafeMutablePointer<ReaderSlot>, state: StoreState,
        have: SnapshotHave
    ) {
        self.store = store
        self.slot = slot
        self.state = state
        selection = SnapshotSelection(have)
        pagesToSend = Self.count(store, slot, state, have)
    }

    deinit {
        store.unpinCopy(slot)
        buffer.deallocate()
    }

    /// The next piece, at most `bytesMax` long unless one page alone is longer; nil at the end.
    ///
    /// - Throws: `corruptPage` or `disk` if this member cannot read a page: the receiver has to ask
    ///   another one. What was sent before is good.
    public func next(bytesMax: Int) throws(StorageError) -> [UInt8]? {
        var writer = SnapshotPieceWriter()
        store.readers.enter(slot)
        defer { store.readers.leave(slot) }
        while nextPage <= state.pageCount, pagesSent < pagesToSend,
            writer.hasRoom(bytesMax: bytesMax)
        {
            let page = nextPage
            nextPage += 1
            // Buffers that others let go of must not wait for a long walk over unchanged pages.
            if page % Self.pagesPerEpoch == 0 { store.readers.enter(slot) }
            let index = store.lastChange(of: page, at: state.index)
            guard selection.needs(page, changedAt: index) else { continue }
            let hash = try store.copyChecked(page, at: state.index, to: buffer)
            writer.append(SnapshotPageHeader(page: page, index: index, hash: hash), buffer)
            pagesSent += 1
        }
        return writer.count == 0 ? nil : writer.finish()
    }

    /// Whether this pin keeps more page versions in memory than the owner can afford.
    ///
    /// True once checkpoints have gone past it, so that it is what keeps them, and all versions
    /// take more than `overlayBytesMax`. Drop it then: the receiver resumes with a newer state.
    public func isTooOld(overlayBytesMax: Int) -> Bool {
        store.checkpointState.index > state.index && store.overlayBytes > overlayBytesMax
    }

    private static let pagesPerEpoch: UInt32 = 4096

    private static func count(
        _ store: PageStore, _ slot: UnsafeMutablePointer<ReaderSlot>, _ state: StoreState,
        _ have: SnapshotHave
    ) -> Int {
        guard state.pageCount > 0 else { return 0 }
        var selection = SnapshotSelection(have)
        var count = 0
        store.readers.enter(slot)
        defer { store.readers.leave(slot) }
        for page in 1...state.pageCount {
            if page % pagesPerEpoch == 0 { store.readers.enter(slot) }
            let index = store.lastChange(of: page, at: state.index)
            if selection.needs(page, changedAt: index) { count += 1 }
        }
        return count
    }
}

extension PageStore {
    /// Pins the committed state for a receiver that has some of it; any thread, on a follower too.
    ///
    /// Looks at every page's last change once, some nanoseconds each.
    /// - Throws: `busy` before recovery is complete, if there are too many readers, or if the
    ///   receiver has pages of a newer state than this member's.
    public func openSnapshotSource(
        for have: SnapshotHave
    ) throws(StorageError) -> SnapshotSource {
        let (slot, state) = try pinForCopy()
        guard have.newestIndex <= state.index else {
            unpinCopy(slot)
            throw .busy(
                what: "the receiver has pages as of \(have.newestIndex), "
                    + "this member stands at \(state.index)")
        }
        return SnapshotSource(store: self, slot: slot, state: state, have: have)
    }

    /// The index of the entry that last changed a page as of `index`.
    ///
    /// The caller has pinned `index` and is between `enter` and `leave`.
    func lastChange(of page: UInt32, at index: UInt64) -> UInt64 {
        let slot = table[page]
        while true {
            if let version = slot.pointee.version(at: index) { return version.index }
            let base = slot.pointee.baseIndex.load(ordering: .acquiring)
            // As in `copy`: a checkpoint that goes past the pin hangs the old image in first.
            if slot.pointee.version(at: index) == nil { return base }
        }
    }

    /// Copies a page as of `index` and returns its hash, which is compared with the bytes even if
    /// they come from memory: what other members build on must be right.
    ///
    /// Same conditions as `lastChange`; `output` has room for a page and is aligned to 8.
    func copyChecked(
        _ page: UInt32, at index: UInt64, to output: UnsafeMutableRawPointer
    ) throws(StorageError) -> UInt64 {
        try copy(page, at: index, to: output)
        let hash = PageHash.hash(page: page, output)
        guard hash == knownHash(of: page, at: index) else {
            throw .corruptPage(page: page, reason: "its bytes in memory changed by themselves")
        }
        return hash
    }

    /// The hash of a page as of `index`; same conditions as `lastChange`.
    func knownHash(of page: UInt32, at index: UInt64) -> UInt64 {
        let slot = table[page]
        while true {
            if let version = slot.pointee.version(at: index) { return version.header.pointee.hash }
            let image = baseImage(slot)
            if slot.pointee.version(at: index) == nil { return image.hash }
        }
    }
}
