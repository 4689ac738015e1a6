// LogTypes.swift: the values that cross the border of the log.
// Belongs here: plain data. Never here: their bytes (LogFormat.swift), what Raft makes of them.
// Indexes, terms and kinds are plain integers on purpose: Storage does not know Raft.

/// One entry of the log as Storage sees it.
public struct LogEntry: Equatable, Sendable {
    /// The place in the log; the first entry ever has 1.
    public var index: UInt64
    /// The term of the leader that made it; never decreases along the log.
    public var term: UInt64
    /// What the payload is; Storage keeps it and attaches no meaning.
    public var kind: UInt8
    /// The content, at most `LogLimits.payloadBytesMax`.
    public var payload: [UInt8]

    /// Creates an entry.
    public init(index: UInt64, term: UInt64, kind: UInt8, payload: [UInt8]) {
        self.index = index
        self.term = term
        self.kind = kind
        self.payload = payload
    }
}

/// What a member must remember across a restart besides its entries.
public struct LogHardState: Equatable, Sendable {
    /// The newest term seen.
    public var term: UInt64
    /// Whom it voted for in that term; 0 is nobody.
    public var vote: UInt64
    /// An index known to be committed; a hint that may lag, never past the last entry.
    public var commit: UInt64

    /// Creates a hard state; without arguments that of a member which never ran.
    public init(term: UInt64 = 0, vote: UInt64 = 0, commit: UInt64 = 0) {
        self.term = term
        self.vote = vote
        self.commit = commit
    }
}

/// The place of one call in the order of saves.
///
/// Everything handed over up to and including this ticket is durable once the ticket is reported
/// saved.
public struct LogTicket: Hashable, Comparable, Sendable {
    /// Counts from 1 since the log was opened; 0 is before the first.
    public let rawValue: UInt64

    /// Creates a ticket of a given number.
    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Whether a was handed out before b.
    public static func < (a: LogTicket, b: LogTicket) -> Bool { a.rawValue < b.rawValue }
}

/// How a log is laid out; the format is the same for all values.
public struct LogOptions: Equatable, Sendable {
    /// The size of new segments, a multiple of the sector.
    public var segmentBytes: Int
    /// The most bytes that wait in memory.
    public var queueBytesMax: Int
    /// A random number drawn by the caller, kept in a new log for its life.
    ///
    /// No client learns it, so none can make a value that looks like part of the log.
    public var salt: UInt64

    /// Creates options; only the salt has no default.
    public init(
        salt: UInt64, segmentBytes: Int = LogLimits.segmentBytes,
        queueBytesMax: Int = LogLimits.queueBytesMax
    ) {
        precondition(
            segmentBytes >= LogLimits.segmentBytesMin && segmentBytes < 1 << 31
                && segmentBytes % LogLimits.sectorBytes == 0, "segment of \(segmentBytes) bytes")
        self.segmentBytes = segmentBytes
        self.queueBytesMax = queueBytesMax
        self.salt = salt
    }
}

/// What was found when a log was opened.
public struct RecoveredLog: Equatable, Sendable {
    /// The newest saved hard state; all zero if none ever was.
    public var hardState: LogHardState
    /// The first entry that can be read; one past `lastIndex` if there is none.
    public var firstIndex: UInt64
    /// The last entry; `firstIndex - 1` if there is none.
    public var lastIndex: UInt64
    /// The term of the entry before `firstIndex`, 0 at the beginning of the log.
    public var termBeforeFirst: UInt64
    /// The payload of the newest saved checkpoint intent.
    public var checkpointIntent: [UInt8]?
    /// What an interrupted write had left at the end, for a line in the log.
    public var tornTail: TornTail?
}

/// A write that a crash had interrupted, and that was cut off; nothing in it had been acknowledged.
public struct TornTail: Equatable, Sendable {
    /// The segment file.
    public var file: String
    /// Where the cut was made.
    public var offset: UInt64
    /// How long the interrupted frame claims to be, or one sector where even that is lost.
    public var bytes: UInt64
}

/// How much more the log can take without asking the file system for space.
public struct LogSpace: Equatable, Sendable {
    /// Bytes of records that fit into what is prepared.
    public var preparedBytes: Int
    /// The last attempt to get more space found the disk full.
    ///
    /// The caller refuses what makes the store grow; what is prepared serves the rest.
    public var isFull: Bool
}
