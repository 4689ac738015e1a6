// PageStore+Cache.swift: the bounded cache of the file's pages, and when buffers are used again.
// Belongs here: admission, the clock, retirement. Never here: what a page contains.
// A frame that leaves the cache is retired, not freed: readers hold plain pointers to it until they
// leave.

internal import Synchronization

extension PageStore {
    /// A buffer for a page of the file, or nil if too many wait for readers to leave.
    ///
    /// Under the gate.
    func takeCacheFrame(page: UInt32) -> Frame? {
        while ring.count >= cacheFramesMax { evictOne() }
        if retired.count > 0 { reclaim() }
        guard retired.count < min(PageLimits.retiredFramesMax, cacheFramesMax) else { return nil }
        return pool.take(page: page, index: 0)
    }

    /// Puts a frame into the cache if the file's image is still the one of `index` and none is
    /// there.
    ///
    /// - Returns: nil if it was too late; the frame is back in the pool then.
    func install(
        _ frame: Frame, _ slot: UnsafeMutablePointer<PageSlot>, expecting index: UInt64
    ) -> Frame? {
        gate.lock()
        defer { gate.unlock() }
        guard slot.pointee.baseIndex.load(ordering: .relaxed) == index,
            slot.pointee.clean.load(ordering: .relaxed) == nil, !slot.pointee.isSuspect
        else {
            pool.give(frame)
            return nil
        }
        admit(frame, slot)
        return frame
    }

    /// Makes a frame the cached image of its page.
    ///
    /// Under the gate; the slot has none.
    func admit(_ frame: Frame, _ slot: UnsafeMutablePointer<PageSlot>) {
        frame.header.pointee.ringPosition = Int32(ring.count)
        ring.append(frame)
        slot.pointee.clean.store(frame.raw, ordering: .releasing)
    }

    /// Takes the cached image of a page out, without retiring it.
    ///
    /// Under the gate.
    func takeClean(_ slot: UnsafeMutablePointer<PageSlot>) -> Frame? {
        guard let raw = slot.pointee.clean.load(ordering: .relaxed) else { return nil }
        let frame = Frame(raw)
        slot.pointee.clean.store(nil, ordering: .releasing)
        let position = Int(frame.header.pointee.ringPosition)
        let last = ring.removeLast()
        if last != frame {
            ring[position] = last
            last.header.pointee.ringPosition = Int32(position)
        }
        frame.header.pointee.ringPosition = -1
        return frame
    }

    /// Moves the clock's hand to a frame that nobody used since it last passed, and retires it.
    ///
    /// Under the gate.
    func evictOne() {
        var steps = 2 * ring.count
        while true {
            if hand >= ring.count { hand = 0 }
            let frame = ring[hand]
            steps -= 1
            if frame.header.pointee.referenced.load(ordering: .relaxed) != 0 && steps > 0 {
                frame.header.pointee.referenced.store(0, ordering: .relaxed)
                hand += 1
                continue
            }
            if let evicted = takeClean(table[frame.header.pointee.page]) { retire(evicted) }
            return
        }
    }

    /// Sets a buffer aside that is unlinked, until no reader can be looking at it.
    ///
    /// Under the gate.
    func retire(_ frame: Frame) {
        retired.append(frame, epoch: readers.currentEpoch)
    }

    /// Frees what no reader can be looking at any more.
    ///
    /// Under the gate.
    func reclaim() {
        let epoch = readers.advance()
        while let frame = retired.popFirst(before: epoch) { pool.give(frame) }
        guard !retiredStates.isEmpty else { return }
        retiredStates.removeAll { old in
            guard old.epoch < epoch else { return false }
            old.state.deallocate()
            return true
        }
    }
}
