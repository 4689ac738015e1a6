// GRPCMethodMetrics.swift: the grpc_server_* metrics, one set of counters per method. Belongs here:
// method labels, status codes as labels. Never here: when a call starts or ends (Runtime/). All
// series exist with 0 from the start, so that rates over them are right from the first call on.

import Synchronization

/// A method as the labels of its metrics name it.
struct MetricMethod: Sendable, Hashable {
    /// The label grpc_type.
    enum Kind: String, Sendable {
        case unary
        case serverStream = "server_stream"
        case bidiStream = "bidi_stream"
    }

    /// The full service name.
    let service: String
    /// The bare method name.
    let method: String
    let kind: Kind

    /// A method by its path, "/service/method".
    init(path: String, kind: Kind) {
        let (service, method) = String(path.drop { $0 == "/" }).splitOnce(at: "/")
        self.service = service
        self.method = method ?? ""
        self.kind = kind
    }

    /// The path in a request.
    var path: String { "/\(service)/\(method)" }
}

/// The names that label grpc_code takes, in the order of the codes' numbers.
enum MetricCode {
    static let names = [
        "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound",
        "AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted",
        "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
    ]
}

/// What is counted for one method; all calls from any thread.
///
/// A unary call costs two increments, `started` and ``finished(code:)``: its messages follow from
/// them, one received per call and one sent per success. Streams count their messages one by one.
final class GRPCMethodMetrics: Sendable {
    let method: MetricMethod
    let started = Counter()
    let streamReceived = Counter()
    let streamSent = Counter()
    /// The time from start to end; nil unless `--metrics=extensive`.
    let handlingSeconds: Histogram?
    private let handled = InlineArray<17, Atomic<UInt64>> { _ in Atomic(0) }

    init(_ method: MetricMethod, measuresTime: Bool) {
        self.method = method
        handlingSeconds = measuresTime ? Histogram(Self.handlingBuckets, unit: .seconds) : nil
    }

    private static let handlingBuckets = HistogramBuckets([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ])

    /// Counts the end of a call by its status code; numbers that are no code count as Unknown.
    func finished(code: Int) {
        let place = MetricCode.names.indices.contains(code) ? code : 2
        handled[place].add(1, ordering: .relaxed)
    }

    /// How many calls ended with a code.
    func finishedCount(code: Int) -> UInt64 { handled[code].load(ordering: .relaxed) }

    /// How many messages clients sent.
    var receivedCount: UInt64 { method.kind == .unary ? started.value : streamReceived.value }

    /// How many messages were sent to clients.
    var sentCount: UInt64 { method.kind == .unary ? finishedCount(code: 0) : streamSent.value }
}

extension MetricRegistry {
    /// Adds the families of all methods and returns their counters in the order given.
    mutating func grpcServer(
        _ methods: [MetricMethod], measuresTime: Bool
    ) -> [GRPCMethodMetrics] {
        let all = methods.map { GRPCMethodMetrics($0, measuresTime: measuresTime) }
        addCounts("grpc_server_started_total", "Calls that began.", all) { $0.started.value }
        addCounts("grpc_server_msg_received_total", "Messages that clients sent.", all) {
            $0.receivedCount
        }
        addCounts("grpc_server_msg_sent_total", "Messages sent to clients.", all) { $0.sentCount }
        var handled: [(labels: MetricLabels, source: MetricFamily.Source)] = []
        for metrics in all {
            for (code, name) in MetricCode.names.enumerated() {
                let labels = MetricLabels([("grpc_code", name)] + metrics.labelPairs)
                handled.append((labels, .computed { Double(metrics.finishedCount(code: code)) }))
            }
        }
        add(
            MetricFamily(
                name: "grpc_server_handled_total", help: "Calls that ended, by status code.",
                kind: .counter, series: handled))
        guard measuresTime else { return all }
        let times = all.compactMap { metrics in
            metrics.handlingSeconds.map {
                (MetricLabels(metrics.labelPairs), MetricFamily.Source.histogram($0))
            }
        }
        add(
            MetricFamily(
                name: "grpc_server_handling_seconds", help: "Time from a call's begin to its end.",
                kind: .histogram, series: times))
        return all
    }

    private mutating func addCounts(
        _ name: String, _ help: String, _ methods: [GRPCMethodMetrics],
        _ count: @escaping @Sendable (GRPCMethodMetrics) -> UInt64
    ) {
        let series = methods.map { method in
            (
                MetricLabels(method.labelPairs),
                MetricFamily.Source.computed { Double(count(method)) }
            )
        }
        add(MetricFamily(name: name, help: help, kind: .counter, series: series))
    }
}

extension GRPCMethodMetrics {
    fileprivate var labelPairs: [(name: String, value: String)] {
        [
            ("grpc_method", method.method), ("grpc_service", method.service),
            ("grpc_type", method.kind.rawValue),
        ]
    }
}
