// GatewayStatus.swift: a gRPC status as HTTP shows it.
// Belongs here: status numbers and bodies. Never here: when an error occurs (the services).
// Source: google.rpc.Code's HTTP mapping; the bodies of etcd 3.4 and 3.5 ("error" with the text,
// "grpc_code" in streams) and of 3.6 ("code", "message") in one: clients of either read them.

internal import Transport

enum GatewayStatus {
    /// The HTTP status of a code.
    static func http(_ code: GRPCCode) -> Int {
        switch code {
        case .ok: 200
        case .cancelled: 499
        case .invalidArgument, .failedPrecondition, .outOfRange: 400
        case .unauthenticated: 401
        case .permissionDenied: 403
        case .notFound: 404
        case .alreadyExists, .aborted: 409
        case .resourceExhausted: 429
        case .unimplemented: 501
        case .unavailable: 503
        case .deadlineExceeded: 504
        case .unknown, .internal, .dataLoss: 500
        }
    }

    /// The body of a call that failed.
    static func body(_ status: RPCStatus) -> [UInt8] {
        let text = JSONText.quoted(status.message)
        return Array(#"{"error":\#(text),"code":\#(status.code.rawValue),"message":\#(text)}"#.utf8)
    }

    /// The last line of a stream that failed.
    static func line(_ status: RPCStatus) -> [UInt8] {
        let text = JSONText.quoted(status.message)
        let code = status.code.rawValue
        return Array(
            """
            {"error":{"grpc_code":\(code),"http_code":\(http(status.code)),"code":\(code),\
            "message":\(text)}}

            """.utf8)
    }
}
