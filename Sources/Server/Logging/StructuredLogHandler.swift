// StructuredLogHandler.swift: swift-log's back end: levels, fields, one line per event. Belongs
// here: gathering an event's fields. Never here: layout (LogLine.swift), output (LogSink.swift).

import Logging

/// Writes swift-log's events as lines like etcd's.
struct StructuredLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let format: LogFormat
    private let sink: LogSink
    private let now: @Sendable () -> LogTimestamp

    /// A handler over open outputs.
    init(
        level: Logger.Level, format: LogFormat, sink: LogSink,
        now: @escaping @Sendable () -> LogTimestamp = LogTimestamp.now
    ) {
        logLevel = level
        self.format = format
        self.sink = sink
        self.now = now
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() {
            merged.merge(provided) { _, provided in provided }
        }
        if let given = event.metadata { merged.merge(given) { _, given in given } }
        if let error = event.error { merged["error"] = .string("\(error)") }
        let fields = merged.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
        let line = LogLine.encode(
            format, level: event.level, time: now(), message: event.message.description,
            fields: fields)
        sink.write(line)
    }
}

extension LogSeverity {
    /// The least level of swift-log that is still written.
    var loggerLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warn: .warning
        case .error: .error
        case .dpanic, .panic, .fatal: .critical
        }
    }
}

extension Configuration {
    /// Returns the process's logger, with the level and format of the flags.
    ///
    /// Loggers derived from the result by metadata share its outputs.
    func makeLogger(label: String = "martlet", writingTo sink: LogSink) -> Logger {
        let handler = StructuredLogHandler(
            level: logLevel.loggerLevel, format: logFormat, sink: sink)
        return Logger(label: label) { _ in handler }
    }
}
