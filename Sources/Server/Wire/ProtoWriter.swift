// ProtoWriter.swift: appends protobuf fields to a growing byte array.
// Belongs here: the wire format. Never here: field numbers of messages.
// Source: protobuf encoding, proto3: a field with its default value is left out.

/// The bytes of a message under construction.
struct ProtoWriter: Sendable {
    private(set) var bytes: [UInt8] = []
    /// How many messages were opened and not yet closed; they close in the opposite order.
    private var openMessages = 0

    /// The place of a length prefix that is filled in when its message is complete.
    struct OpenMessage: Sendable {
        /// Where the length prefix begins.
        fileprivate let start: Int
        /// How many bytes were kept free for it.
        fileprivate let prefixBytes: Int
        /// How many messages were open with it, itself included.
        fileprivate let level: Int
    }

    init() {}

    /// A writer with room for `capacity` bytes before it has to grow.
    init(capacity: Int) {
        bytes.reserveCapacity(capacity)
    }

    /// How many bytes were written so far.
    var count: Int { bytes.count }

    /// Gives the bytes away and leaves the writer empty.
    mutating func take() -> [UInt8] {
        precondition(openMessages == 0, "\(openMessages) messages are still open")
        let taken = bytes
        bytes = []
        return taken
    }

    /// Empties the writer and keeps its storage for the next message.
    mutating func removeAll() {
        openMessages = 0
        bytes.removeAll(keepingCapacity: true)
    }

    /// Appends exactly `size` bytes, written by `body` straight into the array's storage.
    @inline(__always)
    mutating func append(exactly size: Int, _ body: (inout WireCursor) -> Void) {
        bytes.append(addingCapacity: size) { (span: inout OutputSpan<UInt8>) in
            span.withUnsafeMutableBufferPointer { buffer, initialized in
                guard let base = buffer.baseAddress else { return }
                var cursor = WireCursor(base, limit: buffer.count)
                body(&cursor)
                let written = cursor.position
                precondition(written == size, "wrote \(written) bytes of \(size)")
                initialized = written
            }
        }
    }

    /// Appends bytes that are already in wire format.
    mutating func append(encoded part: [UInt8]) {
        bytes.append(contentsOf: part)
    }

    /// Appends bytes that are already in wire format.
    mutating func append(encoded part: ArraySlice<UInt8>) {
        bytes.append(contentsOf: part)
    }

    /// Appends the tag of a field whose value is written by other means.
    mutating func tag(_ field: Int, _ type: WireType) {
        append(exactly: WireSize.tag(field)) { $0.tag(field, type) }
    }

    /// Appends a bare number, such as a length.
    mutating func varint(_ value: UInt64) {
        append(exactly: WireSize.varint(value)) { $0.varint(value) }
    }

    // MARK: fields

    mutating func uint64(_ field: Int, _ value: UInt64, keepsDefault: Bool = false) {
        guard value != 0 || keepsDefault else { return }
        append(exactly: WireSize.tag(field) + WireSize.varint(value)) { cursor in
            cursor.tag(field, .varint)
            cursor.varint(value)
        }
    }

    mutating func int64(_ field: Int, _ value: Int64, keepsDefault: Bool = false) {
        uint64(field, UInt64(bitPattern: value), keepsDefault: keepsDefault)
    }

    /// An int32 or enum; negative numbers are sign-extended to ten bytes, as protobuf asks.
    mutating func int32(_ field: Int, _ value: Int32) {
        int64(field, Int64(value))
    }

    mutating func bool(_ field: Int, _ value: Bool) {
        uint64(field, value ? 1 : 0)
    }

    mutating func bytes(_ field: Int, _ value: Bytes, keepsDefault: Bool = false) {
        guard !value.isEmpty || keepsDefault else { return }
        value.withUnsafeBytes { bytes(field, $0, keepsDefault: true) }
    }

    mutating func bytes(
        _ field: Int, _ value: UnsafeRawBufferPointer, keepsDefault: Bool = false
    ) {
        guard !value.isEmpty || keepsDefault else { return }
        append(exactly: WireSize.lengthDelimited(field, value.count)) { cursor in
            cursor.tag(field, .lengthDelimited)
            cursor.varint(UInt64(value.count))
            cursor.copy(value)
        }
    }

    mutating func string(_ field: Int, _ value: String, keepsDefault: Bool = false) {
        guard !value.isEmpty || keepsDefault else { return }
        var text = value
        text.withUTF8 { bytes(field, UnsafeRawBufferPointer($0), keepsDefault: true) }
    }

    /// A repeated int32 or enum field, packed.
    mutating func int32s(_ field: Int, _ values: [Int32]) {
        guard !values.isEmpty else { return }
        let body = values.reduce(0) { $0 + WireSize.varint(UInt64(bitPattern: Int64($1))) }
        append(exactly: WireSize.lengthDelimited(field, body)) { cursor in
            cursor.tag(field, .lengthDelimited)
            cursor.varint(UInt64(body))
            for value in values {
                cursor.varint(UInt64(bitPattern: Int64(value)))
            }
        }
    }

    /// An embedded message; it is written even when empty, for presence has a meaning.
    mutating func message(_ field: Int, _ message: some WireMessage) {
        let open = openMessage(field)
        message.encode(into: &self)
        close(open)
    }

    // MARK: messages whose length is known only at their end

    /// Begins an embedded message; everything until `close` becomes its content.
    ///
    /// - Parameters:
    ///   - field: The number of the field that holds the message.
    ///   - expectedBytes: A guess of its length, which saves moving the content in `close`.
    mutating func openMessage(_ field: Int, expectedBytes: Int = 0) -> OpenMessage {
        let prefixBytes = WireSize.varint(UInt64(expectedBytes))
        append(exactly: WireSize.tag(field) + prefixBytes) { cursor in
            cursor.tag(field, .lengthDelimited)
            for _ in 0..<prefixBytes { cursor.byte(0) }
        }
        openMessages += 1
        return OpenMessage(
            start: bytes.count - prefixBytes, prefixBytes: prefixBytes, level: openMessages)
    }

    /// Ends the innermost open message by filling in its length.
    mutating func close(_ open: OpenMessage) {
        precondition(open.level == openMessages, "level \(open.level) of \(openMessages) closed")
        openMessages -= 1
        let length = bytes.count - open.start - open.prefixBytes
        let needed = WireSize.varint(UInt64(length))
        if needed > open.prefixBytes {
            let missing = needed - open.prefixBytes
            bytes.insert(contentsOf: repeatElement(0, count: missing), at: open.start)
        } else if needed < open.prefixBytes {
            bytes.removeSubrange(open.start..<(open.start + open.prefixBytes - needed))
        }
        bytes.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var cursor = WireCursor(base + open.start, limit: needed)
            cursor.varint(UInt64(length))
        }
    }

    /// Puts fields that are known late, such as a header, in front of what follows `position`.
    mutating func insert(at position: Int, _ body: (inout ProtoWriter) -> Void) {
        var front = ProtoWriter(capacity: WireLimits.insertedBytesExpected)
        body(&front)
        bytes.insert(contentsOf: front.bytes, at: position)
    }
}
