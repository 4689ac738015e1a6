// LoopCounts.swift: what the event loops count for operators.
// Belongs here: sums over all loops, written by each, read by any thread. Never here: metric names
// (Metrics/), anything a decision rests on.

internal import Synchronization

/// Sums over the event loops of a member.
final class LoopCounts: Sendable {
    /// Streams with at least one watch.
    let watchStreams = Atomic<Int>(0)
    let watchers = Atomic<Int>(0)
    /// Watches that read their events from the store because they are behind.
    let slowWatchers = Atomic<Int>(0)
    /// Events handed to connections.
    let eventsSent = Atomic<Int>(0)
    /// Questions for a read index that got no answer, and those that got it late.
    let failedReadIndexes = Atomic<Int>(0)
    let slowReadIndexes = Atomic<Int>(0)

    /// An answer to such a question is late after this many milliseconds, as in etcd.
    static let slowReadIndexMilliseconds: UInt64 = 500
}

extension Atomic<Int> {
    /// Moves the count; any thread.
    func add(_ amount: Int) { wrappingAdd(amount, ordering: .relaxed) }

    /// The count.
    var now: Int { load(ordering: .relaxed) }
}
