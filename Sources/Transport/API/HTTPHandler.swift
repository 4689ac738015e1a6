// HTTPHandler.swift: plain HTTP requests and answers, the same for HTTP/1.1 and for HTTP/2 without
// gRPC. Belongs here: plain values and the callbacks. Never here: routes and bodies (Server).

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
///
/// A request is first offered to `open`, for an answer in parts; only if that declines, `handle`
/// gets it. Order of calls for one `HTTPStream`: `open`, then `received` (WebSocket only) and
/// `drained` any number of times, then `closed`, unless the handler ended the stream before.
public protocol HTTPHandler: AnyObject {
    /// Handles one request; `respond` is called exactly once, later if need be, and from any
    /// thread.
    func handle(_ request: HTTPRequest, respond: @escaping @Sendable (HTTPResponse) -> Void)
    /// Takes a request whose answer goes through `stream`; false leaves it to `handle`.
    func open(_ request: HTTPRequest, _ stream: HTTPStream) -> Bool
    /// Whether a request may become a WebSocket connection, which `open` then gets.
    func accepts(webSocket request: HTTPRequest) -> Bool
    /// One complete message came over a WebSocket.
    func received(_ stream: HTTPStream, _ message: [UInt8])
    /// The client of a WebSocket will send no more; it may still be answered.
    func halfClosed(_ stream: HTTPStream)
    /// `bufferedBytes` fell below the low-water mark after having been above the high-water mark.
    func drained(_ stream: HTTPStream)
    /// The client is gone.
    func closed(_ stream: HTTPStream)
}

extension HTTPHandler {
    /// Declines: not every handler answers in parts.
    public func open(_ request: HTTPRequest, _ stream: HTTPStream) -> Bool { false }
    /// Declines.
    public func accepts(webSocket request: HTTPRequest) -> Bool { false }
    /// Does nothing: no WebSocket was accepted.
    public func received(_ stream: HTTPStream, _ message: [UInt8]) {}
    /// Does nothing: no WebSocket was accepted.
    public func halfClosed(_ stream: HTTPStream) {}
    /// Does nothing: no stream was taken.
    public func drained(_ stream: HTTPStream) {}
    /// Does nothing: no stream was taken.
    public func closed(_ stream: HTTPStream) {}
}
