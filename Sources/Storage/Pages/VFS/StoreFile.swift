// StoreFile.swift: the database as one connection has it open.
// Belongs here: the file object SQLite allocates, opening and closing it. Never here: its methods
// (StoreFile+Methods).

internal import CSQLite
internal import Synchronization

/// What stands in the memory that SQLite provides for an open file; confined to the connection's
/// thread.
///
/// Plain data: SQLite neither initialises nor destroys it, so references are counted by hand.
struct StoreFile {
    var base: sqlite3_file
    var store: Unmanaged<PageStore>
    /// What the connection's owner asks about; nil for a writer.
    var failure: Unmanaged<ReaderFailure>
    /// The reader's announcement.
    var slot: UnsafeMutablePointer<ReaderSlot>
    /// The state pinned between SHARED and unlock.
    var pinned: StoreState
    var isPinned: Bool
    var isWriter: Bool
    /// The writer generation this connection belongs to.
    var generation: UInt64

    /// Fills in the file object for a new connection.
    static func open(
        _ file: UnsafeMutablePointer<sqlite3_file>, store: PageStore, isWriter: Bool
    ) -> Int32 {
        store.gate.lock()
        let taken = isWriter ? store.writerSlot : store.readers.take()
        store.gate.unlock()
        guard let slot = taken else { return SQLITE_CANTOPEN }
        UnsafeMutableRawPointer(file).bindMemory(to: StoreFile.self, capacity: 1).initialize(
            to: StoreFile(
                base: sqlite3_file(pMethods: UnsafePointer(methods.pointer)),
                store: Unmanaged.passRetained(store),
                failure: Unmanaged.passRetained(ReaderFailure()), slot: slot,
                pinned: .empty, isPinned: false, isWriter: isWriter,
                generation: isWriter ? store.writerGeneration : 0))
        return SQLITE_OK
    }

    /// Gives everything back; SQLite frees the memory.
    mutating func close() {
        unpin()
        failure.release()
        let store = store.takeRetainedValue()
        guard !isWriter else { return }
        store.gate.lock()
        store.readers.give(slot)
        store.gate.unlock()
    }

    /// Pins the committed state; false if readers are not admitted yet.
    mutating func pin() -> Bool {
        guard !isPinned else { return true }
        let state = store._withUnsafeGuaranteedRef { $0.pinCommitted(slot) }
        guard let state else { return false }
        pinned = state
        isPinned = true
        return true
    }

    /// Lets go of the pinned state.
    mutating func unpin() {
        guard isPinned else { return }
        isPinned = false
        store._withUnsafeGuaranteedRef { $0.unpin(slot) }
    }

    /// The file object behind SQLite's pointer.
    @inline(__always)
    static func of(_ file: UnsafeMutablePointer<sqlite3_file>?) -> UnsafeMutablePointer<StoreFile> {
        guard let file else { preconditionFailure("SQLite passed no file") }
        return UnsafeMutableRawPointer(file).assumingMemoryBound(to: StoreFile.self)
    }

    /// The file object of an open connection.
    static func of(_ connection: Connection) -> UnsafeMutablePointer<StoreFile> {
        var file: UnsafeMutableRawPointer?
        let code = sqlite3_file_control(
            connection.handle, "main", SQLITE_FCNTL_FILE_POINTER, &file)
        guard code == SQLITE_OK, let file else { preconditionFailure("no file: result \(code)") }
        return file.assumingMemoryBound(to: StoreFile.self)
    }
}

/// The last failure of the page store that a connection met; confined to its thread.
final class ReaderFailure {
    var error: StorageError?
}

extension PageStore {
    /// Pins the committed state in a slot, and from now on keeps all buffers of it; nil before
    /// recovery is complete.
    ///
    /// The announcement is made before the state is looked at a second time: whoever collects
    /// versions afterwards sees it, or has published a newer state, which is then found here.
    func pinCommitted(_ slot: UnsafeMutablePointer<ReaderSlot>) -> StoreState? {
        readers.enter(slot)
        while let node = published.load(ordering: .sequentiallyConsistent) {
            let state = node.pointee
            slot.pointee.pin.store(state.index, ordering: .sequentiallyConsistent)
            if published.load(ordering: .sequentiallyConsistent) == node { return state }
        }
        readers.leave(slot)
        return nil
    }

    /// The opposite of `pinCommitted`.
    func unpin(_ slot: UnsafeMutablePointer<ReaderSlot>) {
        slot.pointee.pin.store(ReaderSlot.idle, ordering: .releasing)
        readers.leave(slot)
    }
}
