// Limits.swift: every bound of a connection, with its reason.
// Belongs here: numbers. Never here: the code that enforces them.
// Source: etcd semantics G12, G13; the rest is chosen so that one client costs a bounded amount of
// memory.

/// The bounds of one connection, and of how many there are.
public struct ConnectionLimits: Sendable {
    /// The greatest request message; etcd's 1.5 MiB request limit plus 512 KiB (G12).
    public var receiveMessageBytesMax = 2_097_152
    /// The greatest sum of names and values of one request's headers.
    public var headerListBytesMax = 65_536
    /// What SETTINGS_MAX_CONCURRENT_STREAMS says; the greatest value is not sent, as etcd does.
    public var advertisedStreamsMax = UInt32.max
    /// Streams open at once on one connection; more are refused, and the client may retry them.
    public var liveStreamsMax = 16_384
    /// Bytes of incomplete request messages of one connection; above it further messages are
    /// refused.
    public var partialBytesMax = 64 << 20
    /// Bytes of answers waiting for one connection; above it new calls are refused.
    ///
    /// A single answer may be larger: it was asked for.
    public var outputBytesMax = 256 << 20
    /// RST_STREAM frames accepted in a second for streams without a whole answer.
    public var resetsPerSecondMax = 2_000
    /// PING frames accepted in a second.
    public var pingsPerSecondMax = 200
    /// SETTINGS frames accepted in a second.
    public var settingsPerSecondMax = 50
    /// The shortest time between a client's pings, in nanoseconds; sooner is a strike (G13).
    public var pingIntervalMinNanoseconds: Int64 = 5_000_000_000
    /// The strike that ends the connection (G13).
    public var pingStrikesMax = 3
    /// Silence after which the server pings, in nanoseconds (G13).
    public var keepaliveTimeNanoseconds: Int64 = 7_200_000_000_000
    /// How long the answer to the server's ping may take, in nanoseconds (G13).
    public var keepaliveTimeoutNanoseconds: Int64 = 20_000_000_000
    /// How long a TLS handshake may take, in nanoseconds.
    public var handshakeTimeoutNanoseconds: Int64 = 10_000_000_000
    /// How long the first bytes that tell the protocol may take, in nanoseconds.
    public var firstByteTimeoutNanoseconds: Int64 = 30_000_000_000
    /// How long an HTTP/1.1 request may take to arrive, and the next one to begin, in nanoseconds.
    public var httpIdleTimeoutNanoseconds: Int64 = 120_000_000_000
    /// The greatest body of a plain HTTP request; base64 in JSON makes a message a third larger.
    public var httpBodyBytesMax = 4 << 20
    /// Connections open at once per listener.
    public var connectionsMax = 20_000

    /// Makes the default limits.
    public init() {}
}

/// Bounds that are not for configuration.
enum Limits {
    /// The HTTP/2 receive window of a connection: one round trip's worth at 10 Gbit/s and 0.8 ms.
    static let connectionWindowBytes: Int32 = 1 << 20
    /// The HTTP/2 receive window of a stream.
    static let streamWindowBytes: UInt32 = 256 << 10
    /// Received bytes are given back to the sender's window in steps of at least this many.
    static let windowStepBytes = 64 << 10
    /// Bytes one connection hands to the socket in one turn; then the other connections have
    /// theirs.
    static let outputBytesPerTurn = 240 << 10
    /// The buffer for one turn's output, with room for the frame that reaches the bound.
    static let outputBufferBytes = 256 << 10
    /// Bytes in the channel above which no more are produced, and below which production goes on.
    static let channelWaterMarks = (low: 64 << 10, high: 256 << 10)
    /// A call whose buffered bytes rise above `high` is reported drained below `low`.
    static let callWaterMarks = (low: 64 << 10, high: 256 << 10)
    /// Frames waiting in a session above which no more are read from an unwritable connection.
    static let queuedFramesMax = 1_024
    /// Memory reserved at once for a message whose declared length has not arrived yet.
    static let messageReserveBytesMax = 64 << 10
    /// The longest percent-encoded status message; the rest is cut off.
    static let statusMessageBytesMax = 8 << 10
    /// CONTINUATION frames after one HEADERS frame: enough for `headerListBytesMax` in 16 KiB
    /// frames.
    static let continuationsMax = 8
    /// Acknowledgements of PING and SETTINGS waiting for a client that does not read.
    static let acknowledgementsMax = 512
    /// Settings in one SETTINGS frame.
    static let settingsPerFrameMax = 32
    /// Room for one TLS record's plaintext.
    static let recordBytes = 16 << 10
    /// Plaintext handed to the next handler at once.
    static let plaintextBytesMax = 128 << 10
    /// Changed certificate files are looked for no more often than this.
    static let certificateCheckNanoseconds: Int64 = 1_000_000_000
    /// Calls open at once on all connections of one event loop; more are refused, and may be retried.
    static let loopCallsMax = 100_000
    /// Bytes of answers waiting on all connections of one event loop; above it new calls are refused.
    static let loopOutputBytesMax = 256 << 20
    /// Bytes of incomplete request messages on all connections of one event loop.
    static let loopPartialBytesMax = 64 << 20
    /// Connections waiting to be accepted.
    static let acceptBacklog: Int32 = 4_096
    /// Deadlines are checked no more often than this.
    static let deadlineStepNanoseconds: UInt64 = 2_000_000
    /// The furthest deadline kept, 100 years: later is never.
    static let deadlineNanosecondsMax: UInt64 = 100 * 365 * 86_400 * 1_000_000_000
}
