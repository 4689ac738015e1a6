// LogStore+Recovery.swift: opening a log: what is kept, what is cut, what is refused.
// Belongs here: order and verdicts of recovery. Never here: parsing (SegmentScan.swift).
// Rule: only a frame that no later frame follows may be bad, for nothing in it was acknowledged.

/// What recovery found, before it becomes a store.
struct RecoveredState {
    var table = LogTable(base: 0, baseTerm: 0)
    var hardState = LogHardState()
    var intent: [UInt8]?
    var segments: [LogSegment] = []
    var spares: [LogSegment] = []
    var salt: UInt64?
    var tornTail: TornTail?
}

extension LogStore {
    /// Opens the log in `directory`, creating it if there is none, and says what it holds.
    ///
    /// The caller holds the lock of the data directory. When this returns, all that was found is
    /// durable.
    ///
    /// - Throws: `.corrupt` if bytes are bad that no crash explains; nothing is changed then.
    public static func open(
        disk: any Disk, directory: String, options: LogOptions
    ) throws(StorageError) -> (store: LogStore, recovered: RecoveredLog) {
        try onDisk { () throws(DiskError) in
            try disk.createDirectory(directory)
            // Even if it existed: whoever made it may have died before this.
            try disk.syncDirectory(parent(of: directory))
        }
        var found = RecoveredState()
        try recoverSegments(disk, directory, options, &found)
        try onDisk { () throws(DiskError) in try disk.syncDirectory(directory) }
        let room = LogLimits.payloadBytesMax(segmentBytes: options.segmentBytes)
        guard (found.intent?.count ?? 0) <= room else {
            throw .incompatible(
                file: directory, found: "an intent larger than \(room), a quarter of a segment")
        }
        guard found.hardState.commit <= found.table.last else {
            throw .corrupt(
                file: directory, offset: 0,
                reason: "committed through \(found.hardState.commit), ends at \(found.table.last)")
        }
        let store = LogStore(
            disk: disk, directory: directory, options: options,
            salt: found.salt ?? options.salt, found: found)
        if found.spares.isEmpty { store.housekeepingAsked = true }
        for segment in found.segments + found.spares { segment.file.forgetCached() }
        let recovered = RecoveredLog(
            hardState: found.hardState, firstIndex: found.table.base + 1,
            lastIndex: found.table.last, termBeforeFirst: found.table.baseTerm,
            checkpointIntent: found.intent, tornTail: found.tornTail)
        return (store, recovered)
    }

    private static func recoverSegments(
        _ disk: any Disk, _ directory: String, _ options: LogOptions, _ found: inout RecoveredState
    ) throws(StorageError) {
        let scans = try openSegments(disk, directory)
        let lastUsed = scans.lastIndex { $0.header != nil }
        let used = lastUsed.map { scans[...$0] } ?? []
        let unused = scans[used.count...]
        try checkOrder(used)
        for scan in unused { try scan.checkUnused() }
        for (position, scan) in used.enumerated() {
            let next = position + 1 < used.count ? used[position + 1].header : nil
            try recover(scan, next: next, &found)
        }
        try keepSpares(disk, directory, options, unused, after: used.last?.sequence, &found)
    }

    /// Opens every segment file, in the order of their numbers.
    private static func openSegments(
        _ disk: any Disk, _ directory: String
    ) throws(StorageError) -> [SegmentScan] {
        let names = try onDisk { () throws(DiskError) in try disk.list(directory) }
        var scans: [SegmentScan] = []
        for name in names {
            guard let sequence = LogSegment.sequence(ofName: name) else { continue }
            let path = directory + "/" + name
            let file = try onDisk { () throws(DiskError) in try disk.open(path, create: false) }
            scans.append(try SegmentScan(file: file, sequence: sequence))
        }
        return scans
    }

    /// Between the first and the last segment in use none is missing, and none has lost its header.
    private static func checkOrder(_ used: ArraySlice<SegmentScan>) throws(StorageError) {
        var previous: SegmentScan?
        for scan in used {
            guard let header = scan.header else {
                throw .corrupt(file: scan.path, offset: 0, reason: "segment header")
            }
            if let previous {
                guard scan.sequence == previous.sequence + 1 else {
                    throw .corrupt(
                        file: previous.path, offset: UInt64(previous.size),
                        reason: "the next segment is missing")
                }
                guard header.salt == previous.header?.salt else {
                    throw .corrupt(file: scan.path, offset: 24, reason: "segment of another log")
                }
            }
            previous = scan
        }
    }

    /// Takes in one segment; `next` is the header of the one after it.
    private static func recover(
        _ scan: SegmentScan, next: LogSegmentHeader?, _ found: inout RecoveredState
    ) throws(StorageError) {
        guard let header = scan.header else { return }
        if found.segments.isEmpty {
            found.table = LogTable(base: header.baseIndex, baseTerm: header.baseTerm)
            found.salt = header.salt
        }
        guard header.baseIndex == found.table.last && header.baseTerm == found.table.lastTerm else {
            throw .corrupt(
                file: scan.path, offset: 32,
                reason: "follows on entry \(header.baseIndex), not \(found.table.last)")
        }
        var scan = scan
        let end = next.map { Int(clamping: $0.previousEnd) }
        let (stop, lastFrame) = try scan.readFrames(end: end, into: &found)
        if let end {
            guard stop == end else {
                throw .corrupt(file: scan.path, offset: UInt64(stop), reason: "bad frame")
            }
        } else {
            try scan.checkNothingFollows(stop)
            try settleTail(scan, stop: stop, lastFrame: lastFrame, &found)
        }
        found.segments.append(
            LogSegment(
                sequence: scan.sequence, file: scan.file, size: scan.size,
                baseIndex: header.baseIndex, end: stop))
    }

    /// Makes the end of the log what it was read as, whatever the last process left in memory.
    ///
    /// The last frame is written once more: if its sync had failed, the system may hold it as clean
    /// although the disk never got it. A torn frame's first sector is zeroed, so that it is cut
    /// once.
    private static func settleTail(
        _ scan: SegmentScan, stop: Int, lastFrame: Int?, _ found: inout RecoveredState
    ) throws(StorageError) {
        var scan = scan
        found.tornTail = try scan.tornTail(at: stop)
        let from = lastFrame == LogLimits.sectorBytes ? 0 : lastFrame ?? 0
        let to = lastFrame == nil ? LogLimits.sectorBytes : stop
        let tail = try scan.bytes(from, to - from)
        let tornTail = found.tornTail
        let file = scan.file
        try onDisk { () throws(DiskError) in
            try file.write(tail, at: UInt64(from))
            if let tornTail {
                let zeroes = [UInt8](repeating: 0, count: LogLimits.sectorBytes)
                try file.write(zeroes, at: tornTail.offset)
            }
            try file.sync()
        }
    }

    /// Keeps the unused segments that follow on without a gap as spares, removes the rest.
    private static func keepSpares(
        _ disk: any Disk, _ directory: String, _ options: LogOptions,
        _ unused: ArraySlice<SegmentScan>, after last: UInt64?, _ found: inout RecoveredState
    ) throws(StorageError) {
        var expected = last.map { $0 + 1 } ?? unused.first?.sequence
        for scan in unused {
            if scan.sequence == expected && scan.size == options.segmentBytes
                && found.spares.count < LogLimits.sparesMax
            {
                found.spares.append(
                    LogSegment(sequence: scan.sequence, file: scan.file, size: scan.size))
                expected = scan.sequence + 1
            } else {
                try onDisk { () throws(DiskError) in try disk.remove(scan.path) }
            }
        }
        try onDisk { () throws(DiskError) in try disk.remove(directory + "/prepare.tmp") }
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
