// HTTPHandler.swift: plain HTTP requests and answers, the same for HTTP/1.1 and for HTTP/2 without
// gRPC. Belongs here: plain values and the callback. Never here: routes and bodies (Server).

/// One complete HTTP request.
public struct HTTPRequest: Sendable {
    /// The method in upper case, such as `GET`.
    public var method: String
    /// The path without the query, percent-encoded as it was sent.
    public var path: String
    /// The query's names and values, percent-decoded, in their order.
    public var query: [(String, String)]
    /// The headers in their order, names in lower case; HTTP/2's `:authority` is given as `host`.
    public var headers: [(String, String)]
    /// The whole body; its size is bounded by `ConnectionLimits.httpBodyBytesMax`.
    public var body: [UInt8]
    /// Who sent it.
    public var peer: PeerInfo

    /// The value of the first header with this lower-case name.
    public func header(_ name: String) -> String? {
        headers.first { $0.0 == name }?.1
    }
}

/// One complete HTTP answer; Transport adds `content-length`.
public struct HTTPResponse: Sendable {
    /// The status code.
    public var status: Int
    /// The headers, names in lower case.
    public var headers: [(String, String)]
    /// The body.
    public var body: [UInt8]

    /// Makes an answer.
    public init(status: Int, headers: [(String, String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Answers the HTTP requests of all connections of one event loop.
public protocol HTTPHandler: AnyObject {
    /// Handles one request; `respond` is called exactly once, later if need be, and from any
    /// thread.
    func handle(_ request: HTTPRequest, respond: @escaping @Sendable (HTTPResponse) -> Void)
}
