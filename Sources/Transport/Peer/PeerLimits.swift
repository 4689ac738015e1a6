// PeerLimits.swift: every bound of a connection between members, with its reason.
// Belongs here: numbers. Never here: the code that enforces them.

/// The bounds of connections between members; times in nanoseconds.
public struct PeerLimits: Sendable {
    /// How long TCP may take to connect, and then TLS and hello together.
    public var handshakeNanoseconds: Int64 = 5_000_000_000
    /// A side that has sent nothing for this long sends a ping.
    public var pingNanoseconds: Int64 = 2_000_000_000
    /// A connection on which nothing came for this many ping times in a row is closed.
    ///
    /// Counted in pings and not in time: a member that was itself held up blames nobody.
    public var silentPingsMax = 3
    /// The greatest frame of a channel: a log batch, a forwarded request, snapshot pages, an answer
    /// to a new member.
    public var frameBytesMax = PerChannel(
        log: 20 << 20, forward: 20 << 20, snapshot: 2 << 20, bootstrap: 1 << 20)
    /// Bytes waiting for one connection above which no more are taken.
    public var queueBytesMax = PerChannel(
        log: 64 << 20, forward: 32 << 20, snapshot: 4 << 20, bootstrap: 4 << 20)
    /// Accepted connections that have not said hello yet, per listener.
    public var greetingMax = 64
    /// Snapshot connections, and bootstrap connections, accepted at once per listener.
    public var transfersMax = 8
    /// Accepted connections of all channels per listener.
    public var acceptedMax = 256
    /// The first wait of a link between attempts that fail; each next one is twice as long.
    public var backoffMinNanoseconds: Int64 = 20_000_000
    /// The longest wait between attempts.
    public var backoffMaxNanoseconds: Int64 = 1_000_000_000
    /// A connection that lasted this long was a good one: when it is lost, the next attempt is made
    /// at once.
    public var steadyNanoseconds: Int64 = 1_000_000_000
    /// The interval in which failed handshakes of one remote address are counted.
    public var failureReportNanoseconds: Int64 = 1_000_000_000
    /// As many of them are reported in an interval; the rest is counted in the next report.
    public var failureReportsMax = 32
    /// Failed attempts of one link for one reason are reported no more often than this.
    public var linkReportNanoseconds: Int64 = 30_000_000_000

    /// Makes the default limits.
    public init() {}

    /// One number for each channel.
    public struct PerChannel: Sendable {
        /// For ``PeerChannel/log``.
        public var log: Int
        /// For ``PeerChannel/forward``.
        public var forward: Int
        /// For ``PeerChannel/snapshot``.
        public var snapshot: Int
        /// For ``PeerChannel/bootstrap``.
        public var bootstrap: Int

        /// Sets all numbers.
        public init(log: Int, forward: Int, snapshot: Int, bootstrap: Int) {
            self.log = log
            self.forward = forward
            self.snapshot = snapshot
            self.bootstrap = bootstrap
        }

        /// The number of a channel.
        public subscript(channel: PeerChannel) -> Int {
            switch channel {
            case .log: log
            case .forward: forward
            case .snapshot: snapshot
            case .bootstrap: bootstrap
            }
        }
    }
}

/// Bounds that are not for configuration.
enum PeerBounds {
    /// Bytes of frames made into one buffer and given to the socket before the next.
    static let writeBytes = 1 << 20
    /// Bytes of frames that one connection gives to the socket in one turn of its loop.
    static let writeBytesPerTurn = 8 << 20
    /// Bytes in the socket's queue above which frames wait in ours.
    static let channelWaterMarks = (low: 256 << 10, high: 1 << 20)
    /// The room for one read: it grows to the greatest while reads fill it.
    static let readBytes = (min: 4 << 10, first: 16 << 10, max: 256 << 10)
    /// Remote addresses whose failures are counted at once.
    static let failureAddressesMax = 256
    /// Connections waiting to be accepted.
    static let acceptBacklog: Int32 = 128
}
