// CallObserver.swift: looks at the calls of one event loop: the audit log, slow requests, failed logins.
// Belongs here: what is said when. Never here: the lines (AuditRecord), the log itself (AuditLog).
// Source: etcd's --warning-unary-request-duration, whose line "request stats" scripts look for.

internal import Logging
internal import Transport

/// What all loops' observers have in common.
struct ObserverSettings: Sendable {
    var audit: AuditLog?
    /// Unary calls that take longer are logged; 0 for none.
    var slowNanoseconds: Int64 = 0
    var logger: Logger
    /// Logins with a wrong name or password.
    var failedLogins: Counter
}

/// Watches the calls of one event loop; confined to it.
final class CallObserver {
    private let settings: ObserverSettings
    private let userName: (any ServiceCall) -> String?
    private var rate = LineRate()
    private var loginRate = LineRate()

    /// - Parameter userName: who makes a call, as the server knows it now.
    init(
        _ settings: ObserverSettings, userName: @escaping (any ServiceCall) -> String?
    ) {
        self.settings = settings
        self.userName = userName
    }

    /// A message arrived; for unary methods it is kept until the call ends.
    func received(_ call: any ClientCall, _ method: Method, _ message: [UInt8]) {
        // Now, for the call may change who has which token.
        if settings.audit != nil, call.user == nil { call.user = userName(call) }
        guard method == .watch else {
            if method.kind != .bidi || settings.audit != nil { call.lastMessage = message }
            return
        }
        guard let audit = settings.audit, WatchRequest.creates(message) else { return }
        var record = record(of: call, method)
        record.event = "watch"
        record.subject = AuditSubject.fields(of: method, message)
        record.requestBytes = message.count
        audit.write(record.line(at: .now()))
    }

    /// The call's end is decided.
    func finished(_ call: any ClientCall, _ method: Method, _ code: GRPCCode, now: Int64) {
        let nanoseconds = max(0, now - call.began)
        if let audit = settings.audit, method != .healthCheck, method != .healthList {
            var record = record(of: call, method)
            record.subject = AuditSubject.fields(of: method, call.lastMessage)
            record.requestBytes = call.receivedBytes
            record.responseBytes = call.sentBytes
            record.microseconds = nanoseconds / 1000
            record.code = code
            record.error = call.finalStatus?.message ?? ""
            audit.write(record.line(at: .now()))
        }
        if method.kind == .unary, settings.slowNanoseconds > 0,
            nanoseconds > settings.slowNanoseconds
        {
            reportSlow(call, method, code, nanoseconds, now: now)
        }
        if method == .authenticate, call.finalStatus?.tellsOfFailedLogin == true {
            reportFailedLogin(call, now: now)
        }
        call.lastMessage = []
    }

    /// Guesses at passwords must be seen where no audit log is kept.
    private func reportFailedLogin(_ call: any ClientCall, now: Int64) {
        settings.failedLogins.increment()
        guard let suppressed = loginRate.admit(at: now) else { return }
        let subject = AuditSubject.fields(of: .authenticate, call.lastMessage)
        let shown = String(decoding: subject.prefix(Self.nameBytesMax), as: UTF8.self)
        var metadata: Logger.Metadata = [
            "remote": "\(call.remoteAddress)", "login": "{\(shown)}",
            "error": "\(call.finalStatus?.message ?? "")",
        ]
        if suppressed > 0 { metadata["lines left out"] = "\(suppressed)" }
        settings.logger.warning("a login failed", metadata: metadata)
    }

    // Of a client's choice, so one line shows only so much of it.
    private static let nameBytesMax = 256

    private func record(of call: any ClientCall, _ method: Method) -> AuditRecord {
        AuditRecord(
            rpc: method.path, remote: call.remoteAddress, user: call.user ?? userName(call),
            certificate: call.certificateCommonName)
    }

    private func reportSlow(
        _ call: any ClientCall, _ method: Method, _ code: GRPCCode, _ nanoseconds: Int64, now: Int64
    ) {
        guard let suppressed = rate.admit(at: now) else { return }
        let subject = AuditSubject.fields(of: method, call.lastMessage)
        var metadata: Logger.Metadata = [
            "time spent": "\(DurationText.text(nanoseconds))", "remote": "\(call.remoteAddress)",
            "response type": "\(method.path)", "request size": "\(call.receivedBytes)",
            "response size": "\(call.sentBytes)", "code": "\(code.goName)",
            "request content": "{\(String(decoding: subject, as: UTF8.self))}",
        ]
        if suppressed > 0 { metadata["lines left out"] = "\(suppressed)" }
        settings.logger.warning("request stats", metadata: metadata)
    }
}

extension RPCStatus {
    /// Whether it says that name and password don't fit, or that the user has none.
    fileprivate var tellsOfFailedLogin: Bool {
        self == EtcdError.authenticationFailed.status || self == EtcdError.noPasswordUser.status
    }
}

extension WatchRequest {
    /// Whether a message asks for a watch: its member `create_request` is field 1.
    fileprivate static func creates(_ message: [UInt8]) -> Bool { message.first == 0x0a }
}

/// How many lines of a kind may be logged: under a storm the log must not become the load.
struct LineRate {
    private static let linesPerSecond = 10
    private var second: Int64 = .min
    private var count = 0
    private var suppressed = 0

    /// Nil if there were too many in this second; else how many were left out before.
    mutating func admit(at nanoseconds: Int64) -> Int? {
        let current = nanoseconds / 1_000_000_000
        if current != second { (second, count) = (current, 0) }
        guard count < Self.linesPerSecond else {
            suppressed += 1
            return nil
        }
        count += 1
        defer { suppressed = 0 }
        return suppressed
    }
}

/// Durations as etcd's log writes them.
enum DurationText {
    /// "1.234567s", "345.678ms" or "12.345µs".
    static func text(_ nanoseconds: Int64) -> String {
        switch nanoseconds {
        case 1_000_000_000...: decimal(nanoseconds / 1000, per: 1_000_000, digits: 6) + "s"
        case 1_000_000...: decimal(nanoseconds / 1000, per: 1000, digits: 3) + "ms"
        default: decimal(nanoseconds, per: 1000, digits: 3) + "µs"
        }
    }

    private static func decimal(_ value: Int64, per unit: Int64, digits: Int) -> String {
        let fraction = "\(value % unit)"
        return "\(value / unit)." + String(repeating: "0", count: digits - fraction.count)
            + fraction
    }
}
