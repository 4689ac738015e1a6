// SnapshotReader.swift: all pages of one committed state in order, for a copy of the database.
// Belongs here: reading page by page with bounded memory. Never here: framing for clients or peers.
// The pages as written by SQLite, whole and in order, are an SQLite database file.

internal import Synchronization

/// Reads a pinned state; confined to one thread at a time.
///
/// The pin lasts as long as the object.
public final class SnapshotReader {
    private let store: PageStore
    private let slot: UnsafeMutablePointer<ReaderSlot>
    private let buffer = UnsafeMutableRawPointer.allocate(
        byteCount: PageLimits.pageBytes, alignment: 64)
    private var next: UInt32 = 1
    /// The state it reads.
    public let state: StoreState

    init(store: PageStore, slot: UnsafeMutablePointer<ReaderSlot>, state: StoreState) {
        self.store = store
        self.slot = slot
        self.state = state
    }

    deinit {
        store.unpinCopy(slot)
        buffer.deallocate()
    }

    /// Bytes of the whole database.
    public var totalBytes: UInt64 { UInt64(state.pageCount) << PageLimits.pageShift }
    /// Bytes not read yet.
    public var remainingBytes: UInt64 {
        UInt64(state.pageCount - (next - 1)) << PageLimits.pageShift
    }

    /// Appends the next pages, at most `limit`, to `output`; returns how many, 0 at the end.
    ///
    /// - Throws: `corruptPage` or `disk`; the copy is worthless then.
    public func read(pages limit: Int, into output: inout [UInt8]) throws(StorageError) -> Int {
        store.readers.enter(slot)
        defer { store.readers.leave(slot) }
        var count = 0
        while count < limit, next <= state.pageCount {
            try store.copy(next, at: state.index, to: buffer)
            output.append(
                contentsOf: UnsafeRawBufferPointer(start: buffer, count: PageLimits.pageBytes))
            next += 1
            count += 1
        }
        return count
    }
}

extension PageStore {
    /// Pins the committed state for reading it as a whole; any thread.
    ///
    /// The cache is left alone, and buffers are held only during a call, so that a slow reader
    /// costs no memory but that of pages changed meanwhile.
    /// - Throws: `busy` before recovery is complete, or if there are too many readers.
    public func openSnapshot() throws(StorageError) -> SnapshotReader {
        let (slot, state) = try pinForCopy()
        return SnapshotReader(store: self, slot: slot, state: state)
    }

    /// Takes a slot and pins the committed state in it, outside of any epoch.
    func pinForCopy() throws(StorageError) -> (UnsafeMutablePointer<ReaderSlot>, StoreState) {
        gate.lock()
        let taken = readers.take()
        gate.unlock()
        guard let slot = taken else { throw .busy(what: "too many readers") }
        guard let state = pinCommitted(slot) else {
            unpinCopy(slot)
            throw .busy(what: "recovery is not complete")
        }
        readers.leave(slot)
        return (slot, state)
    }

    /// The opposite of `pinForCopy`.
    func unpinCopy(_ slot: UnsafeMutablePointer<ReaderSlot>) {
        gate.lock()
        readers.give(slot)
        gate.unlock()
    }
}
