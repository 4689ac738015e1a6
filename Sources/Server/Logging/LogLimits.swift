// LogLimits.swift: how much one log line may hold.
// Belongs here: the bounds of logging with their reasons.

/// Bounds of the log.
enum LogLimits {
    /// The greatest text of one message or value, in bytes; what is longer is cut and marked.
    ///
    /// A line holds a message and a handful of values, so it stays below the 64 KiB of a pipe.
    static let textBytesMax = 8 << 10
    /// The most fields of one line.
    static let fieldsMax = 32
}
