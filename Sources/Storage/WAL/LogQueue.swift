// LogQueue.swift: encoded records that wait for the disk, with the tickets they belong to.
// Belongs here: the bytes in memory. Never here: locks (LogStore), files (LogStore+Flush.swift).
// Invariant: bytes[start...] are whole records; the space of a frame header before them is free.

/// Records in the order they were handed over, laid out so that a frame header fits before any of
/// them.
struct LogQueue {
    /// The records, after a gap for the first frame's header.
    private(set) var bytes: [UInt8] = []
    /// Where the records that are not yet written begin.
    private(set) var start = LogFrameHeader.bytes
    /// One per call, oldest first: where its records end, and what it was charged with.
    private(set) var marks: [Mark] = []
    private var marksDone = 0

    struct Mark {
        var ticket: LogTicket
        var end: Int
        var charge: Int
    }

    var isEmpty: Bool { start >= bytes.count }

    /// Adds a record of the call under way.
    mutating func append(_ header: LogRecordHeader, payload: UnsafeRawBufferPointer) {
        if bytes.isEmpty { bytes.append(contentsOf: repeatElement(0, count: LogFrameHeader.bytes)) }
        header.encode(payload: payload, to: &bytes)
    }

    /// Ends the call under way.
    mutating func close(ticket: LogTicket, charge: Int) {
        marks.append(Mark(ticket: ticket, end: bytes.count, charge: charge))
    }

    /// Where a frame that takes at most `capacity` bytes of its segment can end, or nil if nowhere.
    ///
    /// Calls stay whole; only if `splitting`, one too large for the frame is cut between records.
    func frameEnd(capacity: Int, splitting: Bool) -> Int? {
        var end = start
        for mark in marks[marksDone...] {
            guard LogStore.frameBytes(mark.end - start) <= capacity else { break }
            end = mark.end
        }
        guard end == start && splitting else { return end == start ? nil : end }
        bytes.withUnsafeBytes { all in
            while let header = LogRecordHeader(all, at: end),
                LogStore.frameBytes(end + header.recordBytes - start) <= capacity
            { end += header.recordBytes }
        }
        return end == start ? nil : end
    }

    /// Notes that everything before `end` is durable; returns the marks that are thereby complete.
    mutating func advance(to end: Int) -> ArraySlice<Mark> {
        precondition(
            end > start && end <= bytes.count, "\(end) is not in \(start)...\(bytes.count)")
        start = end
        let first = marksDone
        while marksDone < marks.count && marks[marksDone].end <= end { marksDone += 1 }
        return marks[first..<marksDone]
    }

    /// Gives access to the waiting bytes together with the gap before them.
    ///
    /// - Parameter padding: how many zeroes follow the frame, where nothing else waits behind it.
    mutating func withFrame<R, E: Error>(
        end: Int, padding: Int = 0, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        let from = start - LogFrameHeader.bytes
        let added = end == bytes.count ? padding : 0
        bytes.append(contentsOf: repeatElement(0, count: added))
        defer { bytes.removeLast(added) }
        return try bytes.withUnsafeMutableBufferPointer { (all) throws(E) -> R in
            try body(
                UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(all)[from..<end + added]))
        }
    }

    /// Forgets what is written, keeping the memory for the next round within bounds.
    mutating func clear() {
        precondition(isEmpty, "\(bytes.count - start) bytes are not written")
        bytes.removeAll(keepingCapacity: bytes.capacity <= LogLimits.queueBytesKept)
        marks.removeAll(keepingCapacity: true)
        marksDone = 0
        start = LogFrameHeader.bytes
    }
}
