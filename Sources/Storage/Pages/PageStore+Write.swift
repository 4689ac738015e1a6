// PageStore+Write.swift: from pages that SQLite wrote to a sealed batch.
// Belongs here: the writer's tip. Never here: what followers do (+Apply), what readers see
// (+Publish).
// Trap 9: the difference is taken against the store's own image, never against the pager's; a page
// that the database grew over without writing it is a page of zeroes, on every node.

internal import Synchronization

extension PageStore {
    /// Takes a page that SQLite wrote.
    ///
    /// Writer.
    func write(_ page: UInt32, _ bytes: UnsafeRawPointer) {
        precondition(encoded == nil, "SQLite wrote page \(page) before the last batch was sealed")
        gate.lock()
        let frame = pendingFrame(page)
        gate.unlock()
        frame.bytes.copyMemory(from: bytes, byteCount: PageLimits.pageBytes)
        pendingPageCount = max(pendingPageCount, page)
        hasPending = true
    }

    /// The version that is being written of a page, made if there is none.
    ///
    /// Under the gate.
    private func pendingFrame(_ page: UInt32) -> Frame {
        table.reserve(through: page)
        let slot = table[page]
        if let newest = slot.pointee.newest, newest.index == Frame.unsealed { return newest }
        let frame = pool.take(page: page, index: Frame.unsealed)
        push(frame, slot)
        pending.append(page)
        return frame
    }

    /// Makes a frame the newest version of its page.
    ///
    /// Under the gate.
    func push(_ frame: Frame, _ slot: UnsafeMutablePointer<PageSlot>) {
        frame.header.pointee.older.store(
            slot.pointee.head.load(ordering: .relaxed), ordering: .relaxed)
        slot.pointee.head.store(frame.raw, ordering: .releasing)
        overlayFrames += 1
    }

    /// Takes the newest version of a page off and retires it.
    ///
    /// Under the gate.
    func popNewest(_ slot: UnsafeMutablePointer<PageSlot>) {
        guard let newest = slot.pointee.newest else { return }
        slot.pointee.head.store(newest.older?.raw, ordering: .releasing)
        overlayFrames -= 1
        retire(newest)
    }

    /// Cuts or extends the database, as SQLite asked.
    ///
    /// Writer.
    func resize(to pageCount: UInt32) {
        precondition(encoded == nil, "SQLite cut the database before the last batch was sealed")
        pendingPageCount = pageCount
        hasPending = true
    }

    /// Whether SQLite wrote anything since the last seal.
    ///
    /// Writer.
    public var hasPendingChanges: Bool { hasPending }

    /// Turns what SQLite wrote since the last seal into an entry; `seal` then gives it its place.
    ///
    /// Call after COMMIT, on the writer's thread. A batch without changes is an entry too: it
    /// carries the header.
    /// - Throws: `disk` or `corruptPage` if the previous version of a page cannot be read, `busy`
    ///   if the batch is larger than an entry may be. The caller then discards what is pending:
    ///   `discard(after: tipState.index)`.
    public func encode(header: StateHeader) throws(StorageError) -> [UInt8] {
        precondition(encoded == nil, "the last batch was not sealed")
        precondition(recovery == nil, "writing before recovery is complete")
        readers.enter(writerSlot)
        defer { readers.leave(writerSlot) }
        settlePending()
        guard pending.count <= PageLimits.entryPagesMax else {
            throw .busy(what: "a batch of \(pending.count) pages")
        }
        var state = tip
        state.header = header
        state.pageCount = pendingPageCount
        var pages: [UInt32] = []
        pages.reserveCapacity(pending.count)
        var used = 0
        var last: UInt32 = 0
        for page in pending {
            guard used < PageLimits.entryBytesMax else { throw .busy(what: "a batch this large") }
            buffer.reserve(used + PageDiff.bytesMax + VarInt.bytesMax, keeping: used)
            let start = buffer.start + used
            let output = VarInt.write(page - last, to: start)
            guard let end = try encodePage(page, to: output, &state.databaseHash) else { continue }
            used += end - start
            last = page
            pages.append(page)
        }
        try removeHashes(after: state.pageCount, &state.databaseHash)
        let entry = EntryHeader(
            pageCount: state.pageCount, changedPages: UInt32(pages.count),
            databaseHash: state.databaseHash, header: header)
        guard used <= PageLimits.entryBytesMax else { throw .busy(what: "a batch this large") }
        encoded = Batch(state: state, pages: pages)
        return buffer.payload(entry, count: used)
    }

    /// Writes the ranges of one page; nil if the page is what it was, and is dropped from the
    /// batch.
    private func encodePage(
        _ page: UInt32, to output: UnsafeMutableRawPointer, _ databaseHash: inout UInt64
    ) throws(StorageError) -> UnsafeMutableRawPointer? {
        let slot = table[page]
        guard let frame = slot.pointee.newest else { preconditionFailure("page \(page) is lost") }
        let isNew = page > tip.pageCount
        let old = isNew ? nil : try bytes(of: page, at: tip.index)
        var end = PageDiff.encode(old: old, new: frame.bytes, to: output)
        if end == output {
            guard isNew else {
                gate.lock()
                popNewest(slot)
                gate.unlock()
                return nil
            }
            end = VarInt.write(0, to: output)
        }
        let hash = PageHash.hash(page: page, frame.bytes)
        frame.header.pointee.hash = hash
        databaseHash ^= hash
        if !isNew { databaseHash ^= try tipHash(page) }
        return end
    }

    /// The hash of a page of the tip.
    func tipHash(_ page: UInt32) throws(StorageError) -> UInt64 {
        let slot = table[page]
        if let version = slot.pointee.version(at: tip.index) { return version.header.pointee.hash }
        let hash = slot.pointee.baseHash.load(ordering: .acquiring)
        // A checkpoint lets go of a version only after it has noted its hash.
        return slot.pointee.version(at: tip.index)?.header.pointee.hash ?? hash
    }

    /// Takes the pages of the tip past a new end out of its hash.
    func removeHashes(
        after pageCount: UInt32, _ databaseHash: inout UInt64
    ) throws(StorageError) {
        guard pageCount < tip.pageCount else { return }
        for page in (pageCount + 1)...tip.pageCount { databaseHash ^= try tipHash(page) }
    }

    /// Sorts what is pending, drops what lies past the end, fills in what the database grew over.
    private func settlePending() {
        var isSorted = true
        for position in pending.indices.dropFirst() where pending[position - 1] > pending[position]
        {
            isSorted = false
        }
        if !isSorted { pending.sort() }
        gate.lock()
        defer { gate.unlock() }
        while let page = pending.last, page > pendingPageCount {
            popNewest(table[page])
            pending.removeLast()
        }
        guard pendingPageCount > tip.pageCount else { return }
        let written = pending.drop { $0 <= tip.pageCount }.count
        guard written < Int(pendingPageCount - tip.pageCount) else { return }
        for page in (tip.pageCount + 1)...pendingPageCount {
            table.reserve(through: page)
            if let newest = table[page].pointee.newest, newest.index == Frame.unsealed { continue }
            let frame = pendingFrame(page)
            frame.bytes.initializeMemory(
                as: UInt8.self, repeating: 0, count: PageLimits.pageBytes)
        }
        pending.sort()
    }

    /// Gives the encoded batch its place in the log; the tip moves on to it.
    ///
    /// Writer.
    public func seal(index: UInt64, term: UInt64) {
        guard var batch = encoded else { preconditionFailure("nothing was encoded") }
        precondition(index > tip.index, "index \(index) is not after the tip \(tip.index)")
        batch.state.index = index
        batch.state.term = term
        for page in batch.pages {
            table[page].pointee.newest?.header.pointee.index.store(index, ordering: .releasing)
        }
        append(batch)
        encoded = nil
    }

    /// Makes a batch whose versions are in place the tip.
    func append(_ batch: Batch) {
        batches.append(batch)
        tip = batch.state
        forgetPending()
    }

    func forgetPending() {
        pending.removeAll(keepingCapacity: true)
        pendingPageCount = tip.pageCount
        hasPending = false
    }
}
