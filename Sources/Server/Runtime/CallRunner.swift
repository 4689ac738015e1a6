// CallRunner.swift: the one way into the services, whoever carries a call: gRPC or the JSON gateway.
// Belongs here: what is counted of every call, what every call is checked for. Never here: carriers
// (LoopRuntime.swift, Gateway/), services (API/).

internal import Transport

/// A call of a client, whose time is measured and which the audit log tells of.
protocol ClientCall: ServiceCall {
    /// When it began, in nanoseconds of the monotonic clock.
    var began: Int64 { get }
    /// Where the client is.
    var remoteAddress: String { get }
    /// The common name of the client's certificate, if it showed one.
    var certificateCommonName: String? { get }
    /// The user who made it, once somebody asked.
    var user: String? { get set }
    /// The last message that is remembered until the call ends.
    var lastMessage: [UInt8] { get set }
    /// Bytes of messages that came from the client, in their wire form.
    var receivedBytes: Int { get }
    /// Bytes of messages for the client, in their wire form.
    var sentBytes: Int { get }
    /// How the call ended; nil before its end is decided.
    var finalStatus: RPCStatus? { get }
}

extension RPCCall: ClientCall {
    var remoteAddress: String { peer.address }
    var certificateCommonName: String? { peer.certificateCommonName }
}

/// Runs the calls of one event loop.
final class CallRunner {
    private let front: Front
    private let metrics: Metrics
    private let observer: CallObserver
    /// Of the last call whose client told its release: mostly they are all the same.
    private var lastVersion: (name: String, unary: Counter, stream: Counter)

    init(front: Front, metrics: Metrics, observer: CallObserver) {
        self.front = front
        self.metrics = metrics
        self.observer = observer
        lastVersion = Self.counters(of: "unknown", metrics)
    }

    private static func counters(
        of version: String, _ metrics: Metrics
    ) -> (name: String, unary: Counter, stream: Counter) {
        let all = metrics.server.clientRequests
        return (version, all.counter([version, "unary"]), all.counter([version, "stream"]))
    }

    /// A call arrived.
    func start(_ call: any ClientCall, _ method: Method, metadata: CallMetadata) {
        metrics.methods[method.rawValue].started.increment()
        let version = metadata.clientAPIVersion ?? "unknown"
        if version != lastVersion.name { lastVersion = Self.counters(of: version, metrics) }
        (method.kind == .unary ? lastVersion.unary : lastVersion.stream).increment()
        guard !metadata.hasMalformedClientAPIVersion else {
            return call.finish(EtcdError.invalidClientAPIVersion.status)
        }
        front.start(call, method, needsLeader: metadata.hasLeader)
    }

    /// A message arrived.
    func receive(_ call: any ClientCall, _ method: Method, _ message: [UInt8]) {
        count(method, message)
        observer.received(call, method, message)
        front.receive(call, method, message)
    }

    private func count(_ method: Method, _ message: [UInt8]) {
        if method.kind != .unary { metrics.methods[method.rawValue].streamReceived.increment() }
        switch method {
        case .put:
            metrics.mvcc.puts.increment()
            metrics.mvcc.totalPutBytes.add(Int64(message.count))
        case .leaseGrant: countTimeToLive(message)
        case .range: metrics.mvcc.ranges.increment()
        case .deleteRange: metrics.mvcc.deletes.increment()
        case .txn: metrics.mvcc.txns.increment()
        case .leaseKeepAlive: metrics.lease.renewed.increment()
        default: break
        }
    }

    private func countTimeToLive(_ message: [UInt8]) {
        do throws(WireError) {
            let request = try LeaseGrantRequest(decoding: message)
            metrics.lease.ttlSeconds.observe(UInt64(max(0, request.ttl)))
        } catch {
            // What can't be read has no time to live; the service answers it.
        }
    }

    /// Where the time of a method's calls goes, besides its own histogram.
    private func histogram(of method: Method) -> Histogram? {
        switch method {
        case .snapshot: metrics.disk.snapshotSeconds
        case .defragment: metrics.disk.defragSeconds
        case .hash: metrics.mvcc.hashSeconds
        case .hashKV: metrics.mvcc.hashRevSeconds
        default: metrics.methods[method.rawValue].handlingSeconds
        }
    }

    /// The client will send no more.
    func halfClosed(_ method: Method, holder: AnyObject?) {
        front.halfClose(method, holder: holder)
    }

    /// The call is gone.
    func cancelled(holder: AnyObject?) {
        front.cancel(holder: holder)
    }

    /// The client has taken most of what was sent.
    func drained(holder: AnyObject?) {
        front.drained(holder: holder)
    }

    /// A message of a stream was queued for the client.
    func sent(_ method: Method) {
        metrics.methods[method.rawValue].streamSent.increment()
    }

    /// The call ended.
    func finished(_ call: any ClientCall, _ method: Method, _ code: GRPCCode) {
        let counts = metrics.methods[method.rawValue]
        counts.finished(code: Int(code.rawValue))
        let now = Int64(MonotonicClock.nanoseconds)
        let taken = UInt64(max(0, now - call.began))
        counts.handlingSeconds?.observe(nanoseconds: taken)
        let other = histogram(of: method)
        if code == .ok, other !== counts.handlingSeconds { other?.observe(nanoseconds: taken) }
        observer.finished(call, method, code, now: now)
        guard code == .ok else { return }
        switch method {
        case .leaseGrant: metrics.lease.granted.increment()
        case .leaseRevoke: metrics.lease.revoked.increment()
        case .memberPromote: metrics.server.learnerPromotions.increment()
        default: break
        }
    }
}
