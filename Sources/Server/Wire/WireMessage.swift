// WireMessage.swift: what every request can do: be decoded, and be encoded again.
// Belongs here: the entries for a whole message. Never here: fields of a message.
// Source: protobuf, proto3: the last value of a field wins, embedded messages are merged.

/// What can be read from a protobuf message.
protocol WireDecodable: Equatable, Sendable {
    /// The message with every field unset.
    init()
    /// Reads fields up to the end of the innermost open message; later values replace earlier ones.
    mutating func merge(from reader: inout ProtoReader) throws(WireError)
}

/// A request: read from its client, and written again when it is passed on to the leader.
protocol WireMessage: WireDecodable {
    /// Appends the fields that differ from their default, in the order of their numbers.
    func encode(into writer: inout ProtoWriter)
}

extension WireDecodable {
    /// Decodes a whole message; its byte fields share the storage of `bytes`.
    init(decoding bytes: [UInt8]) throws(WireError) {
        self.init()
        var reader = ProtoReader(bytes)
        try merge(from: &reader)
    }
}

extension WireMessage {
    /// The message as bytes of its own.
    func encoded() -> [UInt8] {
        // Most are small: one piece of memory, not three of which each is larger than the one before.
        var writer = ProtoWriter(capacity: 128)
        encode(into: &writer)
        return writer.bytes
    }
}

/// A request without fields of its own; whatever a newer client put into it is passed over.
protocol EmptyWireMessage: WireMessage {}

extension EmptyWireMessage {
    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            try reader.skip(field)
        }
    }

    func encode(into writer: inout ProtoWriter) {}
}
