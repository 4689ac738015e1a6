// HTTPStream.swift: the answer to one HTTP request, given whole or in parts.
// Belongs here: what the server may do with it, and its state. Never here: bytes on the wire (HTTP1/,
// HTTP2/). A stream ends once: by `respond`, `end`, `abort`, or by the client.

/// The answer to one HTTP request, or one WebSocket connection.
///
/// It is confined to its connection's event loop. What is said after its end is ignored.
public final class HTTPStream: @unchecked Sendable {
    // Guarded by the connection's event loop, which every sink checks.

    /// Whether each `write` is a message of its own and messages come in.
    public let isWebSocket: Bool
    /// Whether it can still be answered.
    public private(set) var isOpen = true
    /// Whether `begin` was called.
    public private(set) var hasBegun = false
    /// The handler's own state of this stream.
    public var context: AnyObject?

    private var sink: (any HTTPStreamSink)?

    init(sink: any HTTPStreamSink, isWebSocket: Bool) {
        self.sink = sink
        self.isWebSocket = isWebSocket
    }

    /// Bytes accepted by `write` that the connection has not taken yet.
    public var bufferedBytes: Int { sink?.bufferedBytes ?? 0 }

    /// Answers at once and in whole.
    ///
    /// A WebSocket client gets the body as one message, and the end.
    public func respond(_ response: HTTPResponse) {
        guard isOpen else { return }
        precondition(!hasBegun || isWebSocket, "the answer has begun already")
        leave()?.respond(response)
    }

    /// Begins an answer in parts: status and headers.
    public func begin(status: Int, headers: [(String, String)]) {
        guard isOpen else { return }
        precondition(!hasBegun, "the answer has begun already")
        hasBegun = true
        sink?.begin(HTTPResponse(status: status, headers: headers))
    }

    /// Queues the next part.
    public func write(_ bytes: [UInt8]) {
        guard isOpen, !bytes.isEmpty else { return }
        precondition(hasBegun || isWebSocket, "the answer has not begun")
        sink?.write(bytes)
    }

    /// Ends the answer after what is queued.
    public func end() {
        guard isOpen else { return }
        precondition(hasBegun || isWebSocket, "the answer has not begun")
        leave()?.end()
    }

    /// Breaks the answer off so that the client sees that it is not complete.
    public func abort() {
        leave()?.abort()
    }

    /// Reads no more from a WebSocket client until `resumeReceiving`.
    public func pauseReceiving() { sink?.setReading(false) }

    /// Reads from a WebSocket client again.
    public func resumeReceiving() { sink?.setReading(true) }

    /// Marks the stream as over; the sink, if it was open.
    @discardableResult
    func leave() -> (any HTTPStreamSink)? {
        isOpen = false
        defer { sink = nil }
        return sink
    }
}

/// Carries the answer of one request; called on the connection's event loop.
protocol HTTPStreamSink: AnyObject {
    var bufferedBytes: Int { get }
    func respond(_ response: HTTPResponse)
    func begin(_ response: HTTPResponse)
    func write(_ bytes: [UInt8])
    func end()
    func abort()
    func setReading(_ isOn: Bool)
}
