// LogStore+Read.swift: reading entries back, for redo at start and for followers that lag.
// Belongs here: place to bytes to entry, with every check. Never here: caching, which is Raft's.

extension LogStore {
    /// Reads durable entries from `first` to at most `last`, about `maxBytes` of payload, at least
    /// one.
    ///
    /// Fewer may come back than asked; the caller goes on from there. From any thread.
    ///
    /// - Returns: nil if `first` is not, or no longer, among the durable entries. It was released,
    ///   and will not come back, if it is below `firstIndex` after this call; otherwise it is not
    ///   there yet.
    /// - Throws: `.corrupt` if an entry is not what was written.
    public func entries(
        from first: UInt64, through last: UInt64, maxBytes: Int
    ) throws(StorageError) -> [LogEntry]? {
        guard let (places, files) = try places(from: first, through: last) else { return nil }
        var entries: [LogEntry] = []
        var bytes = 0
        var window = ReadWindow()
        for (position, place) in places.enumerated() {
            let index = first + UInt64(position)
            let file = files[Int(place.sequence - places[0].sequence)]
            guard let entry = try window.entry(index, place, file) else {
                // Its segment may have been given back and written over since the look-up.
                guard isReadable(index) else { return entries.isEmpty ? nil : entries }
                throw .corrupt(
                    file: path(place.sequence), offset: UInt64(place.offset),
                    reason: "entry \(index)")
            }
            entries.append(entry)
            bytes += entry.payload.count
            if bytes >= maxBytes { break }
        }
        return entries
    }

    /// The term of a durable entry, or of the place before the first; nil elsewhere.
    public func term(of index: UInt64) -> UInt64? {
        monitor.lock()
        defer { monitor.unlock() }
        return index <= readableLast ? table.term(of: index) : nil
    }

    /// The last entry that is durable and not void by anything still queued; `monitor` is held.
    private var readableLast: UInt64 { min(table.last, voidingFloor) }

    private func isReadable(_ index: UInt64) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        return index > table.base && index <= readableLast
    }

    /// The places of a run of entries, and the files from the first one's segment on.
    private func places(
        from first: UInt64, through last: UInt64
    ) throws(StorageError) -> (places: [LogPlace], files: [any DiskFile])? {
        monitor.lock()
        defer { monitor.unlock() }
        if let failure { throw failure }
        let last = min(last, readableLast, first &+ UInt64(LogLimits.entriesPerReadMax - 1))
        guard first > table.base && first <= last else { return nil }
        var places: [LogPlace] = []
        places.reserveCapacity(Int(last - first) + 1)
        for index in first...last {
            guard let place = table.place(of: index) else { break }
            places.append(place)
        }
        let skipped = Int(places[0].sequence - segments[0].sequence)
        return (places, segments[skipped...].map(\.file))
    }
}

/// The bytes around the entries being read, so that neighbours cost one read together.
private struct ReadWindow {
    private var bytes: [UInt8] = []
    private var start = 0
    private var sequence: UInt64?

    /// Reads one entry, or nil if the bytes at its place are not that entry.
    mutating func entry(
        _ index: UInt64, _ place: LogPlace, _ file: any DiskFile
    ) throws(StorageError) -> LogEntry? {
        try fill(place, LogRecordHeader.bytes, file)
        var from = place.offset - start
        guard let head = bytes.withUnsafeBytes({ LogRecordHeader($0, at: from) }),
            head.type == .entry, head.index == index, head.length <= LogLimits.segmentBytes
        else { return nil }
        try fill(place, head.recordBytes, file)
        from = place.offset - start
        guard bytes.count - from >= head.recordBytes else { return nil }
        return bytes.withUnsafeBytes { all in
            guard let header = LogRecordHeader(all, at: from), header == head,
                header.checksum(all, at: from) == all.load(at: from, as: UInt32.self)
            else { return nil }
            let payload = all[from + LogRecordHeader.bytes..<from + header.recordBytes]
            return LogEntry(
                index: header.index, term: header.term, kind: header.kind,
                payload: Array(payload))
        }
    }

    private mutating func fill(
        _ place: LogPlace, _ count: Int, _ file: any DiskFile
    ) throws(StorageError) {
        let isInside =
            sequence == place.sequence && place.offset >= start
            && place.offset + count <= start + bytes.count
        guard !isInside else { return }
        let length = max(count, LogLimits.readBytes)
        if bytes.count < length { bytes = [UInt8](repeating: 0, count: length) }
        try onDisk { () throws(DiskError) in try file.read(into: &bytes, at: UInt64(place.offset)) }
        start = place.offset
        sequence = place.sequence
    }
}
