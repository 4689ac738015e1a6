// ReplicaMeter.swift: how long the replica's work takes, and what it did besides answering.
// Belongs here: the clock around what the replica says it does. Never here: the work (Replica/).

internal import Logging

/// Measures the replica; confined to its thread.
final class ReplicaMeter {
    private let metrics: Metrics
    private let slowNanoseconds: UInt64
    private let heartbeatMilliseconds: UInt64
    private var begun: UInt64 = 0
    private var compactionBegun: UInt64?

    /// - Parameters:
    ///   - slowMilliseconds: `--warning-apply-duration`.
    ///   - heartbeatMilliseconds: `--heartbeat-interval`.
    init(metrics: Metrics, slowMilliseconds: UInt64, heartbeatMilliseconds: UInt64) {
        self.metrics = metrics
        slowNanoseconds = slowMilliseconds * 1_000_000
        self.heartbeatMilliseconds = heartbeatMilliseconds
    }

    func note(_ activity: ReplicaActivity) {
        switch activity {
        case .executing: begun = MonotonicClock.nanoseconds
        case .executed(let operation, let succeeded):
            let taken = MonotonicClock.nanoseconds - begun
            if taken > slowNanoseconds { metrics.server.slowApplies.increment() }
            metrics.server.applySeconds(operation, success: succeeded)
                .observe(nanoseconds: taken)
        case .expiredLeases(let count): metrics.lease.expired.increment(by: UInt64(count))
        case .compacting: compactionBegun = compactionBegun ?? MonotonicClock.nanoseconds
        }
    }

    /// A compaction has removed its last row.
    func compacted() {
        metrics.mvcc.compactionLastSeconds.set(WallClock.secondsSince1970)
        guard let begun = compactionBegun else { return }
        compactionBegun = nil
        metrics.mvcc.compactionMilliseconds.observe(
            nanoseconds: MonotonicClock.nanoseconds - begun)
    }

    /// The thread should have turned at `due`; what was due to others then left late.
    func woke(due: Tick?, now: Tick, isLeading: Bool) {
        guard isLeading, let due, now > due, now.since(due) > heartbeatMilliseconds else { return }
        metrics.server.heartbeatSendFailures.increment()
    }
}

extension ReplicaMeter {
    /// Measures by what the flags say.
    convenience init(_ configuration: Configuration, metrics: Metrics) {
        self.init(
            metrics: metrics,
            slowMilliseconds: UInt64(max(1, configuration.warningApplyDuration.milliseconds)),
            heartbeatMilliseconds: UInt64(configuration.heartbeatIntervalMilliseconds))
    }
}
