// Checkpoint.swift: folding committed pages into the database file, in steps that any one thread
// may drive.
// Belongs here: the order of writes and syncs. Never here: the thread, the log (the caller appends
// the intent).
// Source: Docs.docc/Pages.md, "Checkpoint" with its crash cases.
//   announced --intentIsDurable()--> pages --step()--> side --step()--> meta --step()--> done
// Invariants: nothing is written before the intent is durable; the meta slot is written after
// everything it promises is; the file is cut only after that. Readers and the writer go on
// meanwhile.

internal import Synchronization

/// One checkpoint at the state that was committed when it began; confined to the thread that drives
/// it.
public final class Checkpoint {
    /// What the next call does.
    private enum Phase: Equatable {
        case announced
        case pages(next: Int)
        case side(next: Int)
        case meta
        case done
    }

    private let store: PageStore
    private let slot: UnsafeMutablePointer<ReaderSlot>
    private let from: StoreState
    private let pages: [UInt32]
    private let cut: [UInt32]
    private let run = UnsafeMutableRawPointer.allocate(
        byteCount: PageLimits.runPagesMax * PageLimits.pageBytes, alignment: 64)
    private var phase = Phase.announced
    private var hasFailed = false
    /// The state that the database file stands at afterwards.
    public let target: StoreState
    /// What must be durable in the log before `intentIsDurable` is called.
    public let intent: [UInt8]

    init(
        store: PageStore, slot: UnsafeMutablePointer<ReaderSlot>, from: StoreState,
        target: StoreState, pages: [UInt32], cut: [UInt32], intent: [UInt8]
    ) {
        self.store = store
        self.slot = slot
        self.from = from
        self.target = target
        self.pages = pages
        self.cut = cut
        self.intent = intent
    }

    deinit {
        if phase != .done {
            // One that was simply given up may have left work undone that nobody knows of.
            if phase != .announced && !hasFailed {
                store.failCheckpoint(.busy(what: "a checkpoint was given up"))
            }
            store.endCheckpoint(slot, unfinished: pages, cut: cut)
        }
        run.deallocate()
    }

    /// How many pages it writes.
    public var pageCount: Int { pages.count }
    /// Whether it is complete: the log up to `target.index` may go.
    public var isDone: Bool { phase == .done }

    /// Allows writing: the intent is durable, and with it every entry up to `target.index`.
    public func intentIsDurable() {
        precondition(phase == .announced, "the intent was announced twice")
        phase = .pages(next: 0)
    }

    /// Does some of the work, about `pages` pages or one sync; true when the checkpoint is
    /// complete.
    ///
    /// - Throws: `disk(.full)` if a write found no space: let go of this one and begin another
    ///   later. Any other `disk` failure is final: the store takes no further checkpoint, and what
    ///   the file holds is mended by redo at the next start. `corruptPage` if an image that an
    ///   older reader needs cannot be read. No further step may follow.
    public func step(pages limit: Int) throws(StorageError) -> Bool {
        precondition(limit > 0, "a step of \(limit) pages")
        precondition(!hasFailed, "a step after a failure")
        do {
            switch phase {
            case .announced: preconditionFailure("a step before the intent was durable")
            case .pages(let next): try writePages(from: next, limit: limit)
            case .side(let next): try writeSide(from: next, limit: limit)
            case .meta: try finish()
            case .done: break
            }
        } catch {
            hasFailed = true
            // Nothing is lost by a disk that is full: a later checkpoint writes these pages again.
            if case .disk(.full) = error, phase != .meta { throw error }
            store.failCheckpoint(error)
            throw error
        }
        return phase == .done
    }

    private func writePages(from next: Int, limit: Int) throws(StorageError) {
        if next == 0 { try store.keepCutPages(target: target, from: from, slot) }
        let end = min(pages.count, next + limit)
        var position = next
        while position < end {
            position = try writeRun(from: position, end: end)
        }
        phase = .pages(next: position)
        guard position == pages.count else { return }
        do {
            try store.database.sync()
        } catch {
            store.failCheckpoint(.disk(error))
            throw .disk(error)
        }
        phase = .side(next: 0)
    }

    /// Writes neighbouring pages with one call; returns the position after them.
    private func writeRun(from position: Int, end: Int) throws(StorageError) -> Int {
        var count = 0
        let first = pages[position]
        store.readers.enter(slot)
        defer { store.readers.leave(slot) }
        while position + count < end, count < PageLimits.runPagesMax,
            pages[position + count] == first + UInt32(count)
        {
            let page = pages[position + count]
            let frame = try store.replaceImage(page, target: target.index)
            (run + count * PageLimits.pageBytes).copyMemory(
                from: frame.bytes, byteCount: PageLimits.pageBytes)
            count += 1
        }
        let bytes = UnsafeRawBufferPointer(start: run, count: count * PageLimits.pageBytes)
        do {
            try store.database.write(bytes, at: UInt64(first - 1) << PageLimits.pageShift)
        } catch {
            throw .disk(error)
        }
        return position + count
    }

    private func writeSide(from next: Int, limit: Int) throws(StorageError) {
        let end = min(pages.count, next + limit)
        var position = next
        while position < end {
            let first = pages[position]
            var entries: [(index: UInt64, hash: UInt64)] = []
            while position < end, pages[position] == first + UInt32(entries.count) {
                let slot = store.table[pages[position]]
                entries.append(
                    (
                        slot.pointee.baseIndex.load(ordering: .acquiring),
                        slot.pointee.baseHash.load(ordering: .acquiring)
                    ))
                position += 1
            }
            try store.side.write(entries, from: first)
        }
        phase = .side(next: position)
        guard position == pages.count else { return }
        do {
            try store.side.sync()
        } catch {
            store.failCheckpoint(error)
            throw error
        }
        phase = .meta
    }

    private func finish() throws(StorageError) {
        try store.meta.store(target)
        if target.pageCount < from.pageCount {
            do {
                try store.database.truncate(to: UInt64(target.pageCount) << PageLimits.pageShift)
            } catch {
                throw .disk(error)
            }
            try store.side.truncate(pageCount: target.pageCount)
        }
        store.release(pages, cut: cut, target: target, from: from)
        phase = .done
        store.endCheckpoint(slot, unfinished: [], cut: [])
    }
}
