// Histogram.swift: how often a measured value fell into which range. Belongs here: fixed buckets,
// updated with two relaxed atomic additions. Never here: names and text (MetricRegistry.swift).

import Synchronization

/// The buckets of a histogram, in the unit that is shown.
struct HistogramBuckets: Sendable, Equatable {
    /// The most buckets a histogram has besides the last, open one.
    static let countMax = 24

    /// Upper bounds, ascending.
    let bounds: [Double]

    /// Fixed bounds.
    init(_ bounds: [Double]) {
        precondition(bounds.count <= Self.countMax, "\(bounds.count) buckets")
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "unsorted \(bounds)")
        self.bounds = bounds
    }

    /// `count` bounds, each twice the one before.
    static func doubling(from first: Double, count: Int) -> HistogramBuckets {
        HistogramBuckets((0..<count).map { first * Double(1 << $0) })
    }
}

/// A histogram of whole numbers: nanoseconds, or units such as seconds of a lease.
final class Histogram: Sendable {
    /// How many recorded units make one shown unit.
    enum Unit: Double, Sendable {
        /// Recorded as they are shown.
        case plain = 1
        /// Recorded in nanoseconds, shown in milliseconds.
        case milliseconds = 1e6
        /// Recorded in nanoseconds, shown in seconds.
        case seconds = 1e9
    }

    /// What a scrape shows.
    struct Snapshot: Equatable {
        /// For each bound how many values were at most that; the last is the count of all.
        let cumulative: [UInt64]
        /// The sum in the shown unit.
        let sum: Double
    }

    let buckets: HistogramBuckets
    private let unit: Unit
    /// The bounds in recorded units.
    private let limits: [UInt64]
    private let sum = Atomic<UInt64>(0)
    private let counts = InlineArray<25, Atomic<UInt64>> { _ in Atomic(0) }

    init(_ buckets: HistogramBuckets, unit: Unit) {
        self.buckets = buckets
        self.unit = unit
        limits = buckets.bounds.map { UInt64(($0 * unit.rawValue).rounded()) }
    }

    /// Records a duration; any thread.
    func observe(nanoseconds: UInt64) {
        precondition(unit != .plain, "a duration into a histogram of plain numbers")
        record(nanoseconds)
    }

    /// Records a plain number; any thread.
    func observe(_ value: UInt64) {
        precondition(unit == .plain, "a plain number into a histogram of durations")
        record(value)
    }

    private func record(_ value: UInt64) {
        var place = 0
        while place < limits.count, value > limits[place] { place += 1 }
        counts[place].add(1, ordering: .relaxed)
        sum.add(value, ordering: .relaxed)
    }

    /// The present counts; each is read on its own, so the sum may be ahead of or behind them.
    func snapshot() -> Snapshot {
        var total: UInt64 = 0
        var cumulative: [UInt64] = []
        cumulative.reserveCapacity(limits.count + 1)
        for place in 0...limits.count {
            total += counts[place].load(ordering: .relaxed)
            cumulative.append(total)
        }
        return Snapshot(
            cumulative: cumulative, sum: Double(sum.load(ordering: .relaxed)) / unit.rawValue)
    }
}
