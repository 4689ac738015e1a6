// WatchLimits.swift: the bounds of watches.
// Belongs here: numbers with their reason.

enum WatchLimits {
    /// Unsent bytes of a stream above which its watches stop taking events and read them later (W19).
    static let streamBufferedBytesMax = 1 << 20
    /// Revisions in one response while a watch catches up: what etcd sends (W10).
    static let catchUpRevisionsMax = 1000
    /// Bytes of one response while a watch catches up; exceeded only by a single revision.
    static let catchUpBytesMax = 1 << 20
    /// Changes looked at in one step of catching up: a few milliseconds.
    static let catchUpChangesMax = 5_000
    /// Steps of catching up in one turn of the loop, of all watches together: some ten milliseconds.
    static let catchUpStepsPerTurn = 8
    /// How long to wait before asking a busy replica for events again, in milliseconds.
    static let subscribeRetryMilliseconds: UInt64 = 20
    /// How long a watch waits whose events could not be read, in milliseconds.
    static let failedReadPauseMilliseconds: UInt64 = 100
    /// Watches of one stream; beyond, creation is refused.
    static let watchesPerStreamMax = 100_000
}
