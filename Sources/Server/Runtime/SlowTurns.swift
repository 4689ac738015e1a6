// SlowTurns.swift: says when carrying out requests took too long.
// Belongs here: the limit and the line. Never here: what is carried out (Replica).
// Source: etcd's --warning-apply-duration, whose line "apply request took too long" scripts look for.

internal import Logging

/// Looks at the time that turns of the replica take; confined to its loop.
struct SlowTurns {
    private let limitMilliseconds: UInt64
    private let metric: Counter
    private let logger: Logger
    private var rate = LineRate()

    /// - Parameter limit: turns that take longer are logged; zero for none.
    init(limit: Duration, metric: Counter, logger: Logger) {
        limitMilliseconds = limit > .zero ? UInt64(max(1, limit.milliseconds)) : .max
        self.metric = metric
        self.logger = logger
    }

    /// Looks at a turn that ends now.
    mutating func look(since began: Tick, requests: [ReplicaRequest]) {
        let now = MonotonicClock.now
        let took = now.since(began)
        guard took > limitMilliseconds else { return }
        metric.increment()
        guard let suppressed = rate.admit(at: Int64(now.milliseconds) * 1_000_000) else { return }
        var metadata: Logger.Metadata = [
            "took": "\(took)ms", "expected-duration": "\(limitMilliseconds)ms",
            "requests": "\(requests.count)",
            "request size": "\(requests.reduce(0) { $0 + $1.byteCount })",
        ]
        if suppressed > 0 { metadata["lines left out"] = "\(suppressed)" }
        logger.warning("apply request took too long", metadata: metadata)
    }
}
