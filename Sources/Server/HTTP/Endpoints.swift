// Endpoints.swift: the plain HTTP side of the client port: health, version, metrics.
// Belongs here: paths, checks, texts. Never here: sockets (Transport).
// Source: etcd's HTTP endpoints: /health, /livez, /readyz, /version, /metrics, with their query parameters.

internal import Storage
internal import Transport

/// Which paths a listener answers.
enum EndpointSet: Sendable {
    /// All of them, with CORS headers and the Host check.
    case client
    /// Those for probes and scrapers.
    case metrics
}

/// Answers HTTP requests on one event loop.
final class Endpoints {
    private let set: EndpointSet
    private let front: Front
    /// JSON over HTTP; nil where it is not served.
    let gateway: Gateway?
    private let metrics: Metrics
    private let corsOrigins: [String]
    private let hostWhitelist: [String]

    init(
        set: EndpointSet, front: Front, gateway: Gateway?, metrics: Metrics,
        corsOrigins: [String], hostWhitelist: [String]
    ) {
        self.set = set
        self.front = front
        self.gateway = gateway
        self.metrics = metrics
        self.corsOrigins = corsOrigins
        self.hostWhitelist = hostWhitelist
    }

    /// Hands a request to the gateway if it is one for it.
    func open(_ request: HTTPRequest, _ stream: HTTPStream) -> Bool {
        guard let gateway, GatewayRoutes.owns(request.path), isHostAllowed(request),
            request.method != "OPTIONS"
        else { return false }
        gateway.open(request, stream, headers: corsHeaders(request))
        return true
    }

    /// Whether a request may become a WebSocket: on the gateway's paths (services.tsv).
    ///
    /// A page of another origin may open one without asking, so the origin is checked here.
    func accepts(webSocket request: HTTPRequest) -> Bool {
        guard gateway != nil, GatewayRoutes.owns(request.path), isHostAllowed(request) else {
            return false
        }
        guard let origin = request.header("origin") else { return true }
        return corsOrigins.contains("*") || corsOrigins.contains(origin)
    }

    /// Answers a request, perhaps in a later turn.
    func handle(_ request: HTTPRequest, respond: @escaping (HTTPResponse) -> Void) {
        guard set == .client else { return route(request, respond) }
        guard isHostAllowed(request) else {
            return respond(Endpoints.text(421, "Misdirected Request\n"))
        }
        let headers = corsHeaders(request)
        guard request.method != "OPTIONS" else {
            return respond(HTTPResponse(status: 200, headers: headers))
        }
        route(request) { response in
            var response = response
            response.headers += headers
            respond(response)
        }
    }

    private func route(_ request: HTTPRequest, _ respond: @escaping (HTTPResponse) -> Void) {
        let path = request.path
        if path == "/health" { return health(request, respond) }
        if path == "/metrics" {
            return KeyCount(front: front, metrics: metrics.mvcc).refresh { [metrics] in
                let type = ("content-type", Metrics.contentType)
                respond(HTTPResponse(status: 200, headers: [type], body: metrics.exposition()))
            }
        }
        if path == "/version", set == .client {
            return getOnly(request, respond) { respond(Endpoints.version) }
        }
        if path == "/debug/vars", set == .client {
            return getOnly(request, respond) { respond(variables) }
        }
        for probe in Probe.allCases where path == probe.path || path.hasPrefix(probe.path + "/") {
            return run(probe, request, respond)
        }
        respond(Endpoints.text(404, "404 page not found\n"))
    }

    private func getOnly(
        _ request: HTTPRequest, _ respond: (HTTPResponse) -> Void, _ body: () -> Void
    ) {
        guard request.method == "GET" else {
            var response = Endpoints.text(405, "Method Not Allowed\n")
            response.headers.append(("allow", "GET"))
            return respond(response)
        }
        body()
    }

    // MARK: /health

    private func health(_ request: HTTPRequest, _ respond: @escaping (HTTPResponse) -> Void) {
        getOnly(request, respond) {
            let excluded = request.query.filter { $0.0 == "exclude" }.map { $0.1 }
            let isLocal = request.query.contains { $0.0 == "serializable" && $0.1 == "true" }
            checkHealth(excluded: excluded, isLocal: isLocal) { reason in
                (reason == nil
                    ? self.metrics.server.healthSuccesses
                    : self.metrics.server.healthFailures).increment()
                respond(Endpoints.healthAnswer(reason))
            }
        }
    }

    private static func healthAnswer(_ reason: String?) -> HTTPResponse {
        let type = ("content-type", "text/plain; charset=utf-8")
        guard let reason else {
            return HTTPResponse(
                status: 200, headers: [type], body: Array(#"{"health":"true","reason":""}"#.utf8))
        }
        let text = #"{"health":"false","reason":\#(JSONText.quoted(reason))}"# + "\n"
        return HTTPResponse(status: 503, headers: [type], body: Array(text.utf8))
    }

    // In etcd's order: alarms, leader, one read.
    private func checkHealth(
        excluded: [String], isLocal: Bool, _ report: @escaping (String?) -> Void
    ) {
        let kinds = front.context.status.alarmKinds
        for (kind, name) in [(AlarmType.noSpace, "NOSPACE"), (AlarmType.corrupt, "CORRUPT")]
        where kinds & 1 << UInt8(kind.rawValue) != 0 && !excluded.contains(name) {
            return report("ALARM \(name)")
        }
        if !isLocal, front.context.status.leader == 0 { return report("RAFT NO LEADER") }
        front.probeRead(linearizable: !isLocal) { error in
            report(error.map { "RANGE ERROR:\($0)" })
        }
    }

    // MARK: /livez, /readyz

    private enum Probe: CaseIterable {
        case live, ready

        var path: String { self == .live ? "/livez" : "/readyz" }

        var checks: [String] {
            self == .live
                ? ["serializable_read"]
                : ["data_corruption", "serializable_read", "linearizable_read", "non_learner"]
        }
    }

    private func run(
        _ probe: Probe, _ request: HTTPRequest, _ respond: @escaping (HTTPResponse) -> Void
    ) {
        getOnly(request, respond) {
            var checks = probe.checks
            if request.path != probe.path {
                let name = String(request.path.dropFirst(probe.path.count + 1))
                guard checks.contains(name) else {
                    return respond(Endpoints.text(404, "404 page not found\n"))
                }
                checks = [name]
            }
            let excluded = request.query.filter { $0.0 == "exclude" }.map { $0.1 }
            checks.removeAll { excluded.contains($0) }
            let isVerbose = request.query.contains { $0.0 == "verbose" }
            runChecks(checks[...], results: []) { [metrics] results in
                for result in results {
                    metrics.server.healthChecks.counter([
                        result.name, result.error == nil ? "success" : "error",
                        String(probe.path.dropFirst()),
                    ]).increment()
                }
                respond(Endpoints.probeAnswer(results, isVerbose: isVerbose))
            }
        }
    }

    private typealias CheckResult = (name: String, error: String?)

    private func runChecks(
        _ left: ArraySlice<String>, results: [CheckResult],
        _ report: @escaping ([CheckResult]) -> Void
    ) {
        guard let name = left.first else { return report(results) }
        run(check: name) { error in
            self.runChecks(left.dropFirst(), results: results + [(name, error)], report)
        }
    }

    private func run(check name: String, _ report: @escaping (String?) -> Void) {
        switch name {
        case "data_corruption":
            let isCorrupt =
                front.context.status.alarmKinds & 1 << UInt8(AlarmType.corrupt.rawValue) != 0
            // The others go on: a balancer takes this member out until it is repaired.
            let isDamaged = front.context.status.isDamaged
            report(
                isCorrupt
                    ? "alarm activated: CORRUPT"
                    : isDamaged ? "the database is damaged: it is being repaired" : nil)
        case "linearizable_read": front.probeRead(linearizable: true, report)
        case "serializable_read": front.probeRead(linearizable: false, report)
        case "non_learner":
            report(front.context.status.isLearner ? "not supported for learner" : nil)
        default: report(nil)
        }
    }

    private static func probeAnswer(_ results: [CheckResult], isVerbose: Bool) -> HTTPResponse {
        var body = ""
        var isFailed = false
        for result in results {
            if let error = result.error {
                isFailed = true
                body += "[-]\(result.name) failed: \(error)\n"
            } else if isVerbose {
                body += "[+]\(result.name) ok\n"
            }
        }
        if isFailed {
            // A failure always shows the whole list.
            let passed = results.filter { $0.error == nil && !isVerbose }
            body += passed.map { "[+]\($0.name) ok\n" }.joined()
            return text(503, body + "\n")
        }
        return text(200, body + "ok\n")
    }

    // MARK: pieces

    /// What Go programs publish under this path, as far as it has a meaning here.
    private var variables: HTTPResponse {
        let status = front.context.status
        let process = ProcessStatistics.read()
        let arguments = CommandLine.arguments.map(JSONText.quoted).joined(separator: ",")
        let isLeading = status.leader == front.context.identity.memberID
        let role = isLeading ? "StateLeader" : "StateFollower"
        let text = """
            {"cmdline":[\(arguments)],\
            "file_descriptor_limit":\(UInt64(process.maxFiles)),\
            "memstats":{"Sys":\(UInt64(process.residentBytes))},\
            "raft.status":{"id":"\(String(front.context.identity.memberID, radix: 16))",\
            "term":\(status.term),"lead":"\(String(status.leader, radix: 16))",\
            "commit":\(status.committed),"applied":\(status.applied),"raftState":"\(role)"}}

            """
        return HTTPResponse(
            status: 200, headers: [("content-type", "application/json; charset=utf-8")],
            body: Array(text.utf8))
    }

    private static var version: HTTPResponse {
        let text = """
            {"etcdserver":"\(Product.etcdVersion)","etcdcluster":"\(Product.clusterVersion)",\
            "storage":"\(Product.storageVersion)"}
            """
        return HTTPResponse(
            status: 200, headers: [("content-type", "application/json")], body: Array(text.utf8))
    }

    private static func text(_ status: Int, _ body: String) -> HTTPResponse {
        HTTPResponse(
            status: status,
            headers: [
                ("content-type", "text/plain; charset=utf-8"),
                ("x-content-type-options", "nosniff"),
            ], body: Array(body.utf8))
    }

    private func corsHeaders(_ request: HTTPRequest) -> [(String, String)] {
        let origin: String
        if corsOrigins.contains("*") {
            origin = "*"
        } else if let asked = request.header("origin"), corsOrigins.contains(asked) {
            origin = asked
        } else {
            return []
        }
        return [
            ("access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE"),
            ("access-control-allow-origin", origin),
            ("access-control-allow-headers", "accept, content-type, authorization"),
        ]
    }

    // A page in a browser must not reach a server on its user's own network by another name.
    private func isHostAllowed(_ request: HTTPRequest) -> Bool {
        guard !request.peer.isTLS, !hostWhitelist.contains("*") else { return true }
        let host = request.header("host") ?? ""
        let name = host.hasPrefix("[") ? host : String(host.split(separator: ":").first ?? "")
        return hostWhitelist.contains(name)
    }
}

extension Front {
    /// Reads one key that need not exist, as a sign of life; reports the error's text.
    func probeRead(linearizable: Bool, _ report: @escaping (String?) -> Void) {
        let call = ProbeCall(report)
        do throws(CallFailure) {
            if linearizable {
                try whenLinearizable(call) { () throws(CallFailure) in try self.probe(call) }
            } else {
                try probe(call)
            }
        } catch {
            call.finish(error.status)
        }
    }

    private func probe(_ call: ProbeCall) throws(CallFailure) {
        _ = try reading { (reader, _) throws(StorageError) in
            try Bytes("health").withUnsafeBytes { (key) throws(StorageError) in
                try reader.record(of: key)
            }
        }
        call.finish(.ok)
    }
}

/// A call that only wants to know whether it would have been answered.
private final class ProbeCall: ServiceCall {
    private let report: (String?) -> Void
    private(set) var isOpen = true
    let bufferedBytes = 0

    init(_ report: @escaping (String?) -> Void) {
        self.report = report
    }

    func finish(_ status: RPCStatus) {
        guard isOpen else { return }
        isOpen = false
        report(status.code == .ok ? nil : status.message)
    }

    var credentials: Credentials { Credentials() }
    var held: AnyObject? {
        get { nil }
        set {}
    }
    func send(_ message: consuming [UInt8]) {}
    func beginMessage(length: Int) {}
    func sendPart(_ bytes: consuming [UInt8]) {}
    func pauseReceiving() {}
    func resumeReceiving() {}
}
