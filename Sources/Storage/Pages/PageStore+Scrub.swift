// PageStore+Scrub.swift: finding pages of the file that went bad, and mending them with a copy.
// Belongs here: looking at the file, serving and taking copies. Never here: pace, peers, whom to
// ask.
// Source: design section 4: a bad page is fetched from a peer, never served, never replicated.
// Docs.docc/Pages.md, "Scrub and repair".

internal import Synchronization

/// What one call of `PageStore.scrub` found.
public struct ScrubResult: Equatable, Sendable {
    /// Where to go on, or nil if the last page was looked at.
    public var nextPage: UInt32?
    /// Pages that were read and compared.
    public var pagesRead: Int
    /// Pages whose bytes in the file are not what they should be, ascending.
    public var badPages: [UInt32]
    /// Pages that cannot be judged now, because a checkpoint is writing them or will write them
    /// again.
    public var postponedPages: Int
}

/// A page as one member hands it to another.
public struct PageImage: Equatable, Sendable {
    /// Counts from 1.
    public var page: UInt32
    /// The entry that last changed it.
    public var index: UInt64
    /// The checksum that a receiver compares with the one it knows.
    public var hash: UInt64
    /// `PageLimits.pageBytes` of them.
    public var bytes: [UInt8]
}

extension PageStore {
    /// What the file is said to hold of some pages, at one moment.
    private struct Expected {
        var base: StoreState
        var images: [(index: UInt64, hash: UInt64, isSuspect: Bool)]
    }

    /// Reads pages of the file, past the cache, and compares them with their checksums; any thread,
    /// one at a time.
    ///
    /// Readers, the writer and a checkpoint go on meanwhile; the pace is the caller's. A page that
    /// cannot be read at all counts as bad.
    /// - Throws: `disk` if it is not the medium that failed.
    public func scrub(from page: UInt32, count: Int) throws(StorageError) -> ScrubResult {
        precondition(page > 0 && count > 0, "\(count) pages from \(page)")
        var result = ScrubResult(nextPage: nil, pagesRead: 0, badPages: [], postponedPages: 0)
        let room = UnsafeMutableRawPointer.allocate(
            byteCount: PageLimits.runPagesMax * PageLimits.pageBytes, alignment: 64)
        defer { room.deallocate() }
        let last = checkpointState.pageCount
        guard page <= last else { return result }
        let through = UInt32(min(UInt64(last), UInt64(page) + UInt64(count) - 1))
        var next = page
        while next <= through {
            let run = Int(min(through - next + 1, UInt32(PageLimits.runPagesMax)))
            try scrubRun(next, run, room, &result)
            next += UInt32(run)
        }
        if through < last { result.nextPage = next }
        return result
    }

    private func scrubRun(
        _ first: UInt32, _ count: Int, _ room: UnsafeMutableRawPointer, _ result: inout ScrubResult
    ) throws(StorageError) {
        let expected = expected(first, count)
        let isRead = try readPages(first, count, to: room)
        for position in 0..<count {
            let page = first + UInt32(position)
            let bytes = room + position * PageLimits.pageBytes
            let image = expected.images[position]
            // The run as a whole may be unreadable for the sake of one page.
            let isReadable = isRead ? true : try readPages(page, 1, to: bytes)
            result.pagesRead += 1
            if isReadable && !image.isSuspect && PageHash.hash(page: page, bytes) == image.hash {
                continue
            }
            if canJudge(page, image.index, expected.base) {
                result.badPages.append(page)
            } else {
                result.postponedPages += 1
            }
        }
    }

    private func expected(_ first: UInt32, _ count: Int) -> Expected {
        gate.lock()
        defer { gate.unlock() }
        let images = (0..<UInt32(count)).map { offset in
            let slot = table[first + offset]
            return (
                slot.pointee.baseIndex.load(ordering: .relaxed),
                slot.pointee.baseHash.load(ordering: .relaxed), slot.pointee.isSuspect
            )
        }
        return Expected(base: base, images: images)
    }

    /// Reads neighbouring pages; false if the medium failed.
    private func readPages(
        _ first: UInt32, _ count: Int, to room: UnsafeMutableRawPointer
    ) throws(StorageError) -> Bool {
        let bytes = UnsafeMutableRawBufferPointer(
            start: room, count: count * PageLimits.pageBytes)
        do throws(DiskError) {
            let read = try database.read(into: bytes, at: UInt64(first - 1) << PageLimits.pageShift)
            // The file ends early: zeroes, which the checksums then judge.
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[read...])
            rest.initializeMemory(as: UInt8.self, repeating: 0)
            return true
        } catch {
            guard case .failed = error else { throw .disk(error) }
            return false
        }
    }

    /// Whether bytes that do not match are the medium's fault.
    ///
    /// Not if the file was about to change, nor if a version of the page is in memory: a checkpoint is
    /// writing it, or one that was torn has written it already, and the next writes it in any case.
    private func canJudge(_ page: UInt32, _ index: UInt64, _ before: StoreState) -> Bool {
        gate.lock()
        defer { gate.unlock() }
        let slot = table[page]
        return !isCheckpointing && base == before && !slot.pointee.isSuspect
            && slot.pointee.baseIndex.load(ordering: .relaxed) == index
            && slot.pointee.newest == nil
    }

    // MARK: copies

    /// The checksum that the file's image of a page should have; any thread.
    ///
    /// Nil if there is no such page, or if it is not known before recovery is complete.
    public func expectedHash(of page: UInt32) -> UInt64? {
        gate.lock()
        defer { gate.unlock() }
        guard page > 0, page <= base.pageCount, !table[page].pointee.isSuspect else { return nil }
        return table[page].pointee.baseHash.load(ordering: .relaxed)
    }

    /// A good copy of a page with a given checksum, for a peer or for this store's own file; any
    /// thread.
    ///
    /// The committed state is looked at first, then what this member's file holds, which may be
    /// older.
    /// - Parameters:
    ///   - page: counts from 1.
    ///   - hash: what the page must have, or nil for the committed version whatever it is.
    /// - Returns: nil if this member has no such version.
    /// - Throws: `corruptPage` or `disk` if its own copy cannot be read; `busy` as `openSnapshot`.
    public func image(
        of page: UInt32, hash wanted: UInt64? = nil
    ) throws(StorageError) -> PageImage? {
        let (slot, state) = try pinForCopy()
        defer { unpinCopy(slot) }
        guard page > 0, page <= state.pageCount else { return nil }
        let room = UnsafeMutableRawPointer.allocate(
            byteCount: PageLimits.pageBytes, alignment: 64)
        defer { room.deallocate() }
        readers.enter(slot)
        defer { readers.leave(slot) }
        var index = lastChange(of: page, at: state.index)
        if let wanted, knownHash(of: page, at: state.index) != wanted {
            let image = baseImage(table[page])
            guard image.hash == wanted, try readPages(page, 1, to: room),
                PageHash.hash(page: page, room) == wanted
            else { return nil }
            index = image.index
        } else {
            _ = try copyChecked(page, at: state.index, to: room)
        }
        let bytes = UnsafeRawBufferPointer(start: room, count: PageLimits.pageBytes)
        return PageImage(
            page: page, index: index, hash: PageHash.hash(page: page, room), bytes: Array(bytes))
    }

    /// Writes a good copy over a bad page of the file and makes it durable; on the thread that
    /// drives checkpoints.
    ///
    /// - Parameters:
    ///   - page: counts from 1, within the file.
    ///   - bytes: a copy with the checksum `expectedHash`, such as `image` of a peer, or of this
    ///     store if the page is still in memory.
    /// - Throws: `corruptPage` if these are other bytes; nothing is written then. `busy` while a
    ///   checkpoint is being written. `disk`; of that only a full one is not final, as for a
    ///   checkpoint.
    public func repair(_ page: UInt32, with bytes: [UInt8]) throws(StorageError) {
        let room = UnsafeMutableRawPointer.allocate(
            byteCount: PageLimits.pageBytes, alignment: 64)
        defer { room.deallocate() }
        guard bytes.count == PageLimits.pageBytes else {
            throw .corruptPage(page: page, reason: "the copy offered has \(bytes.count) bytes")
        }
        UnsafeMutableRawBufferPointer(start: room, count: bytes.count).copyBytes(from: bytes)
        try beginRepair(page, hash: PageHash.hash(page: page, room))
        defer { endRepair(page) }
        do throws(DiskError) {
            let whole = UnsafeRawBufferPointer(start: room, count: PageLimits.pageBytes)
            try database.write(whole, at: UInt64(page - 1) << PageLimits.pageShift)
        } catch {
            if case .full = error { throw .disk(error) }
            failCheckpoint(.disk(error))
            throw .disk(error)
        }
        do throws(DiskError) {
            try database.sync()
        } catch {
            failCheckpoint(.disk(error))
            throw .disk(error)
        }
    }

    private func beginRepair(_ page: UInt32, hash: UInt64) throws(StorageError) {
        gate.lock()
        defer { gate.unlock() }
        if let checkpointFailure { throw checkpointFailure }
        guard !isCheckpointing else { throw .busy(what: "a checkpoint is running") }
        guard page > 0, page <= base.pageCount, !table[page].pointee.isSuspect,
            table[page].pointee.baseHash.load(ordering: .relaxed) == hash
        else {
            throw .corruptPage(
                page: page, reason: "the copy offered is not what the file should hold")
        }
        isCheckpointing = true
    }

    private func endRepair(_ page: UInt32) {
        gate.lock()
        defer { gate.unlock() }
        isCheckpointing = false
        if let clean = takeClean(table[page]) { retire(clean) }
    }
}
