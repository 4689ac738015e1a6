// LogStore.swift: the Raft log on disk: its state, and who may touch which part of it.
// Belongs here: fields, guards, small questions; the work is in LogStore+Recovery, +Append, +Flush,
// +Read and +Housekeeping. Never here: threads (LogWriter.swift).
// Source: design.md sections 3 and 7, storage.md section Disk; format in Docs.docc/WAL.md.

import Glibc

/// The log of one member: entries, hard state and checkpoint intents, durable in the order handed
/// over.
///
/// Three parties share it, each on a thread of its own or all on one:
/// - the caller (the replica loop) hands over work with `append`, `truncate`, `reset`, `release`,
///   and
///   reads back; none of these waits for the disk except reading back;
/// - the writer calls `flush`, one party at a time;
/// - the housekeeper calls `housekeep`, one party at a time.
///
/// A failure of the disk other than a full one latches the log shut: every later call throws that
/// error.
public final class LogStore: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards every var that does not name another owner.
    let disk: any Disk
    let directory: String
    let options: LogOptions
    /// The log's salt: the caller's for a new log, else the one found.
    let salt: UInt64

    /// Guards everything below; held for memory work only, never across a disk call.
    let monitor = Monitor()
    /// Signalled for the writer: work was queued, space may be back, or the end.
    let workArrived = MonitorCondition()
    /// Signalled for the housekeeper: a segment to prepare or to give back, or the end.
    let housekeepingDue = MonitorCondition()
    /// Held across disk calls by whoever prepares or gives back segments; taken before `monitor`.
    let housekeeping = Monitor()

    // The caller's view: what has been handed over, durable or not.
    var pending = LogQueue()
    var queuedLast: UInt64
    var queuedLastTerm: UInt64
    var lastTicket = LogTicket(0)
    /// Charges of calls that are not durable yet, never more than the bound plus one call.
    var queuedBytes = 0
    /// Calls in the queue that void entries, and the lowest index they leave; see `readableLast`.
    var voidingQueued = 0
    var voidingFloor = UInt64.max

    // The disk's view: what is durable.
    var table: LogTable
    var savedTicket = LogTicket(0)
    var savedHardState: LogHardState
    var savedIntent: [UInt8]?
    /// Segments in use, oldest first, without gaps; the last one is being written.
    var segments: [LogSegment]
    /// Segments prepared ahead, in the order they will be used; they follow on the last in use.
    var spares: [LogSegment]
    /// Segments given up, oldest first, whose files still have to go.
    var retired: [LogSegment] = []

    // Trouble.
    var failure: StorageError?
    /// The last attempt to prepare a segment, or to write a frame, found no space.
    var prepareFull = false
    var writeFull = false
    var isStopping = false
    /// Whether anything happened since the last flush began that makes another try worth while.
    var isRetryDue = false
    /// Whether the housekeeper should look again; see `needsHousekeeping`.
    var housekeepingAsked = false

    /// Records being written; owned by the writer, not guarded by `monitor`.
    var outgoing = LogQueue()
    /// Whether a flush is under way, to prove that there is one writer.
    var isFlushing = false

    init(
        disk: any Disk, directory: String, options: LogOptions, salt: UInt64, found: RecoveredState
    ) {
        self.disk = disk
        self.directory = directory
        self.options = options
        self.salt = salt
        table = found.table
        queuedLast = found.table.last
        queuedLastTerm = found.table.lastTerm
        savedHardState = found.hardState
        savedIntent = found.intent
        segments = found.segments
        spares = found.spares
    }

    /// The first entry that can be read; one past `lastIndex` if there is none.
    public var firstIndex: UInt64 {
        monitor.lock()
        defer { monitor.unlock() }
        return table.base + 1
    }

    /// The last entry handed over, durable or not.
    public var lastIndex: UInt64 {
        monitor.lock()
        defer { monitor.unlock() }
        return queuedLast
    }

    /// The newest ticket whose work is durable.
    public var savedThrough: LogTicket {
        monitor.lock()
        defer { monitor.unlock() }
        return savedTicket
    }

    /// What fits without new space, and whether new space was refused.
    public var space: LogSpace {
        monitor.lock()
        defer { monitor.unlock() }
        let spare = spares.isEmpty ? 0 : freshCapacity
        return LogSpace(
            preparedBytes: max(0, currentCapacity + spare - queuedBytes),
            isFull: prepareFull || writeFull)
    }

    /// The largest payload one entry or intent may have.
    public var payloadBytesMax: Int {
        LogLimits.payloadBytesMax(segmentBytes: options.segmentBytes)
    }

    /// The path of a segment's file.
    func path(_ sequence: UInt64) -> String { Self.path(directory, sequence) }

    static func path(_ directory: String, _ sequence: UInt64) -> String {
        let digits = String(sequence, radix: 16)
        return directory + "/" + String(repeating: "0", count: 16 - digits.utf8.count) + digits
            + LogSegment.suffix
    }

    /// Bytes that frames may still take in the segment being written; `monitor` is held.
    var currentCapacity: Int {
        guard let current = segments.last else { return 0 }
        return max(0, current.size - current.end)
    }

    /// Bytes that a prepared segment has for frames after its head; `monitor` is held.
    var freshCapacity: Int {
        options.segmentBytes - LogLimits.sectorBytes
            - Self.frameBytes(headBytes(intent: savedIntent?.count ?? 0))
    }

    /// The records at the head of a segment: the hard state and the intent.
    func headBytes(intent: Int) -> Int {
        LogRecordHeader.bytes + LogHardState.payloadBytes + LogRecordHeader.bytes + intent
    }

    /// What a frame with so many bytes of records takes from its segment.
    static func frameBytes(_ records: Int) -> Int {
        let bytes = LogFrameHeader.bytes + records
        let rest = bytes % LogLimits.sectorBytes
        return rest == 0 ? bytes : bytes + LogLimits.sectorBytes - rest
    }

    /// Shuts the log for good, and returns the error that every call throws from now on.
    func latch(_ error: DiskError) -> StorageError {
        monitor.lock()
        defer { monitor.unlock() }
        // What is final must not look like a full disk, which may be tried again.
        let final: DiskError =
            if case .full(let path) = error {
                .failed(path: path, operation: "sync", code: ENOSPC)
            } else {
                error
            }
        let latched = failure ?? .disk(final)
        failure = latched
        workArrived.signal()
        housekeepingDue.signal()
        return latched
    }
}

/// A file of the log.
struct LogSegment {
    static let suffix = ".wal"

    let sequence: UInt64
    let file: any DiskFile
    /// The file's length, which never changes while it is in use.
    let size: Int
    /// The last entry before this segment.
    var baseIndex: UInt64 = 0
    /// Where the next frame goes; a multiple of the sector.
    var end = 0

    /// The number in a file's name, or nil if it is not a segment's.
    static func sequence(ofName name: String) -> UInt64? {
        guard name.hasSuffix(suffix) else { return nil }
        let digits = name.dropLast(suffix.count)
        guard digits.utf8.count == 16 else { return nil }
        return UInt64(digits, radix: 16)
    }
}

extension LogHardState {
    /// The vote; term and commit stand in the record's fixed part.
    static let payloadBytes = 8
}

/// Runs a disk call, turning its error into the module's.
@inline(__always)
func onDisk<R>(_ body: () throws(DiskError) -> R) throws(StorageError) -> R {
    do throws(DiskError) {
        return try body()
    } catch {
        throw .disk(error)
    }
}
