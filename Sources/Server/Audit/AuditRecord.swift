// AuditRecord.swift: one call as one line of JSON: who, from where, what, at which cost, to which end.
// Belongs here: the fields and their order, which are an interface: names are only ever added.
// Never here: values, passwords, tokens: no field holds what a client stored or proved itself with.

internal import Transport

/// What the audit log says of a call, or of a watch on it.
struct AuditRecord {
    /// `call` for a whole call, `watch` for a watch that was asked for on a stream.
    var event: StaticString = "call"
    var rpc: String
    var remote: String
    /// The user that the server knows the caller as; nil where it knows none.
    var user: String?
    /// The common name of the client's verified certificate.
    var certificate: String?
    /// What was asked for, as encoded fields.
    var subject: [UInt8] = []
    var requestBytes = 0
    var responseBytes = 0
    /// From the request's arrival until its answer was decided; nil for an event within a call.
    var microseconds: Int64?
    var code: GRPCCode?
    var error = ""

    /// The line, with its newline.
    func line(at time: LogTimestamp) -> [UInt8] {
        var json = JSONLine()
        json.time("ts", time)
        json.text("event", "\(event)")
        json.text("rpc", rpc)
        json.text("remote", remote)
        if let user { json.text("user", user) }
        if let certificate { json.text("certificate", certificate) }
        json.fields(subject)
        json.number("request_bytes", Int64(requestBytes))
        if let microseconds {
            json.number("response_bytes", Int64(responseBytes))
            json.number("micros", microseconds)
        }
        if let code { json.text("code", code.goName) }
        if !error.isEmpty { json.text("error", error) }
        return json.finish()
    }

    /// The line in place of others that did not fit.
    static func missing(_ count: UInt64) -> [UInt8] {
        var json = JSONLine()
        json.time("ts", .now())
        json.text("event", "dropped")
        json.number("count", Int64(clamping: count))
        return json.finish()
    }
}

/// A JSON object on one line, field by field.
struct JSONLine {
    private var bytes: [UInt8] = []

    init() {
        bytes.reserveCapacity(320)
    }

    mutating func time(_ name: StaticString, _ time: LogTimestamp) {
        begin(name)
        bytes.append(UInt8(ascii: "\""))
        time.write(to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func text(_ name: StaticString, _ text: String) {
        begin(name)
        LogLine.quote(text, to: &bytes)
    }

    mutating func number(_ name: StaticString, _ number: Int64) {
        begin(name)
        bytes.append(contentsOf: "\(number)".utf8)
    }

    mutating func flag(_ name: StaticString, _ value: Bool) {
        begin(name)
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    /// Bytes as text where they are text, else as hexadecimal digits under NAME_hex; long ones are cut.
    mutating func key(_ name: StaticString, _ key: Bytes) {
        let cut = key.count > Self.keyBytesMax
        let shown = key.withUnsafeBytes { Array($0.prefix(Self.keyBytesMax)) }
        if let text = String(validating: shown, as: UTF8.self) {
            self.text(name, text)
        } else {
            begin(name, suffix: "_hex")
            bytes.append(UInt8(ascii: "\""))
            for byte in shown {
                bytes.append(Self.digits[Int(byte >> 4)])
                bytes.append(Self.digits[Int(byte & 15)])
            }
            bytes.append(UInt8(ascii: "\""))
        }
        if cut { number("key_bytes", Int64(key.count)) }
    }

    /// Fields that are encoded already.
    mutating func fields(_ encoded: [UInt8]) {
        guard !encoded.isEmpty else { return }
        if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
        bytes += encoded
    }

    /// A list of objects, each given by its fields.
    mutating func list(_ name: StaticString, _ objects: [[UInt8]]) {
        begin(name)
        bytes.append(UInt8(ascii: "["))
        for (place, object) in objects.enumerated() {
            if place > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(UInt8(ascii: "{"))
            bytes += object
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: "]"))
    }

    /// The fields alone, to stand in another object.
    var encodedFields: [UInt8] { bytes }

    /// The whole line.
    consuming func finish() -> [UInt8] {
        [UInt8(ascii: "{")] + bytes + [UInt8(ascii: "}"), UInt8(ascii: "\n")]
    }

    private mutating func begin(_ name: StaticString, suffix: StaticString = "") {
        if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
        bytes.append(UInt8(ascii: "\""))
        for part in [name, suffix] {
            bytes.append(
                contentsOf: UnsafeRawBufferPointer(
                    start: part.utf8Start, count: part.utf8CodeUnitCount))
        }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    private static let keyBytesMax = 1024
    private static let digits = Array("0123456789abcdef".utf8)
}
