// PageStore+Publish.swift: moving the committed state on, cutting the tip back, and letting go of
// old versions.
// Belongs here: the cursors. Never here: pages' contents.

internal import Synchronization

extension PageStore {
    /// Makes everything up to `index` visible to transactions that begin from now on.
    ///
    /// Writer.
    ///
    /// - Parameters: - index: at most the tip's, or later if the entries in between carry no pages.
    ///   - term: the term of the entry at `index`.
    public func publish(through index: UInt64, term: UInt64) {
        precondition(index >= committed.index, "\(index) is before committed \(committed.index)")
        var state = committed
        while batchesStart + publishedBatches < batches.count {
            let batch = batches[batchesStart + publishedBatches]
            guard batch.state.index <= index else { break }
            state = batch.state
            publishedBatches += 1
            noteDirty(batch.pages)
        }
        state.index = index
        state.term = term
        committed = state
        if index > tip.index {
            tip.index = index
            tip.term = term
        }
        // Before recovery is complete nobody reads, but old versions must go all the same.
        if recovery == nil { admitReaders(to: state) }
        collect()
    }

    func noteDirty(_ pages: [UInt32]) {
        gate.lock()
        defer { gate.unlock() }
        for page in pages where !table[page].pointee.isDirty {
            table[page].pointee.isDirty = true
            dirty.append(page)
        }
    }

    func admitReaders(to state: StoreState) {
        let node = UnsafeMutablePointer<StoreState>.allocate(capacity: 1)
        node.initialize(to: state)
        let old = published.exchange(node, ordering: .sequentiallyConsistent)
        guard let old else { return }
        gate.lock()
        retiredStates.append((readers.currentEpoch, old))
        gate.unlock()
    }

    /// Cuts the tip back to `index`; the writer connection must be opened anew.
    ///
    /// Writer.
    ///
    /// Also drops what is pending. Nothing committed is ever cut.
    public func discard(after index: UInt64) {
        precondition(index >= committed.index, "\(index) is before committed \(committed.index)")
        writerGeneration += 1
        dropPending()
        gate.lock()
        #if SIMULATION
            if StorageBug.tipNotCut.isPlanted {
                gate.unlock()
                return
            }
        #endif
        while batchesStart + publishedBatches < batches.count, let batch = batches.last,
            batch.state.index > index
        {
            batches.removeLast()
            for page in batch.pages { popNewest(table[page]) }
        }
        gate.unlock()
        // What was committed may be newer than the newest batch: entries without pages.
        if batchesStart + publishedBatches < batches.count, let batch = batches.last {
            tip = batch.state
        } else {
            tip = committed
        }
        forgetPending()
    }

    /// Takes back what SQLite wrote since the last seal.
    func dropPending() {
        gate.lock()
        for page in pending {
            let slot = table[page]
            if let newest = slot.pointee.newest, newest.index == Frame.unsealed { popNewest(slot) }
        }
        gate.unlock()
        encoded = nil
        forgetPending()
    }

    /// Lets go of versions that no reader needs.
    ///
    /// Writer; called with each publication.
    public func collect() {
        gate.lock()
        defer { gate.unlock() }
        let oldest = readers.oldestPin(atMost: committed.index)
        while publishedBatches > 0, batches[batchesStart].state.index <= oldest {
            for page in batches[batchesStart].pages { cutBelow(table[page], oldest) }
            batches[batchesStart].pages = []
            batchesStart += 1
            publishedBatches -= 1
        }
        if batchesStart > 64 && batchesStart * 2 > batches.count {
            batches.removeFirst(batchesStart)
            batchesStart = 0
        }
        // One try for each move of the oldest reader: a long list and a slow reader would cost too
        // much.
        if !residual.isEmpty && oldest > residualTried { releaseResidual(oldest) }
        reclaim()
    }

    /// Retires all versions older than the one that a reader of `oldest` sees.
    ///
    /// Under the gate.
    func cutBelow(_ slot: UnsafeMutablePointer<PageSlot>, _ oldest: UInt64) {
        guard let kept = slot.pointee.version(at: oldest) else { return }
        var next = kept.header.pointee.older.load(ordering: .relaxed)
        guard next != nil else { return }
        kept.header.pointee.older.store(nil, ordering: .releasing)
        while let raw = next {
            let frame = Frame(raw)
            // Readers on their way down the chain still follow this link; it stays as it is.
            next = frame.header.pointee.older.load(ordering: .relaxed)
            overlayFrames -= 1
            retire(frame)
        }
    }

    /// Retires the versions at or below `limit` that neither a pinned index nor `limit` itself
    /// sees.
    ///
    /// Under the gate.
    ///
    /// - Parameter pins: the pinned indexes below `limit`, ascending.
    func cutUnpinned(
        _ slot: UnsafeMutablePointer<PageSlot>, limit: UInt64, pins: [UInt64]
    ) {
        guard var kept = slot.pointee.version(at: limit) else { return }
        var remaining = pins.count
        while let frame = kept.older {
            while remaining > 0, pins[remaining - 1] >= kept.index { remaining -= 1 }
            if remaining > 0, pins[remaining - 1] >= frame.index {
                kept = frame
                continue
            }
            let next = frame.header.pointee.older.load(ordering: .relaxed)
            kept.header.pointee.older.store(next, ordering: .releasing)
            overlayFrames -= 1
            retire(frame)
        }
    }

    /// Tries again to let go of versions that the file holds too.
    ///
    /// Under the gate.
    func releaseResidual(_ oldest: UInt64) {
        residualTried = oldest
        var kept = 0
        for page in residual where !letGo(of: page, oldest) {
            residual[kept] = page
            kept += 1
        }
        residual.removeLast(residual.count - kept)
    }

    /// Lets go of what the last checkpoint made superfluous of a page; false if readers are in the
    /// way.
    ///
    /// Under the gate.
    func letGo(of page: UInt32, _ oldest: UInt64) -> Bool {
        let slot = table[page]
        if page > base.pageCount {
            guard oldest >= base.index else { return false }
            dropVersions(slot, through: base.index)
            return true
        }
        return releaseImage(slot, oldest)
    }

    /// Retires all versions up to `index`: the page was cut off, and no reader of a state that had
    /// it is left.
    private func dropVersions(_ slot: UnsafeMutablePointer<PageSlot>, through index: UInt64) {
        var newer: Frame?
        var frame = slot.pointee.newest
        while let current = frame, current.index > index {
            newer = current
            frame = current.older
        }
        unlink(slot, below: newer)
        while let current = frame {
            frame = current.older
            overlayFrames -= 1
            retire(current)
        }
    }

    private func unlink(_ slot: UnsafeMutablePointer<PageSlot>, below newer: Frame?) {
        if let newer {
            newer.header.pointee.older.store(nil, ordering: .releasing)
        } else {
            slot.pointee.head.store(nil, ordering: .releasing)
        }
    }

    /// Moves the version that the file holds from the chain to the cache; false if readers are in
    /// the way.
    private func releaseImage(_ slot: UnsafeMutablePointer<PageSlot>, _ oldest: UInt64) -> Bool {
        var newer: Frame?
        var frame = slot.pointee.newest
        var isHeld = false
        while let current = frame {
            isHeld = isHeld || current.header.pointee.isInBase
            guard let older = current.older else { break }
            newer = current
            frame = older
        }
        // Not in memory: a newer version took its place.
        guard isHeld, let frame else { return true }
        guard frame.header.pointee.isInBase, frame.index <= oldest else { return false }
        frame.header.pointee.isInBase = false
        overlayFrames -= 1
        let isAdmitted = slot.pointee.clean.load(ordering: .relaxed) == nil
        if isAdmitted {
            if ring.count >= cacheFramesMax { evictOne() }
            frame.header.pointee.referenced.store(0, ordering: .relaxed)
            admit(frame, slot)
        }
        unlink(slot, below: newer)
        if !isAdmitted { retire(frame) }
        return true
    }
}
