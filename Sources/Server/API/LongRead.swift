// LongRead.swift: a read that may take more than one turn of its event loop.
// Belongs here: its state, and the queue for a reader. Never here: the steps (Front+LongRead.swift).

internal import Storage

/// A read under way; confined to its event loop.
final class LongRead {
    /// What is read.
    enum Work {
        case range(RangeRequest)
        case hash(HashKVRequest)
        case snapshot
    }

    /// How far it is.
    enum Phase {
        /// Waits for a reader.
        case waiting
        /// Works through rows inside a transaction.
        case range(RangeOperation, LoopReader)
        /// Sends a measured answer in parts.
        case parts(RangeOperation)
        case hash(HashOperation, LoopReader)
        case snapshot(SnapshotOperation)
        case ended
    }

    let call: any ServiceCall
    let work: Work
    var phase = Phase.waiting
    var isScheduled = false

    init(call: any ServiceCall, work: Work) {
        self.call = call
        self.work = work
    }
}

/// Reads that wait for a reader of their loop, first come first served.
struct LongReadQueue {
    /// Beyond, reads are refused as too many.
    static let countMax = 1000

    private var reads: [LongRead] = []

    /// False if too many wait.
    mutating func append(_ read: LongRead) -> Bool {
        guard reads.count < Self.countMax else { return false }
        reads.append(read)
        return true
    }

    mutating func popFirst() -> LongRead? {
        reads.isEmpty ? nil : reads.removeFirst()
    }

    mutating func remove(_ read: LongRead) {
        reads.removeAll { $0 === read }
    }
}
