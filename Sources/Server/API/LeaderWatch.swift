// LeaderWatch.swift: streams whose clients want to know when there is no leader any more.
// Belongs here: which streams, and for how long there was none. Never here: timers, texts (Front.swift).
// Source: etcd semantics G9.

/// The open streams of one event loop that came with `hasleader: true`.
struct LeaderWatch {
    private var calls: [any ServiceCall] = []
    private var leaderlessSince: Tick?
    private var isLooking = false

    mutating func add(_ call: any ServiceCall) { calls.append(call) }

    /// Begins to look from time to time; false if that is done already.
    mutating func begin() -> Bool {
        defer { isLooking = true }
        return !isLooking
    }

    /// Ends that if no stream is left.
    mutating func end() -> Bool {
        isLooking = !calls.isEmpty
        return calls.isEmpty
    }

    /// The streams to end: all, if there was no leader for longer than `patience`, in milliseconds.
    mutating func look(hasLeader: Bool, now: Tick, patience: UInt64) -> [any ServiceCall] {
        calls.removeAll { !$0.isOpen }
        guard !hasLeader else {
            leaderlessSince = nil
            return []
        }
        let since = leaderlessSince ?? now
        leaderlessSince = since
        guard now.since(since) >= patience else { return [] }
        defer { calls = [] }
        return calls
    }
}
