// WireError.swift: what can be wrong with bytes that claim to be a protobuf message.
// Belongs here: faults of the encoding. Never here: faults of a request's meaning (ErrorMap.swift).
// Source: protobuf wire format, proto3. A fault reaches one request or stream, never the process.

/// Why a message could not be decoded; `offset` is the place in the whole message.
enum WireError: Error, Equatable, Sendable {
    /// The message ends inside a field.
    case truncated(offset: Int)
    /// A varint has more than ten bytes or does not fit in 64 bits.
    case varintOverflow(offset: Int)
    /// A field number is 0 or above 2^29 - 1.
    case badFieldNumber(offset: Int)
    /// A wire type that proto3 does not use: groups (3, 4) and the unassigned 6 and 7.
    case badWireType(offset: Int, wireType: UInt8)
    /// A known field came with another wire type than its declared one.
    case wrongWireType(field: UInt32, wireType: UInt8)
    /// A length prefix points behind the end of its enclosing message.
    case badLength(offset: Int, length: UInt64)
    /// A string field holds bytes that are not UTF-8.
    case badUTF8(field: UInt32)
    /// Messages are nested deeper than `WireLimits.messageDepthMax`.
    case tooDeep(offset: Int)
    /// The message holds more than `WireLimits.repeatedMessagesMax` compares and operations.
    case tooManyItems
    /// A field came again after others; only writing as JSON, which needs them in order, minds.
    case disordered(field: UInt32)
    /// A member of a newer version forwarded a request of a kind that this one does not know.
    case unknownKind(UInt64)
}

extension WireError: CustomStringConvertible {
    var description: String {
        switch self {
        case .truncated(let offset):
            "message ends inside a field at byte \(offset)"
        case .varintOverflow(let offset):
            "varint overflow at byte \(offset)"
        case .badFieldNumber(let offset):
            "illegal field number at byte \(offset)"
        case .badWireType(let offset, let wireType):
            "illegal wire type \(wireType) at byte \(offset)"
        case .wrongWireType(let field, let wireType):
            "wrong wire type \(wireType) for field \(field)"
        case .badLength(let offset, let length):
            "length \(length) at byte \(offset) is past the end"
        case .badUTF8(let field):
            "field \(field) is not valid UTF-8"
        case .tooDeep(let offset):
            "messages nested too deep at byte \(offset)"
        case .tooManyItems:
            "too many repeated messages, or parts of one"
        case .disordered(let field):
            "field \(field) is not in its place"
        case .unknownKind(let kind):
            "unknown kind of request \(kind)"
        }
    }
}
