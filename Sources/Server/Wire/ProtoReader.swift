// ProtoReader.swift: reads protobuf fields from the bytes of one message.
// Belongs here: the wire format and its bounds. Never here: field numbers of messages.
// Source: protobuf encoding, proto3. Invariants: offset <= end <= storage.count, at every return.

/// The tag in front of a field.
struct FieldTag: Equatable, Sendable {
    let number: UInt32
    let wireType: WireType
}

/// How a field's value is laid out; groups are not part of proto3.
enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
}

/// A position in a message's bytes that moves on with each read and never passes the end.
///
/// After an error the position means nothing: the whole message is to be dropped.
struct ProtoReader: Sendable {
    private let storage: [UInt8]
    private(set) var offset = 0
    /// Where the innermost open message ends.
    private var end: Int
    private var depth = 0
    private var itemsLeft = WireLimits.repeatedMessagesMax
    /// The tag whose value is to be read next, while the fields of a message are visited (FieldVisitor.swift).
    var pending: FieldTag?

    init(_ bytes: [UInt8]) {
        precondition(bytes.count <= WireLimits.messageBytesMax, "message of \(bytes.count) bytes")
        storage = bytes
        end = bytes.count
    }

    /// The next field's tag, or nil at the end of the innermost open message.
    @inline(__always)
    mutating func nextField() throws(WireError) -> FieldTag? {
        guard offset < end else { return nil }
        let start = offset
        let tag = try varint()
        let number = tag >> 3
        guard number >= 1, number <= WireLimits.fieldNumberMax else {
            throw .badFieldNumber(offset: start)
        }
        let type = UInt8(truncatingIfNeeded: tag & 7)
        guard let wireType = WireType(rawValue: type) else {
            throw .badWireType(offset: start, wireType: type)
        }
        return FieldTag(number: UInt32(truncatingIfNeeded: number), wireType: wireType)
    }

    /// Passes over the value of a field this version does not know.
    mutating func skip(_ field: FieldTag) throws(WireError) {
        switch field.wireType {
        case .varint: _ = try varint()
        case .fixed64: try advance(8)
        case .lengthDelimited: _ = try lengthDelimitedRange()
        case .fixed32: try advance(4)
        }
    }

    @inline(__always)
    mutating func uint64(_ field: FieldTag) throws(WireError) -> UInt64 {
        try expect(.varint, field)
        return try varint()
    }

    @inline(__always)
    mutating func int64(_ field: FieldTag) throws(WireError) -> Int64 {
        Int64(bitPattern: try uint64(field))
    }

    /// An int32 or enum value: the low 32 bits, as every protobuf reader takes them.
    @inline(__always)
    mutating func int32(_ field: FieldTag) throws(WireError) -> Int32 {
        Int32(truncatingIfNeeded: try uint64(field))
    }

    @inline(__always)
    mutating func bool(_ field: FieldTag) throws(WireError) -> Bool {
        try uint64(field) != 0
    }

    @inline(__always)
    mutating func bytes(_ field: FieldTag) throws(WireError) -> Bytes {
        try expect(.lengthDelimited, field)
        let range = try lengthDelimitedRange()
        return Bytes(storage: storage, range: range)
    }

    mutating func string(_ field: FieldTag) throws(WireError) -> String {
        try expect(.lengthDelimited, field)
        let range = try lengthDelimitedRange()
        guard let text = String(validating: storage[range], as: UTF8.self) else {
            throw .badUTF8(field: field.number)
        }
        return text
    }

    /// Adds the values of a repeated int32 or enum field, packed or one by one.
    mutating func int32s(_ field: FieldTag, into list: inout [Int32]) throws(WireError) {
        guard field.wireType == .lengthDelimited else {
            list.append(try int32(field))
            return
        }
        let range = try lengthDelimitedRange()
        let outerEnd = end
        offset = range.lowerBound
        end = range.upperBound
        while offset < end {
            list.append(Int32(truncatingIfNeeded: try varint()))
        }
        end = outerEnd
    }

    /// Merges an embedded message into `message`.
    @inline(__always)
    mutating func message<Message: WireDecodable>(
        _ field: FieldTag, into message: inout Message
    ) throws(WireError) {
        try nested(field) { (reader) throws(WireError) in try message.merge(from: &reader) }
    }

    /// Lends the fields of an embedded message to `body`.
    @inline(__always)
    mutating func nested(
        _ field: FieldTag, _ body: (inout ProtoReader) throws(WireError) -> Void
    ) throws(WireError) {
        try expect(.lengthDelimited, field)
        let range = try lengthDelimitedRange()
        guard depth < WireLimits.messageDepthMax else { throw .tooDeep(offset: range.lowerBound) }
        let outerEnd = end
        depth += 1
        offset = range.lowerBound
        end = range.upperBound
        try body(&self)
        end = outerEnd
        depth -= 1
    }

    /// Adds one embedded message to a repeated field.
    mutating func messages<Message: WireDecodable>(
        _ field: FieldTag, into list: inout [Message]
    ) throws(WireError) {
        guard itemsLeft > 0 else { throw .tooManyItems }
        itemsLeft -= 1
        var item = Message()
        try message(field, into: &item)
        list.append(consume item)
    }

    @inline(__always)
    private func expect(_ wireType: WireType, _ field: FieldTag) throws(WireError) {
        guard field.wireType == wireType else {
            throw .wrongWireType(field: field.number, wireType: field.wireType.rawValue)
        }
    }

    private mutating func advance(_ count: Int) throws(WireError) {
        guard count <= end - offset else { throw .truncated(offset: offset) }
        offset += count
    }

    /// Reads a length prefix, passes over what it measures and returns where that lies.
    @inline(__always)
    private mutating func lengthDelimitedRange() throws(WireError) -> Range<Int> {
        let start = offset
        let length = try varint()
        guard length <= UInt64(end - offset) else {
            throw .badLength(offset: start, length: length)
        }
        let first = offset
        offset += Int(length)
        return first..<offset
    }

    @inline(__always)
    private mutating func varint() throws(WireError) -> UInt64 {
        guard offset < end else { throw .truncated(offset: offset) }
        let first = storage[offset]
        offset += 1
        if first < 0x80 { return UInt64(first) }
        return try longVarint(first: first)
    }

    private mutating func longVarint(first: UInt8) throws(WireError) -> UInt64 {
        let start = offset - 1
        var value = UInt64(first & 0x7f)
        for index in 1..<WireLimits.varintBytesMax {
            guard offset < end else { throw .truncated(offset: offset) }
            let byte = storage[offset]
            offset += 1
            // The tenth byte holds bit 63 alone; anything more, a further byte too, is overflow.
            if index == WireLimits.varintBytesMax - 1, byte > 1 {
                throw .varintOverflow(offset: start)
            }
            value |= UInt64(byte & 0x7f) << UInt64(7 * index)
            if byte < 0x80 { return value }
        }
        throw .varintOverflow(offset: start)
    }
}
