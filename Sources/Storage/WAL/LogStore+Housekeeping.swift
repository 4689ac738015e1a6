// LogStore+Housekeeping.swift: segments prepared ahead of the log and given back behind it.
// Belongs here: creating, recycling, removing files. Never here: frames (LogStore+Flush.swift).
// Invariant: names come and go one at a time, oldest first, each made durable: never a gap.

extension LogStore {
    /// Gives back every segment that holds only entries up to `index`.
    ///
    /// Returns at once; the files go when the housekeeper comes by. Hard state and newest intent
    /// stay.
    ///
    /// - Precondition: `index` is not past the last entry handed over.
    public func release(through index: UInt64) {
        monitor.lock()
        defer { monitor.unlock() }
        precondition(index <= queuedLast, "release through \(index) of \(queuedLast)")
        var count = 0
        while count + 1 < segments.count && segments[count + 1].baseIndex <= index
            && segments[count + 1].baseIndex <= table.last
        {
            count += 1
        }
        guard count > 0 else { return }
        retired.append(contentsOf: segments[..<count])
        segments.removeFirst(count)
        table.drop(through: segments[0].baseIndex)
        askForHousekeeping()
    }

    /// The index to release through so that at least `keepingBytes` of the entries before `index`
    /// stay readable, for members that lag.
    ///
    /// Only whole segments are given back, so that up to one segment more stays: with the usual
    /// 64 MiB a bound of 256 MiB keeps between 256 and 320 MiB.
    /// - Parameters:
    ///   - index: what may go as far as the caller is concerned, such as the checkpoint's index.
    ///   - keepingBytes: bytes of log, records and frames together.
    /// - Returns: at most `index`; the place before the first entry if all of them have to stay.
    public func releasableIndex(upTo index: UInt64, keepingBytes: Int) -> UInt64 {
        monitor.lock()
        defer { monitor.unlock() }
        #if SIMULATION
            if StorageBug.logReleasedEarly.isPlanted { return max(index, table.last) }
        #endif
        let last = min(index, table.last)
        guard last > table.base else { return min(index, table.base) }
        let starts = segmentStarts()
        let end = position(of: last + 1, starts)
        var low = table.base
        var high = last
        // The greatest index behind which there is enough.
        while low < high {
            let middle = high - (high - low) / 2
            if end - position(of: middle + 1, starts) >= keepingBytes {
                low = middle
            } else {
                high = middle - 1
            }
        }
        return low
    }

    /// How many bytes of log are before each segment in use; `monitor` is held.
    private func segmentStarts() -> [Int] {
        var starts = [0]
        for segment in segments { starts.append(starts[starts.count - 1] + segment.end) }
        return starts
    }

    /// How far into the log an entry is, or the end if it is past the last one; `monitor` is held.
    private func position(of index: UInt64, _ starts: [Int]) -> Int {
        guard let place = table.place(of: index) else { return starts[starts.count - 1] }
        return starts[Int(place.sequence - segments[0].sequence)] + place.offset
    }

    /// Does all housekeeping that is due: gives back released segments, prepares the next one.
    ///
    /// One party at a time; `LogWriter` does this on a thread of its own, a simulator may do it
    /// directly.
    ///
    /// - Throws: `.disk(.full)` if no segment could be prepared, which the next call tries again.
    ///   Any
    ///   other error is final, see `LogStore`.
    public func housekeep() throws(StorageError) {
        housekeeping.lock()
        defer { housekeeping.unlock() }
        while let segment = try nextRetired() { try giveBack(segment) }
        guard wantsSpare() else { return }
        _ = try prepareSpare()
    }

    /// Says that there may be space again: writer and housekeeper try once more.
    ///
    /// To be called now and then while `space.isFull`.
    public func retry() {
        monitor.lock()
        defer { monitor.unlock() }
        askForHousekeeping()
        isRetryDue = true
        workArrived.signal()
    }

    /// Wakes the housekeeper; `monitor` is held.
    func askForHousekeeping() {
        housekeepingAsked = true
        housekeepingDue.signal()
    }

    private func nextRetired() throws(StorageError) -> LogSegment? {
        monitor.lock()
        defer { monitor.unlock() }
        if let failure { throw failure }
        return retired.first
    }

    private func wantsSpare() -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        return spares.isEmpty
    }

    /// Turns a released segment into a prepared one, or removes it; `housekeeping` is held.
    private func giveBack(_ segment: LogSegment) throws(StorageError) {
        let (sequence, hasRoom) = nextSequence()
        let old = path(segment.sequence)
        var isRecycled = false
        if hasRoom && segment.size == options.segmentBytes {
            isRecycled = try install(old, as: sequence) != nil
        }
        if !isRecycled {
            try fatal { () throws(DiskError) in
                try disk.remove(old)
                try disk.syncDirectory(directory)
            }
        }
        monitor.lock()
        defer { monitor.unlock() }
        retired.removeFirst()
    }

    /// Writes a segment full of zeroes under another name, then gives it the next one;
    /// `housekeeping` is held.
    ///
    /// Zeroes and not merely a reservation: a sync into space once written costs a third less, and
    /// such space cannot run out.
    func prepareSpare() throws(StorageError) -> LogSegment {
        let scratch = directory + "/prepare.tmp"
        do throws(DiskError) {
            try fillScratch(scratch)
        } catch {
            guard case .full = error else { throw latch(error) }
            try fatal { () throws(DiskError) in try disk.remove(scratch) }
            throw refuse()
        }
        guard let spare = try install(scratch, as: nextSequence().sequence) else { throw refuse() }
        return spare
    }

    /// Notes that a segment could not be prepared for want of space.
    private func refuse() -> StorageError {
        monitor.lock()
        defer { monitor.unlock() }
        prepareFull = true
        return .disk(.full(path: directory))
    }

    /// Makes a file the prepared segment of the given number; nil if the directory has no space for
    /// its name.
    private func install(_ old: String, as sequence: UInt64) throws(StorageError) -> LogSegment? {
        let new = path(sequence)
        do throws(DiskError) {
            try disk.rename(old, to: new)
        } catch {
            guard case .full = error else { throw latch(error) }
            return nil
        }
        let file = try fatal { () throws(DiskError) in
            try disk.syncDirectory(directory)
            return try disk.open(new, create: false)
        }
        let spare = LogSegment(sequence: sequence, file: file, size: options.segmentBytes)
        monitor.lock()
        defer { monitor.unlock() }
        spares.append(spare)
        prepareFull = false
        isRetryDue = true
        workArrived.signal()
        return spare
    }

    private func fillScratch(_ scratch: String) throws(DiskError) {
        // Asked first, so that a full disk is not filled to its last byte and then emptied again.
        guard try disk.freeBytes(directory) >= UInt64(options.segmentBytes) else {
            throw .full(path: directory)
        }
        let file = try disk.open(scratch, create: true)
        try file.truncate(to: 0)
        var zeroes = [UInt8](repeating: 0, count: min(LogLimits.chunkBytes, options.segmentBytes))
        var offset = 0
        while offset < options.segmentBytes {
            if offset + zeroes.count > options.segmentBytes {
                zeroes.removeLast(offset + zeroes.count - options.segmentBytes)
            }
            try file.write(zeroes, at: UInt64(offset))
            offset += zeroes.count
        }
        try file.sync()
        file.forgetCached()
    }

    private func nextSequence() -> (sequence: UInt64, hasRoom: Bool) {
        monitor.lock()
        defer { monitor.unlock() }
        let last = spares.last?.sequence ?? segments.last?.sequence ?? 0
        return (last + 1, spares.count < LogLimits.sparesMax)
    }

    /// Runs disk calls any failure of which shuts the log.
    private func fatal<R>(_ body: () throws(DiskError) -> R) throws(StorageError) -> R {
        do throws(DiskError) {
            return try body()
        } catch {
            throw latch(error)
        }
    }
}
