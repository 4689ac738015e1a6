// LongRead.swift: a read that may take more than one turn of its event loop.
// Belongs here: its state, and the queue for a reader. Never here: the steps (Front+LongRead.swift).

internal import Storage

/// A read under way; confined to its event loop.
final class LongRead {
    /// What is read.
    enum Work {
        case range(RangeRequest)
        case rangeStream(RangeRequest)
        case hash(HashKVRequest)
        case snapshot
    }

    /// How far it is.
    enum Phase {
        /// Waits for a reader.
        case waiting
        /// Works through rows inside a transaction.
        case range(RangeOperation, LoopReader)
        /// Sends a gathered answer: the parts of one message, or a stream of messages.
        case parts(RangeOperation)
        case hash(HashOperation, LoopReader)
        case snapshot(SnapshotOperation)
        case ended
    }

    let call: any ServiceCall
    let work: Work
    var phase = Phase.waiting
    var isScheduled = false
    /// When the client last took something of an answer that is sent in parts.
    var progressed = Tick(milliseconds: 0)

    /// Whether the answer is a stream of messages.
    var isStream: Bool {
        if case .rangeStream = work { return true }
        return false
    }

    /// Whether the server asks for itself: nobody sees what is read.
    let isOwn: Bool

    init(call: any ServiceCall, work: Work, isOwn: Bool = false) {
        self.call = call
        self.work = work
        self.isOwn = isOwn
    }

    /// Whether little can come of it, however much there is.
    var isSmall: Bool {
        switch work {
        case .range(let request), .rangeStream(let request):
            request.rangeEnd.isEmpty || request.countOnly
                || (1...Self.smallLimit).contains(request.limit) && request.isPlain
        case .hash, .snapshot: false
        }
    }

    private static let smallLimit: Int64 = 1000
}

/// Reads that wait for a reader of their loop, first come first served.
struct LongReadQueue {
    /// Beyond, reads are refused as too many.
    static let countMax = 1000

    /// Bytes that answers may hold that are sent in parts; beyond, what is not small waits.
    ///
    /// A list of ten million keys, or ten of a million.
    static let heldBytesMax = 80 << 20
    /// A client that takes nothing for so long, while others wait, loses its answer; in milliseconds.
    static let patienceMilliseconds: UInt64 = 30_000

    private var reads: [LongRead] = []
    /// Reads whose answers are being sent in parts.
    private var sending: [LongRead] = []
    private var heldBytes = 0

    /// Whether a read may begin now.
    func admits(_ read: LongRead) -> Bool { heldBytes < Self.heldBytesMax || read.isSmall }

    /// The next read that may begin.
    mutating func popAdmitted() -> LongRead? {
        guard let place = reads.firstIndex(where: admits) else { return nil }
        return reads.remove(at: place)
    }

    /// Notes that an answer is being sent in parts.
    mutating func beginSending(_ read: LongRead, _ operation: RangeOperation) {
        sending.append(read)
        heldBytes += operation.heldBytes
    }

    mutating func endSending(_ read: LongRead, _ operation: RangeOperation) {
        guard let place = sending.firstIndex(where: { $0 === read }) else { return }
        sending.remove(at: place)
        heldBytes -= operation.heldBytes
    }

    /// Reads of clients that take nothing, while others wait for what they hold.
    func stuck(now: Tick) -> [LongRead] {
        guard heldBytes >= Self.heldBytesMax else { return [] }
        return sending.filter { now.since($0.progressed) > Self.patienceMilliseconds }
    }

    /// False if too many wait.
    mutating func append(_ read: LongRead) -> Bool {
        guard reads.count < Self.countMax else { return false }
        reads.append(read)
        return true
    }

    mutating func remove(_ read: LongRead) {
        reads.removeAll { $0 === read }
    }
}
