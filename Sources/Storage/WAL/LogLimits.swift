// LogLimits.swift: every size bound of the log on disk, with the sums that justify them.
// Belongs here: numbers. Never here: what happens when one is reached (LogStore+Append.swift).
// Source: storage.md, section Disk; Docs.docc/WAL.md repeats those that are part of the format.

/// The bounds of the log, in bytes unless the name says otherwise.
///
/// Memory: what waits and what is being written, together at most `queueBytesMax` plus one call;
/// one read buffer; 8 bytes per entry kept. Disk: the entries kept by the caller's choice, one
/// segment under way, and `sparesMax` prepared.
public enum LogLimits {
    /// The unit a disk writes whole or not at all; part of the format, for frames begin on its
    /// multiples.
    public static let sectorBytes = 512
    /// The unit in which file systems read and write files; writes end on its multiples.
    static let blockBytes = 4096
    /// The usual size of a segment: large enough that rolling over (one more fsync) is rare.
    public static let segmentBytes = 64 << 20
    /// The smallest segment that is accepted, for tests.
    public static let segmentBytesMin = 8 << 10
    /// A segment is this many times the largest payload: its head repeats one payload (the intent),
    /// it must still hold one entry of full size, and the rest covers headers and rounding.
    public static let payloadsPerSegment = 4
    /// The most that waits in memory before appends are refused: 0.1 s of a disk with 160 MB/s.
    public static let queueBytesMax = 16 << 20
    /// Left for votes, truncations and intents when entries are refused for want of space.
    public static let controlReserveBytes = 64 << 10
    /// A queue that grew beyond this is given back once written.
    static let queueBytesKept = 4 << 20
    /// One write while a segment is filled with zeroes, and while a tail is searched.
    static let chunkBytes = 1 << 20
    /// One read when entries are read back.
    static let readBytes = 64 << 10
    /// The most entries one call reads back.
    public static let entriesPerReadMax = 4096
    /// Prepared segments kept beyond the current one; released ones beyond that are deleted.
    static let sparesMax = 2

    /// The largest payload that a segment of the given size takes.
    public static func payloadBytesMax(segmentBytes: Int) -> Int {
        segmentBytes / payloadsPerSegment
    }
}
