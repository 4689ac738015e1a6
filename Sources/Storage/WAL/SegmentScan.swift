// SegmentScan.swift: reading one segment from its head to the first frame that is not whole.
// Belongs here: parsing with checks. Never here: what its end means (LogStore+Recovery.swift).
// Source: LogFormat.swift; how torn is told from corrupt is argued in Docs.docc/WAL.md.

/// A segment file under examination, with a window of its bytes in memory.
struct SegmentScan {
    let file: any DiskFile
    let path: String
    let sequence: UInt64
    let size: Int
    /// The header, if the file is in use under its present name.
    let header: LogSegmentHeader?
    private var window: [UInt8] = []
    private var windowStart = 0

    init(file: any DiskFile, sequence: UInt64) throws(StorageError) {
        self.file = file
        self.sequence = sequence
        path = file.path
        size = Int(clamping: try onDisk { () throws(DiskError) in try file.size() })
        var first = [UInt8](repeating: 0, count: LogSegmentHeader.bytes)
        try onDisk { () throws(DiskError) in try file.read(into: &first, at: 0) }
        switch first.withUnsafeBytes({ LogSegmentHeader.read($0) }) {
        case .header(let header): self.header = header.sequence == sequence ? header : nil
        case .version(let version):
            throw .incompatible(file: path, found: "log format \(version)")
        case .none: header = nil
        }
    }

    /// Copies `count` bytes at `offset`, fewer at the end of the file.
    mutating func bytes(_ offset: Int, _ count: Int) throws(StorageError) -> [UInt8] {
        let span = try fill(offset, count)
        return Array(window[span])
    }

    /// Takes in frames from the start up to `end`, or as long as they are whole.
    ///
    /// - Returns: where it stopped, and where the last whole frame begins.
    mutating func readFrames(
        end: Int?, into found: inout RecoveredState
    ) throws(StorageError) -> (stop: Int, lastFrame: Int?) {
        var offset = LogLimits.sectorBytes
        var lastFrame: Int?
        while offset < end ?? size, let bytes = try readFrame(offset, into: &found) {
            lastFrame = offset
            offset += bytes
        }
        return (offset, lastFrame)
    }

    /// Takes in the frame at `offset`, or returns nil with nothing changed if it is not whole.
    ///
    /// - Returns: the bytes the frame takes up.
    private mutating func readFrame(
        _ offset: Int, into found: inout RecoveredState
    ) throws(StorageError) -> Int? {
        guard let frame = try frameHeader(at: offset), frame.salt == header?.salt,
            frame.bodyBytes <= size - offset - LogFrameHeader.bytes
        else { return nil }
        let span = try fill(offset + LogFrameHeader.bytes, frame.bodyBytes)
        guard span.count == frame.bodyBytes, isWhole(frame, span) else { return nil }
        let place = offset + LogFrameHeader.bytes
        try window.withUnsafeBufferPointer { (all) throws(StorageError) in
            let body = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(all)[span])
            var position = 0
            while let record = LogRecordHeader(body, at: position) {
                let payload = body[position + LogRecordHeader.bytes..<position + record.recordBytes]
                try found.take(
                    record, UnsafeRawBufferPointer(rebasing: payload), sequence: sequence,
                    offset: place + position, path: path)
                position += record.recordBytes
            }
        }
        return LogStore.frameBytes(frame.bodyBytes)
    }

    /// Whether every record of a frame is whole and they are all there.
    private func isWhole(_ frame: LogFrameHeader, _ span: Range<Int>) -> Bool {
        window.withUnsafeBytes { all in
            let body = UnsafeRawBufferPointer(rebasing: all[span])
            var position = 0
            var records = 0
            var checksum: UInt32 = 0
            while let record = LogRecordHeader(body, at: position) {
                guard record.recordBytes <= body.count - position,
                    record.checksum(body, at: position) == body.load(at: position, as: UInt32.self)
                else { return false }
                checksum = crc32c(checksum, body, from: position, count: 4)
                position += record.recordBytes
                records += 1
            }
            return position == body.count && records == frame.records
                && checksum == frame.bodyChecksum
        }
    }

    /// Proves that no frame was begun after a bad one at `stop`: then that one was never
    /// acknowledged.
    mutating func checkNothingFollows(_ stop: Int) throws(StorageError) {
        var offset = stop + LogLimits.sectorBytes
        while offset + LogFrameHeader.bytes <= size {
            if let later = try frameHeader(at: offset), header == nil || later.salt == header?.salt
            {
                throw .corrupt(
                    file: path, offset: UInt64(stop),
                    reason: "bad frame, but a later one at \(offset)")
            }
            offset += LogLimits.sectorBytes
        }
    }

    /// Proves that a file without a header was never in use: of a write that was, at most the first
    /// frame is there.
    func checkUnused() throws(StorageError) {
        var scan = self
        do {
            try scan.checkNothingFollows(LogLimits.sectorBytes)
        } catch {
            guard case .corrupt(let file, _, _) = error else { throw error }
            throw .corrupt(file: file, offset: 0, reason: "segment header")
        }
    }

    /// What an interrupted write left at the end of the log, if it shows.
    mutating func tornTail(at stop: Int) throws(StorageError) -> TornTail? {
        guard stop + LogLimits.sectorBytes <= size, let frame = try frameHeader(at: stop) else {
            return nil
        }
        return TornTail(
            file: path, offset: UInt64(stop), bytes: UInt64(LogStore.frameBytes(frame.bodyBytes)))
    }

    private mutating func frameHeader(at offset: Int) throws(StorageError) -> LogFrameHeader? {
        let span = try fill(offset, LogFrameHeader.bytes)
        return window.withUnsafeBytes { all in
            LogFrameHeader(
                UnsafeRawBufferPointer(rebasing: all[span]), at: 0, segmentOffset: offset,
                sequence: sequence)
        }
    }

    /// Brings bytes into the window; returns where in it they are, fewer than asked at the end of
    /// the file.
    private mutating func fill(_ offset: Int, _ count: Int) throws(StorageError) -> Range<Int> {
        let wanted = min(count, max(0, size - offset))
        if offset < windowStart || offset + wanted > windowStart + window.count {
            let length = min(max(wanted, LogLimits.chunkBytes), size - offset)
            if window.count != length { window = [UInt8](repeating: 0, count: length) }
            let file = file
            try onDisk { () throws(DiskError) in try file.read(into: &window, at: UInt64(offset)) }
            windowStart = offset
        }
        let from = offset - windowStart
        return from..<min(from + wanted, window.count)
    }
}

extension RecoveredState {
    /// Takes in one whole record; what contradicts the records before it is corruption.
    mutating func take(
        _ record: LogRecordHeader, _ payload: UnsafeRawBufferPointer, sequence: UInt64, offset: Int,
        path: String
    ) throws(StorageError) {
        func corrupt(_ reason: String) -> StorageError {
            .corrupt(file: path, offset: UInt64(offset), reason: reason)
        }
        switch record.type {
        case .entry:
            guard record.index == table.last + 1 && record.term >= table.lastTerm else {
                throw corrupt("entry \(record.index) after \(table.last)")
            }
            let place = LogPlace(sequence: sequence, offset: offset)
            table.append(index: record.index, term: record.term, place: place)
        case .hardState:
            guard payload.count == LogHardState.payloadBytes else { throw corrupt("hard state") }
            hardState = LogHardState(record, payload)
        case .checkpointIntent:
            intent = Array(payload)
        case .truncation where record.index < table.base:
            // What it cut was in segments given back since; it is where the log now begins.
            table.reset(to: record.index, term: record.term)
        case .truncation:
            guard record.index <= table.last else { throw corrupt("cut after \(record.index)") }
            table.truncate(after: record.index)
        case .reset:
            table.reset(to: record.index, term: record.term)
        }
    }
}
