// PageStore+Apply.swift: entries made elsewhere, or read back from the log, become pages without
// SQL.
// Belongs here: patching, verifying, recovery's end. Never here: which entries are committed.
// Nothing is changed until the whole entry has been checked: a bad entry leaves the store as it
// was.

internal import Synchronization

extension PageStore {
    /// Patches the tip with an entry and verifies that the result is what its maker had.
    ///
    /// Writer.
    ///
    /// For followers and for redo alike. A writer connection open now must be opened anew (trap
    /// 11).
    /// - Throws: `corrupt` if the payload is not an entry or leads to other bytes than it did where
    ///   it was made; `disk` or `corruptPage` if a page it builds on cannot be read. The tip is
    ///   unchanged then.
    public func apply(index: UInt64, term: UInt64, payload: [UInt8]) throws(StorageError) {
        precondition(index > tip.index, "index \(index) is not after the tip \(tip.index)")
        // A writer that was opened on an empty store, and then not used, has written page 1.
        if tip.pageCount == 0 { dropPending() }
        precondition(!hasPending && encoded == nil, "applying beneath an open batch")
        if let recovery, index > recovery.state.index { try verifyRecovery(recovery) }
        writerGeneration += 1
        readers.enter(writerSlot)
        defer { readers.leave(writerSlot) }
        var patched: [Frame] = []
        do {
            let batch = try patch(payload, index: index, term: term, into: &patched)
            gate.lock()
            table.reserve(through: max(batch.state.pageCount, 1))
            for frame in patched { push(frame, table[frame.header.pointee.page]) }
            gate.unlock()
            append(batch)
        } catch {
            gate.lock()
            for frame in patched { pool.give(frame) }
            gate.unlock()
            throw error
        }
    }

    private func patch(
        _ payload: [UInt8], index: UInt64, term: UInt64, into patched: inout [Frame]
    ) throws(StorageError) -> Batch {
        try payload.withUnsafeBufferPointer { (all) throws(StorageError) -> Batch in
            guard let start = all.baseAddress else { throw Self.malformed(index, "it is empty") }
            var reader = ByteReader(start, count: all.count)
            guard let entry = EntryHeader(&reader), var body = buffer.unpack(entry, &reader) else {
                throw Self.malformed(index, "no header, or another length")
            }
            var state = tip
            state.index = index
            state.term = term
            state.pageCount = entry.pageCount
            state.header = entry.header
            let pages = try patchPages(entry, &body, &state, index, &patched)
            guard body.remaining == 0 else { throw Self.malformed(index, "bytes behind its end") }
            try removeHashes(after: entry.pageCount, &state.databaseHash)
            if recovery != nil {
                // Torn pages beneath: the sum is verified once redo has passed the checkpoint.
                state.databaseHash = entry.databaseHash
            } else if state.databaseHash != entry.databaseHash {
                throw Self.malformed(index, "it leads to another database than where it was made")
            }
            return Batch(state: state, pages: pages)
        }
    }

    private func patchPages(
        _ entry: EntryHeader, _ body: inout ByteReader, _ state: inout StoreState, _ index: UInt64,
        _ patched: inout [Frame]
    ) throws(StorageError) -> [UInt32] {
        var pages: [UInt32] = []
        var last: UInt32 = 0
        var added: UInt32 = 0
        for _ in 0..<entry.changedPages {
            guard let step = body.number(), step > 0, step <= entry.pageCount - last else {
                throw Self.malformed(index, "a page out of order or past the end")
            }
            let page = last + step
            last = page
            let isNew = page > tip.pageCount
            if isNew { added += 1 }
            gate.lock()
            let frame = pool.take(page: page, index: index)
            gate.unlock()
            patched.append(frame)
            if isNew {
                frame.bytes.initializeMemory(
                    as: UInt8.self, repeating: 0, count: PageLimits.pageBytes)
            } else {
                try copy(page, at: tip.index, to: frame.bytes)
                state.databaseHash ^= try tipHash(page)
            }
            guard PageDiff.apply(&body, to: frame.bytes) else {
                throw Self.malformed(index, "ranges that are not those of page \(page)")
            }
            let hash = PageHash.hash(page: page, frame.bytes)
            frame.header.pointee.hash = hash
            state.databaseHash ^= hash
            pages.append(page)
        }
        let growth = entry.pageCount > tip.pageCount ? entry.pageCount - tip.pageCount : 0
        guard added == growth else { throw Self.malformed(index, "pages it adds are missing") }
        return pages
    }

    private static func malformed(_ index: UInt64, _ reason: String) -> StorageError {
        .corrupt(file: "log", offset: index, reason: "entry \(index): \(reason)")
    }

    /// Ends recovery: what an interrupted checkpoint may have torn must now be whole, and readers
    /// are admitted.
    ///
    /// Call after the last entry that is known to be committed was applied and published; `apply`
    /// does it too, as soon as an entry lies past the checkpoint. Without an interrupted checkpoint
    /// it does nothing.
    /// - Throws: `corruptPage` if a page is not what the checkpoint meant to write, which a crash
    ///   alone cannot do; `corrupt` if the log ends before the checkpoint. A healthy copy of the
    ///   database is needed then. Writer.
    public func finishRecovery() throws(StorageError) {
        guard let recovery else { return }
        guard tip.index >= recovery.state.index else {
            throw .corrupt(
                file: "log", offset: tip.index,
                reason: "it ends at \(tip.index), a checkpoint was at \(recovery.state.index)")
        }
        try verifyRecovery(recovery)
    }

    private func verifyRecovery(_ intent: CheckpointIntent) throws(StorageError) {
        for (page, hash) in intent.pages {
            guard try tipHash(page) == hash else {
                throw .corruptPage(
                    page: page,
                    reason: "redo does not lead to what checkpoint \(intent.state.index) wrote")
            }
        }
        var databaseHash: UInt64 = 0
        if tip.pageCount > 0 {
            for page in 1...tip.pageCount { databaseHash ^= try tipHash(page) }
        }
        guard databaseHash == tip.databaseHash, databaseHash == intent.state.databaseHash else {
            throw .corrupt(
                file: "db.pages", offset: 0, reason: "checksums do not add up to the database's")
        }
        gate.lock()
        for (page, _) in intent.pages { table[page].pointee.isSuspect = false }
        gate.unlock()
        recovery = nil
        admitReaders(to: committed)
        collect()
    }
}
