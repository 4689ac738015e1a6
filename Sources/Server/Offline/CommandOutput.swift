// CommandOutput.swift: results on standard output, in the forms of etcd's tools.
// Belongs here: simple, table and json. Never here: what is shown (the commands).
// Source: etcdctl.md part 3.

internal import Glibc

/// How a result is shown: -w.
enum OutputForm: String, CaseIterable {
    case simple, table, json
}

/// A row of named values.
struct OutputRow {
    /// A value with its name in JSON and in a table.
    struct Field {
        let key: String
        let title: String
        let value: Value
    }

    enum Value: Equatable {
        case number(Int64)
        /// Bytes: a person reads "20 kB", a program the number.
        case size(UInt64)
        /// A checksum: hexadecimal for people.
        case hash(UInt32)
        case text(String)
    }

    let fields: [Field]

    func rendered(_ form: OutputForm) -> String {
        switch form {
        case .simple: fields.map(\.value.text).joined(separator: ", ")
        case .json:
            "{" + fields.map { "\"\($0.key)\":\($0.value.json)" }.joined(separator: ",") + "}"
        case .table: table
        }
    }

    private var table: String {
        let widths = fields.map { max($0.title.count, $0.value.text.count) }
        let rule = "+" + widths.map { String(repeating: "-", count: $0 + 2) + "+" }.joined()
        var titles = "|"
        var values = "|"
        for (field, width) in zip(fields, widths) {
            let space = width - field.title.count
            titles +=
                " " + String(repeating: " ", count: space / 2) + field.title
                + String(repeating: " ", count: space - space / 2) + " |"
            let padding = String(repeating: " ", count: width - field.value.text.count)
            let value =
                field.value.isNumber
                ? padding + field.value.text : field.value.text + padding
            values += " \(value) |"
        }
        return [rule, titles, rule, values, rule].joined(separator: "\n")
    }
}

extension OutputRow.Value {
    fileprivate var isNumber: Bool {
        if case .number = self { return true }
        return false
    }

    fileprivate var text: String {
        switch self {
        case .number(let value): "\(value)"
        case .size(let bytes): Self.readable(bytes)
        case .hash(let value): String(value, radix: 16)
        case .text(let text): text
        }
    }

    fileprivate var json: String {
        switch self {
        case .number(let value): "\(value)"
        case .size(let bytes): "\(bytes)"
        case .hash(let value): "\(value)"
        case .text(let text):
            "\"\(text.filter { $0 != "\"" && $0 != "\\" && !$0.isNewline })\""
        }
    }

    /// A size in powers of 1000, with one decimal below ten: "20 kB", "2.1 MB".
    static func readable(_ bytes: UInt64) -> String {
        var value = Double(bytes)
        var unit = 0
        let units = ["B", "kB", "MB", "GB", "TB"]
        while value >= 1000, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        guard unit > 0, value < 10 else { return "\(Int(value.rounded())) \(units[unit])" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}

/// Writes lines to standard output or standard error.
enum Console {
    static func say(_ text: String, to descriptor: Int32 = STDOUT_FILENO) {
        let bytes = Array("\(text)\n".utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes {
                write(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 || errno == EINTR else { return }
            done += max(0, count)
        }
    }

    static func warn(_ text: String) {
        say(text, to: STDERR_FILENO)
    }

    /// Asks a question on standard error; true for "yes".
    static func confirms(_ question: String) -> Bool {
        let bytes = Array("\(question) [yes/no] ".utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        return readLine() == "yes"
    }
}
