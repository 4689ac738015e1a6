// AutoCompactor.swift: when the leader compacts on its own, and to which revision.
// Belongs here: etcd's two modes. Never here: compacting (Executor).
// Source: etcd semantics C6.

/// `--auto-compaction-mode` and `--auto-compaction-retention` at work.
struct AutoCompactor: Sendable {
    private static let revisionModeInterval: UInt64 = 300_000
    private static let periodicIntervalMax: UInt64 = 3_600_000
    private static let samplesPerInterval: UInt64 = 10

    private let mode: AutoCompaction
    /// Revisions seen in periodic mode, oldest first, one each tenth of an interval.
    private var samples: [Int64] = []
    private var looks: UInt64 = 0
    /// When to look next; nil where nothing is ever due.
    private(set) var nextDue: Tick?

    init(_ mode: AutoCompaction) {
        self.mode = mode
    }

    /// Begins to count from now: a new leader has seen no revision yet.
    mutating func start(now: Tick) {
        samples = []
        nextDue = interval.map { now.advanced(milliseconds: $0) }
    }

    private var interval: UInt64? {
        switch mode {
        case .off: nil
        case .revisions: Self.revisionModeInterval
        case .periodic(let retention):
            max(1, Self.compactEvery(retention) / Self.samplesPerInterval)
        }
    }

    private static func compactEvery(_ retention: Duration) -> UInt64 {
        min(UInt64(max(retention.milliseconds, 1)), periodicIntervalMax)
    }

    /// The revision to compact to now, if it is time.
    mutating func due(now: Tick, revision: Int64, compacted: Int64) -> Int64? {
        guard let tick = nextDue, tick <= now, let interval else { return nil }
        nextDue = now.advanced(milliseconds: interval)
        let target: Int64
        switch mode {
        case .off: return nil
        case .revisions(let kept): target = revision - kept
        case .periodic(let retention):
            samples.append(revision)
            let needed = UInt64(max(retention.milliseconds, 1)) / interval
            guard samples.count > needed else { return nil }
            target = samples.removeFirst()
            // Between two compactions of a whole interval the samples only move on.
            guard target > compacted, isWholeInterval(retention) else { return nil }
        }
        return target > compacted && target > 0 ? target : nil
    }

    private mutating func isWholeInterval(_ retention: Duration) -> Bool {
        looks += 1
        return looks % Self.samplesPerInterval == 1
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
