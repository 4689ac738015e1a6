// RPCCall.swift: one gRPC call, which is one HTTP/2 stream.
// Belongs here: what the server may ask of a call, and the call's own state. Never here: frames
// (HTTP2/). One object per call and one array per message: this is the hot path.

import NIOCore

/// One gRPC call.
///
/// It is confined to its connection's event loop: every method traps elsewhere. Sending on a call
/// that was cancelled does nothing; sending after `finish` is a programmer's mistake and traps.
public final class RPCCall: @unchecked Sendable {
    // Guarded by the connection's event loop, which every entry point checks.

    enum Phase: UInt8 {
        /// The client may send and the server has not finished.
        case open
        /// The final status is decided; output may still wait.
        case finished
        /// The stream is gone.
        case closed
    }

    /// The method's place in the table the server registered; -1 before it is known.
    public internal(set) var methodIndex = -1
    /// The metadata the services read.
    public internal(set) var metadata = CallMetadata()
    /// When the client gives up, in nanoseconds of the event loop's monotonic clock.
    public internal(set) var deadline: UInt64?
    /// The handler's own state of this call; let go when the stream is gone.
    public var context: AnyObject?
    /// The last message that a handler wants to remember until the call ends.
    public var lastMessage: [UInt8] = []
    /// The user that the server found to make the call; nil before that, or where there are no users.
    public var user: String?
    /// When the call's first bytes came, in nanoseconds of the event loop's monotonic clock.
    public let began: Int64
    /// Bytes of messages that came from the client.
    public internal(set) var receivedBytes = 0
    /// Bytes of messages queued for the client.
    public internal(set) var sentBytes = 0

    let connection: HTTP2Connection
    let streamID: Int32
    /// Where the connection keeps this call.
    var slot = 0
    var phase = Phase.open
    var kind = RPCKind.unary
    /// Whether the handler knows of the call.
    var isStarted = false
    /// Whether the client closed its side.
    var isRemoteClosed = false
    /// Whether the response headers were submitted.
    var hasResponded = false
    /// Whether HTTP/2 waits for `resume` before it asks for more bytes.
    var isDeferred = false
    var isPaused = false
    var isAboveHighWater = false
    /// Whether Transport ended the call: what the handler still says is ignored.
    var isAbandoned = false
    /// Bytes of the message begun by `beginMessage` that were not sent yet.
    var partBytesLeft = 0
    var unconsumedBytes = 0
    var partialBytes = 0
    // Unchecked as in HTTP2Connection.swift.
    @exclusivity(unchecked) var reader = MessageReader()
    var request: [UInt8]?
    @exclusivity(unchecked) var output = SendQueue()
    var status: RPCStatus?
    /// Set when this is a plain HTTP request.
    var http: HTTPExchange?

    init(connection: HTTP2Connection, streamID: Int32) {
        self.connection = connection
        self.streamID = streamID
        began = connection.lastReadNanoseconds
    }

    /// How the call ended; nil before its end is decided.
    public var finalStatus: RPCStatus? { status }

    /// Who makes the call.
    public var peer: PeerInfo { connection.peer }

    /// The place of the call's event loop in its group.
    public var loopIndex: Int { connection.loop.index }

    /// Whether the call can still be answered.
    public var isOpen: Bool { phase == .open }

    /// Bytes accepted by `send` that HTTP/2 has not taken yet.
    public var bufferedBytes: Int { output.byteCount }

    /// Queues one message.
    public func send(_ message: consuming [UInt8]) {
        guard mayBeSent() else { return }
        precondition(partBytesLeft == 0, "\(partBytesLeft) bytes of the last message are missing")
        let length = message.count
        connection.queue(self, message, prefix: length)
    }

    /// Begins one message of `length` bytes, which follow by `sendPart`.
    public func beginMessage(length: Int) {
        guard mayBeSent() else { return }
        precondition(partBytesLeft == 0, "\(partBytesLeft) bytes of the last message are missing")
        partBytesLeft = length
        connection.queue(self, [], prefix: length)
    }

    /// Queues the next bytes of the message begun by `beginMessage`.
    public func sendPart(_ bytes: consuming [UInt8]) {
        guard mayBeSent() else { return }
        precondition(
            bytes.count <= partBytesLeft, "\(bytes.count) bytes, but \(partBytesLeft) are left")
        partBytesLeft -= bytes.count
        if !bytes.isEmpty { connection.queue(self, bytes, prefix: nil) }
    }

    /// Ends the call after all queued messages.
    ///
    /// With a message begun in parts and not completed only a failure is possible, and the client sees a reset
    /// stream.
    public func finish(_ status: RPCStatus) {
        guard mayBeSent() else { return }
        precondition(partBytesLeft == 0 || status.code != .ok, "a message is incomplete")
        connection.finish(self, status)
    }

    /// Stops granting the client more of the stream's window.
    ///
    /// What the client may already send still arrives: at most one window.
    public func pauseReceiving() {
        connection.loop.eventLoop.preconditionInEventLoop()
        isPaused = true
    }

    /// Grants the client the stream's window again.
    public func resumeReceiving() {
        connection.loop.eventLoop.preconditionInEventLoop()
        guard isPaused else { return }
        isPaused = false
        connection.grantWindow(self)
    }

    @inline(__always)
    private func mayBeSent() -> Bool {
        connection.loop.eventLoop.preconditionInEventLoop()
        precondition(phase != .finished || isAbandoned, "the call was finished already")
        return phase == .open
    }
}
