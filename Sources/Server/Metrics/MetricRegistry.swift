// MetricRegistry.swift: names, help and labels of metrics, and their text for Prometheus.
// Belongs here: the exposition format 0.0.4. Never here: which metrics exist (Metrics.swift).
// Source: Prometheus documentation, "Exposition formats".

/// The labels of one series, as they stand in the text.
struct MetricLabels: Sendable, Equatable {
    /// Pairs without braces, such as `op="Put",version="v3"`; empty for none.
    let text: String

    static let none = MetricLabels([])

    init(_ pairs: [(name: String, value: String)]) {
        text = pairs.map { "\($0.name)=\"\(Self.escape($0.value))\"" }.joined(separator: ",")
    }

    private static func escape(_ value: String) -> String {
        var escaped = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": escaped += #"\\"#
            case "\"": escaped += #"\""#
            case "\n": escaped += #"\n"#
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}

/// All metrics of one name.
struct MetricFamily: Sendable {
    /// The word after `# TYPE`.
    enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// Where a series takes its number from.
    enum Source: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        /// One number read at each scrape.
        case computed(@Sendable () -> Double)
    }

    let name: String
    let help: String
    let kind: Kind
    /// Leaves out histograms that nothing fell into yet, as etcd does for series that appear with
    /// their first use.
    var hidesUnused = false
    var series: [(labels: MetricLabels, source: Source)]
    /// Series that come and go, asked for at each scrape.
    var dynamic: (@Sendable () -> [(labels: MetricLabels, source: Source)])?

    /// Appends the family's lines.
    func write(to text: inout String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for (labels, source) in series + (dynamic?() ?? []) {
            switch source {
            case .counter(let counter):
                line(name, labels.text, "\(counter.value)", to: &text)
            case .gauge(let gauge):
                line(name, labels.text, Self.number(gauge.value), to: &text)
            case .computed(let read):
                line(name, labels.text, Self.number(read()), to: &text)
            case .histogram(let histogram):
                write(histogram, labels: labels.text, to: &text)
            }
        }
    }

    private func write(_ histogram: Histogram, labels: String, to text: inout String) {
        let snapshot = histogram.snapshot()
        let total = snapshot.cumulative.last ?? 0
        if hidesUnused, total == 0 { return }
        let prefix = labels.isEmpty ? "" : "\(labels),"
        for (bound, count) in zip(histogram.buckets.bounds, snapshot.cumulative) {
            line("\(name)_bucket", "\(prefix)le=\"\(Self.number(bound))\"", "\(count)", to: &text)
        }
        line("\(name)_bucket", "\(prefix)le=\"+Inf\"", "\(total)", to: &text)
        line("\(name)_sum", labels, Self.number(snapshot.sum), to: &text)
        line("\(name)_count", labels, "\(total)", to: &text)
    }

    private func line(_ name: String, _ labels: String, _ value: String, to text: inout String) {
        text += name
        if !labels.isEmpty {
            text += "{"
            text += labels
            text += "}"
        }
        text += " "
        text += value
        text += "\n"
    }

    /// A number as Prometheus reads it, whole numbers without a point.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }
}

/// Gathers families while ``Metrics`` is built.
struct MetricRegistry {
    private(set) var families: [MetricFamily] = []

    /// Adds a family with its series.
    mutating func add(_ family: MetricFamily) {
        precondition(!families.contains { $0.name == family.name }, "metric \(family.name) twice")
        families.append(family)
    }

    mutating func counter(_ name: String, _ help: String) -> Counter {
        let counter = Counter()
        add(
            MetricFamily(
                name: name, help: help, kind: .counter, series: [(.none, .counter(counter))]))
        return counter
    }

    mutating func gauge(_ name: String, _ help: String) -> Gauge {
        let gauge = Gauge()
        add(MetricFamily(name: name, help: help, kind: .gauge, series: [(.none, .gauge(gauge))]))
        return gauge
    }

    mutating func histogram(
        _ name: String, _ help: String, _ buckets: HistogramBuckets, unit: Histogram.Unit = .seconds
    ) -> Histogram {
        let histogram = Histogram(buckets, unit: unit)
        add(
            MetricFamily(
                name: name, help: help, kind: .histogram, series: [(.none, .histogram(histogram))]))
        return histogram
    }

    /// Adds a family whose series appear with their first use.
    mutating func add(_ name: String, _ help: String, _ counters: LabelledCounter) {
        var family = MetricFamily(name: name, help: help, kind: .counter, series: [])
        family.dynamic = { counters.series }
        add(family)
    }

    /// A gauge that is always 1 and tells something by its label.
    mutating func info(_ name: String, _ help: String, label: String, value: String) {
        let labels = MetricLabels([(label, value)])
        add(
            MetricFamily(name: name, help: help, kind: .gauge, series: [(labels, .computed { 1 })]))
    }
}
