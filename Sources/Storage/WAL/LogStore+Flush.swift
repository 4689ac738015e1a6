// LogStore+Flush.swift: the disk's side: what is queued becomes frames, each one write, one sync.
// Belongs here: grouping, writing, rolling over. Never here: preparing segments (+Housekeeping).
// Invariant: a frame is begun only after the one before it was synced; see LogFrameHeader.

extension LogStore {
    /// Saves everything that was queued when it was called.
    ///
    /// One party at a time; `LogWriter` does this on its thread, a simulator may do it directly.
    ///
    /// - Returns: the newest ticket saved if this call completed any, else nil.
    /// - Throws: `.disk(.full)` if there was no space: the work stays queued, and the next call
    ///   tries again. Any other error is final, see `LogStore`.
    public func flush() throws(StorageError) -> LogTicket? {
        precondition(!isFlushing, "two writers")
        isFlushing = true
        defer { isFlushing = false }
        let before = try takeQueued()
        while !outgoing.isEmpty {
            do throws(StorageError) {
                try writeFrame()
            } catch {
                // Tell of the progress first; the next call meets the same obstacle.
                let saved = savedThrough
                guard case .disk(.full) = error, saved > before else { throw error }
                return saved
            }
        }
        outgoing.clear()
        let saved = savedThrough
        return saved > before ? saved : nil
    }

    /// Ends a run in good order: saves what is queued, then a frame that says nothing new.
    ///
    /// That frame proves the ones before it: should the last entries go bad on the medium while
    /// the member is stopped, they are not taken for an interrupted write.
    ///
    /// - Throws: as `flush`.
    public func seal() throws(StorageError) {
        while try flush() != nil {}
        _ = try append([], hardState: lastHardState())
        _ = try flush()
    }

    private func lastHardState() -> LogHardState {
        monitor.lock()
        defer { monitor.unlock() }
        return savedHardState
    }

    /// Swaps the queues if the last round was finished; returns the newest ticket saved so far.
    private func takeQueued() throws(StorageError) -> LogTicket {
        monitor.lock()
        defer { monitor.unlock() }
        if let failure { throw failure }
        isRetryDue = false
        if outgoing.isEmpty { swap(&outgoing, &pending) }
        return savedTicket
    }

    private func writeFrame() throws(StorageError) {
        let (end, segment) = try planFrame()
        let body = end - outgoing.start
        let salt = salt
        let written = LogFrameHeader.bytes + body
        let padding = Self.paddingBytes(after: segment.end + written, size: segment.size)
        try writing { () throws(DiskError) in
            try outgoing.withFrame(end: end, padding: padding) { (bytes) throws(DiskError) in
                let frame = UnsafeMutableRawBufferPointer(rebasing: bytes[..<written])
                Self.seal(frame, in: segment, salt: salt)
                try segment.file.write(UnsafeRawBufferPointer(bytes), at: UInt64(segment.end))
            }
        }
        try syncing(segment.file)
        let recordsOffset = segment.end + LogFrameHeader.bytes
        monitor.lock()
        defer { monitor.unlock() }
        segments[segments.count - 1].end += Self.frameBytes(written - LogFrameHeader.bytes)
        writeFull = false
        outgoing.withFrame(end: end) { frame in
            let body = UnsafeRawBufferPointer(rebasing: frame[LogFrameHeader.bytes...])
            publish(body, sequence: segment.sequence, offset: recordsOffset)
        }
        for mark in outgoing.advance(to: end) {
            savedTicket = mark.ticket
            queuedBytes -= mark.charge
        }
    }

    /// Zeroes that fill the last block a frame touches.
    ///
    /// The file system would have to read the rest of a block that is written in part only, before
    /// the write. Nothing that counts lies behind the last frame.
    private static func paddingBytes(after end: Int, size: Int) -> Int {
        let block = LogLimits.blockBytes
        return min((end + block - 1) / block * block, size) - end
    }

    /// Finds room for the next frame, rolling over if the current segment has none.
    private func planFrame() throws(StorageError) -> (end: Int, segment: LogSegment) {
        if let segment = current(),
            let end = outgoing.frameEnd(capacity: segment.size - segment.end, splitting: false)
        {
            return (end, segment)
        }
        let segment = try rollOver()
        let capacity = segment.size - segment.end
        guard let end = outgoing.frameEnd(capacity: capacity, splitting: true) else {
            preconditionFailure("a record larger than \(capacity)")
        }
        return (end, segment)
    }

    private func current() -> LogSegment? {
        monitor.lock()
        defer { monitor.unlock() }
        return segments.last
    }

    /// Fills in the CRCs of the records and puts the header before them.
    private static func seal(
        _ frame: UnsafeMutableRawBufferPointer, in segment: LogSegment, salt: UInt64
    ) {
        let bytes = UnsafeRawBufferPointer(frame)
        var header = LogFrameHeader(
            bodyChecksum: 0, bodyBytes: frame.count - LogFrameHeader.bytes, records: 0,
            sequence: segment.sequence, salt: salt)
        var offset = LogFrameHeader.bytes
        while let record = LogRecordHeader(bytes, at: offset) {
            frame.store(record.checksum(bytes, at: offset), at: offset, as: UInt32.self)
            header.bodyChecksum = crc32c(header.bodyChecksum, bytes, from: offset, count: 4)
            header.records += 1
            offset += record.recordBytes
        }
        precondition(offset == frame.count, "records end at \(offset) of \(frame.count)")
        header.encode(to: frame, segmentOffset: segment.end)
    }

    /// Makes the records of a saved frame visible; `monitor` is held.
    private func publish(_ body: UnsafeRawBufferPointer, sequence: UInt64, offset start: Int) {
        var offset = 0
        while let record = LogRecordHeader(body, at: offset) {
            let payload = UnsafeRawBufferPointer(
                rebasing: body[offset + LogRecordHeader.bytes..<offset + record.recordBytes])
            switch record.type {
            case .entry:
                let place = LogPlace(sequence: sequence, offset: start + offset)
                table.append(index: record.index, term: record.term, place: place)
            case .hardState:
                savedHardState = LogHardState(record, payload)
            case .checkpointIntent:
                savedIntent = Array(payload)
            case .truncation:
                table.truncate(after: record.index)
                voidingDone()
            case .reset:
                table.reset(to: record.index, term: record.term)
                voidingDone()
            }
            offset += record.recordBytes
        }
    }

    private func voidingDone() {
        voidingQueued -= 1
        if voidingQueued == 0 { voidingFloor = .max }
    }

    /// Begins the next segment, with everything at its head that must outlive the ones before it.
    private func rollOver() throws(StorageError) -> LogSegment {
        var segment = try takeSpare()
        monitor.lock()
        let previousEnd = segments.last?.end ?? 0
        let header = LogSegmentHeader(
            sequence: segment.sequence, salt: salt, baseIndex: table.last,
            baseTerm: table.lastTerm, previousEnd: UInt64(previousEnd))
        segment.baseIndex = table.last
        var head = LogQueue.head(hardState: savedHardState, intent: savedIntent)
        monitor.unlock()
        segment.end = LogLimits.sectorBytes
        let salt = salt
        let file = segment.file
        let begun = segment
        let headEnd = head.bytes.count
        let headBytes = headEnd - head.start
        var sectors = [UInt8](repeating: 0, count: LogLimits.sectorBytes)
        sectors.withUnsafeMutableBytes { header.encode(to: $0) }
        head.withFrame(end: headEnd) { Self.seal($0, in: begun, salt: salt) }
        sectors.append(contentsOf: head.bytes)
        try writing { () throws(DiskError) in try file.write(sectors, at: 0) }
        try syncing(file)
        segment.end += Self.frameBytes(headBytes)
        monitor.lock()
        defer { monitor.unlock() }
        writeFull = false
        spares.removeFirst()
        segments.append(segment)
        askForHousekeeping()
        return segment
    }

    /// The segment to begin next, prepared here and now if housekeeping did not get to it.
    ///
    /// It stays first among the spares until it is begun, so that a full disk changes nothing.
    private func takeSpare() throws(StorageError) -> LogSegment {
        if let spare = firstSpare() { return spare }
        housekeeping.lock()
        defer { housekeeping.unlock() }
        // The housekeeper may have finished one while this waited for it.
        if let spare = firstSpare() { return spare }
        return try prepareSpare()
    }

    private func firstSpare() -> LogSegment? {
        monitor.lock()
        defer { monitor.unlock() }
        return spares.first
    }

    /// Runs a write, after which a full disk may be tried again: what it left lies where the next
    /// frame goes.
    private func writing(_ body: () throws(DiskError) -> Void) throws(StorageError) {
        do throws(DiskError) {
            try body()
        } catch {
            guard case .full = error else { throw latch(error) }
            monitor.lock()
            defer { monitor.unlock() }
            writeFull = true
            throw .disk(error)
        }
    }

    /// Runs a sync, any failure of which is final: nobody knows what is on the disk after it.
    private func syncing(_ file: any DiskFile) throws(StorageError) {
        #if SIMULATION
            if StorageBug.logNotSynced.isPlanted { return }
        #endif
        do throws(DiskError) {
            try file.sync()
        } catch {
            throw latch(error)
        }
    }
}

extension LogQueue {
    /// The head of a segment as a queue of its own.
    static func head(hardState: LogHardState, intent: [UInt8]?) -> LogQueue {
        var queue = LogQueue()
        let state = LogRecordHeader(
            type: .hardState, index: hardState.commit, term: hardState.term,
            length: LogHardState.payloadBytes)
        withUnsafeBytes(of: hardState.vote.littleEndian) { queue.append(state, payload: $0) }
        if let intent {
            let header = LogRecordHeader(
                type: .checkpointIntent, index: 0, term: 0, length: intent.count)
            intent.withUnsafeBytes { queue.append(header, payload: $0) }
        }
        return queue
    }
}

extension LogHardState {
    /// Reads a hard state back from its record.
    init(_ record: LogRecordHeader, _ payload: UnsafeRawBufferPointer) {
        precondition(payload.count == Self.payloadBytes, "hard state of \(payload.count) bytes")
        self.init(
            term: record.term, vote: payload.load(at: 0, as: UInt64.self), commit: record.index)
    }
}
