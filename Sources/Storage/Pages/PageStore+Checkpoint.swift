// PageStore+Checkpoint.swift: what a checkpoint does to versions and to the cache while readers
// look on.
// Belongs here: steps under the gate. Never here: writing and syncing files (Checkpoint.swift).
// Why readers never block: before the file's image of a page changes, the old image hangs in the
// chain if a reader of an older state may still ask for it; the new one stays in the chain until no
// such reader is left.

internal import Synchronization

extension PageStore {
    /// Begins a checkpoint at the committed state; any thread, one at a time.
    ///
    /// Nil if the database file already stands there, or if readers are not admitted yet. Let go of
    /// a checkpoint that was not begun to be written without harm.
    /// - Throws: `busy` while another runs, or if there are too many readers; the failure of an
    ///   earlier checkpoint.
    public func beginCheckpoint() throws(StorageError) -> Checkpoint? {
        gate.lock()
        let failure = checkpointFailure
        let isBusy = isCheckpointing
        let slot = isBusy || failure != nil ? nil : readers.take()
        if slot != nil { isCheckpointing = true }
        let from = base
        gate.unlock()
        if let failure { throw failure }
        guard !isBusy else { throw .busy(what: "a checkpoint is running") }
        guard let slot else { throw .busy(what: "too many readers") }
        guard let target = pinCommitted(slot), target.index > from.index else {
            endCheckpoint(slot, unfinished: [], cut: [])
            return nil
        }
        defer { readers.leave(slot) }
        var cut: [UInt32] = []
        let listed = takeDirty(target, &cut)
        let intent = CheckpointIntent(fromIndex: from.index, state: target, pages: listed)
        return Checkpoint(
            store: self, slot: slot, from: from, target: target,
            pages: listed.map { $0.page }, cut: cut, intent: intent.encoded())
    }

    /// The pages that changed up to the target; those that changed again stay listed for the next
    /// checkpoint.
    private func takeDirty(
        _ target: StoreState, _ cut: inout [UInt32]
    ) -> [(page: UInt32, hash: UInt64)] {
        gate.lock()
        defer { gate.unlock() }
        var listed: [(page: UInt32, hash: UInt64)] = []
        var kept: [UInt32] = []
        dirty.sort()
        for page in dirty {
            let slot = table[page]
            if let newest = slot.pointee.newest, newest.index > target.index {
                kept.append(page)
            } else {
                slot.pointee.isDirty = false
            }
            guard page <= target.pageCount else {
                // Cut off: nothing to write, but its versions must go.
                cut.append(page)
                continue
            }
            guard let version = slot.pointee.version(at: target.index),
                !version.header.pointee.isInBase
            else { continue }
            listed.append((page, version.header.pointee.hash))
        }
        dirty = kept
        return listed
    }

    /// Gives the slot back, and lists pages again that were not written, or not for good.
    func endCheckpoint(
        _ slot: UnsafeMutablePointer<ReaderSlot>, unfinished: [UInt32], cut: [UInt32]
    ) {
        gate.lock()
        defer { gate.unlock() }
        for page in unfinished {
            var frame = table[page].pointee.newest
            while let current = frame {
                // It stays in memory, and the next checkpoint writes it again.
                current.header.pointee.isInBase = false
                frame = current.older
            }
            relist(page)
        }
        for page in cut { relist(page) }
        readers.give(slot)
        isCheckpointing = false
    }

    private func relist(_ page: UInt32) {
        guard !table[page].pointee.isDirty else { return }
        table[page].pointee.isDirty = true
        dirty.append(page)
    }

    func failCheckpoint(_ error: StorageError) {
        gate.lock()
        defer { gate.unlock() }
        if checkpointFailure == nil { checkpointFailure = error }
    }

    /// Makes the newest version up to the target the image that the file is about to hold.
    ///
    /// The caller has pinned the target: the version stays. It writes the bytes afterwards.
    func replaceImage(_ page: UInt32, target: UInt64) throws(StorageError) -> Frame {
        let slot = table[page]
        try keepOldImage(page, slot, below: target)
        gate.lock()
        defer { gate.unlock() }
        guard let version = slot.pointee.version(at: target) else {
            preconditionFailure("page \(page) of \(target) is lost")
        }
        cutUnpinned(slot, limit: version.index, pins: readers.pins(below: version.index))
        if let clean = takeClean(slot) { retire(clean) }
        version.header.pointee.isInBase = true
        var older = version.older
        while let frame = older {
            // At most one version of a chain is the file's image.
            frame.header.pointee.isInBase = false
            older = frame.older
        }
        slot.pointee.baseHash.store(version.header.pointee.hash, ordering: .relaxed)
        slot.pointee.baseIndex.store(version.index, ordering: .releasing)
        return version
    }

    /// Hangs the file's image of a page into the chain, if a reader of a state before `target` will
    /// need it there.
    private func keepOldImage(
        _ page: UInt32, _ slot: UnsafeMutablePointer<PageSlot>, below target: UInt64
    ) throws(StorageError) {
        gate.lock()
        let oldest = readers.oldestPin(atMost: target)
        let isNeeded =
            oldest < target && page <= base.pageCount
            && slot.pointee.version(at: oldest) == nil
        let frame = isNeeded ? pool.take(page: page, index: 0) : nil
        gate.unlock()
        guard let frame else { return }
        do {
            try copy(page, at: oldest, to: frame.bytes)
        } catch {
            gate.lock()
            pool.give(frame)
            gate.unlock()
            throw error
        }
        gate.lock()
        defer { gate.unlock() }
        frame.header.pointee.index.store(
            slot.pointee.baseIndex.load(ordering: .relaxed), ordering: .relaxed)
        frame.header.pointee.hash = slot.pointee.baseHash.load(ordering: .relaxed)
        guard var tail = slot.pointee.newest else {
            slot.pointee.head.store(frame.raw, ordering: .releasing)
            overlayFrames += 1
            return
        }
        while let older = tail.older { tail = older }
        tail.header.pointee.older.store(frame.raw, ordering: .releasing)
        overlayFrames += 1
    }

    /// Keeps the images of pages that the file is about to lose, for readers of states that had
    /// them.
    func keepCutPages(
        target: StoreState, from: StoreState, _ slot: UnsafeMutablePointer<ReaderSlot>
    ) throws(StorageError) {
        guard target.pageCount < from.pageCount else { return }
        readers.enter(slot)
        defer { readers.leave(slot) }
        for page in (target.pageCount + 1)...from.pageCount {
            try keepOldImage(page, table[page], below: target.index)
        }
        gate.lock()
        defer { gate.unlock() }
        for page in (target.pageCount + 1)...from.pageCount {
            if let clean = takeClean(table[page]) { retire(clean) }
        }
    }

    /// Lets go of versions that the file now holds durably.
    func release(_ pages: [UInt32], cut: [UInt32], target: StoreState, from: StoreState) {
        gate.lock()
        defer { gate.unlock() }
        base = target
        residual.append(contentsOf: cut)
        if target.pageCount < from.pageCount {
            for page in (target.pageCount + 1)...from.pageCount {
                residual.append(page)
                table[page].pointee.baseIndex.store(target.index, ordering: .releasing)
                table[page].pointee.baseHash.store(0, ordering: .relaxed)
            }
        }
        // The checkpoint's own pin no longer counts.
        let oldest = readers.oldestPin(atMost: target.index)
        residual.append(contentsOf: pages)
        releaseResidual(oldest)
        reclaim()
    }
}
