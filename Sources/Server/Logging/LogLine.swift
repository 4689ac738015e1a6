// LogLine.swift: one log event as one line of bytes: JSON as etcd's zap writes it, or its console
// form. Belongs here: layout and escaping, so that no value can end a line or forge a field. Never
// here: where lines go (LogSink.swift).

import Logging

/// Builds lines; has no state.
enum LogLine {
    /// A line with its newline.
    static func encode(
        _ format: LogFormat, level: Logger.Level, time: LogTimestamp, message: String,
        fields: [(name: String, value: Logger.MetadataValue)]
    ) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(256)
        switch format {
        case .json:
            append(#"{"level":"\#(word(for: level))","ts":""#, to: &line)
            time.write(to: &line)
            append(#"","msg":"#, to: &line)
            quote(message, to: &line)
            for field in fields.prefix(LogLimits.fieldsMax) {
                line.append(UInt8(ascii: ","))
                append(field, reserving: ["level", "ts", "msg"], to: &line)
            }
            line.append(UInt8(ascii: "}"))
        case .console:
            time.write(to: &line)
            append("\t\(word(for: level))\t", to: &line)
            escape(message, to: &line)
            if !fields.isEmpty {
                append("\t{", to: &line)
                for (place, field) in fields.prefix(LogLimits.fieldsMax).enumerated() {
                    if place > 0 { append(", ", to: &line) }
                    append(field, reserving: [], to: &line)
                }
                line.append(UInt8(ascii: "}"))
            }
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    /// zap's word for a level.
    static func word(for level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "debug"
        case .info, .notice: "info"
        case .warning: "warn"
        case .error: "error"
        case .critical: "fatal"
        }
    }

    /// Names of fields whose values never reach a log, whoever logs them.
    private static let secretNames: Set<String> = [
        "password", "token", "authorization", "secret", "hashedPassword", "key_material",
    ]

    private static func append(
        _ field: (name: String, value: Logger.MetadataValue), reserving reserved: Set<String>,
        to line: inout [UInt8]
    ) {
        quote(reserved.contains(field.name) ? "field.\(field.name)" : field.name, to: &line)
        line.append(UInt8(ascii: ":"))
        if secretNames.contains(field.name) {
            quote("(hidden)", to: &line)
        } else {
            append(field.value, to: &line)
        }
    }

    private static func append(_ value: Logger.MetadataValue, to line: inout [UInt8]) {
        switch value {
        case .string(let text):
            quote(text, to: &line)
        case .stringConvertible(let value):
            quote(value.description, to: &line)
        case .array(let values):
            line.append(UInt8(ascii: "["))
            for (place, value) in values.prefix(LogLimits.fieldsMax).enumerated() {
                if place > 0 { line.append(UInt8(ascii: ",")) }
                append(value, to: &line)
            }
            line.append(UInt8(ascii: "]"))
        case .dictionary(let members):
            line.append(UInt8(ascii: "{"))
            let sorted = members.sorted { $0.key < $1.key }.prefix(LogLimits.fieldsMax)
            for (place, member) in sorted.enumerated() {
                if place > 0 { line.append(UInt8(ascii: ",")) }
                append((member.key, member.value), reserving: [], to: &line)
            }
            line.append(UInt8(ascii: "}"))
        }
    }

    private static func append(_ text: String, to line: inout [UInt8]) {
        line.append(contentsOf: text.utf8)
    }

    /// Writes text in quotes, with JSON's escapes.
    static func quote(_ text: String, to line: inout [UInt8]) {
        line.append(UInt8(ascii: "\""))
        escape(text, to: &line)
        line.append(UInt8(ascii: "\""))
    }

    /// Writes text with JSON's escapes, cut at the limit on a character's border.
    private static func escape(_ text: String, to line: inout [UInt8]) {
        var budget = LogLimits.textBytesMax
        for scalar in text.unicodeScalars {
            budget -= UTF8.width(scalar)
            guard budget >= 0 else {
                append("…(cut)", to: &line)
                return
            }
            switch scalar {
            case "\"": append(#"\""#, to: &line)
            case "\\": append(#"\\"#, to: &line)
            case "\n": append(#"\n"#, to: &line)
            case "\r": append(#"\r"#, to: &line)
            case "\t": append(#"\t"#, to: &line)
            // Line and paragraph separators and the C1 block also end or hide lines in some
            // viewers.
            case "\u{0}"..<" ", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                append(#"\u"#, to: &line)
                let hex = String(scalar.value, radix: 16)
                append(String(repeating: "0", count: 4 - hex.count) + hex, to: &line)
            default: line.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
            }
        }
    }
}
