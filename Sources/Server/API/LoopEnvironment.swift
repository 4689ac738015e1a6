// LoopEnvironment.swift: what the services of one event loop need from around them.
// Belongs here: the seam to threads and timers. Never here: what runs on them.

internal import Storage

/// The state of the store that a read transaction sees.
struct StoreView: Equatable, Sendable {
    /// The main revision.
    var revision: Int64
    /// The compacted revision; -1 if never compacted (C2).
    var compacted: Int64
    /// Which auth tables it has.
    var authMark = AuthMark(rawValue: 0)
}

/// An event loop and the threads behind it, as the services see them; called on that loop only.
protocol LoopEnvironment: AnyObject {
    /// The time now.
    var now: Tick { get }
    /// A number that no other call gets, on any member: random, and drawn anew each time.
    var nonce: UInt64 { get }
    /// Seconds since 1970 by the wall clock, for tokens that say when they end.
    var wallClockSeconds: Int64 { get }
    /// Does work that takes long away from this loop, and then calls `done` on it; false if too much waits already.
    func compute(
        _ work: @escaping @Sendable () -> [UInt8]?, then done: @escaping ([UInt8]?) -> Void
    ) -> Bool
    /// Runs `body` on this loop in a later turn.
    func later(_ body: @escaping () -> Void)
    /// Runs `body` on this loop after a delay.
    func after(milliseconds: UInt64, _ body: @escaping () -> Void)
    /// Requests submitted under the same number reach the replica together, and it has none of them yet.
    var turn: UInt64 { get }
    /// Hands a request to the replica; if its queue is full a failure comes back in a later turn.
    func submit(_ request: ReplicaRequest)
}
