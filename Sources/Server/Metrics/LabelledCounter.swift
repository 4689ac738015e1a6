// LabelledCounter.swift: a family whose series appear with their first use. Belongs here: a bounded
// table of label values. Never here: names.

import Synchronization

/// Counters by the values of their labels.
final class LabelledCounter: Sendable {
    /// Beyond, all other values share one series: clients choose some of them.
    static let seriesMax = 64

    private let names: [String]
    private let counters = Mutex<[(values: [String], counter: Counter)]>([])

    init(_ names: [String]) {
        self.names = names
    }

    /// The counter of these values; look it up once where it is counted often.
    func counter(_ values: [String]) -> Counter {
        precondition(values.count == names.count, "\(values) for \(names)")
        return counters.withLock { counters in
            if let found = counters.first(where: { $0.values == values }) { return found.counter }
            let isFull = counters.count >= Self.seriesMax
            let kept = isFull ? names.map { _ in "other" } : values
            if isFull, let other = counters.first(where: { $0.values == kept }) {
                return other.counter
            }
            let made = Counter()
            counters.append((kept, made))
            return made
        }
    }

    /// The series at a scrape.
    var series: [(labels: MetricLabels, source: MetricFamily.Source)] {
        counters.withLock { $0 }.map { values, counter in
            (
                MetricLabels(zip(names, values).map { (name: $0, value: $1) }),
                .counter(counter)
            )
        }
    }
}
