// FieldVisitor.swift: messages that list their fields once, for reading and for writing.
// Belongs here: what can be done with each kind of field. Never here: field numbers of messages.
// Source: protobuf, proto3. Messages of the hot paths have loops of their own, with a switch over the number.

/// What is shown each field of a message in turn.
protocol FieldVisitor {
    associatedtype Failure: Error

    mutating func field(_ number: Int, _ value: inout String) throws(Failure)
    mutating func field(_ number: Int, _ value: inout Bytes) throws(Failure)
    mutating func field(_ number: Int, _ value: inout Bool) throws(Failure)
    mutating func field(_ number: Int, _ value: inout Int32) throws(Failure)
    mutating func field(_ number: Int, _ value: inout Int64) throws(Failure)
    mutating func field(_ number: Int, _ value: inout UInt64) throws(Failure)
    /// An enum, of which numbers unknown to this version are kept.
    mutating func field<Kind: OpenEnum>(_ number: Int, _ value: inout Kind) throws(Failure)
    mutating func field(_ number: Int, _ values: inout [String]) throws(Failure)
    mutating func field(_ number: Int, _ values: inout [Bytes]) throws(Failure)
    /// An embedded message, left out while it is empty.
    mutating func field<Message: WireMessage>(
        _ number: Int, _ message: inout Message
    ) throws(Failure)
    /// An embedded message whose presence has a meaning.
    mutating func field<Message: WireMessage>(
        _ number: Int, _ message: inout Message?
    ) throws(Failure)
    mutating func field<Message: WireMessage>(
        _ number: Int, _ messages: inout [Message]
    ) throws(Failure)
}

/// An enum of the protocol that takes numbers it does not know.
protocol OpenEnum: Hashable, Sendable {
    init(rawValue: Int32)
    var rawValue: Int32 { get }
}

/// A message whose fields are listed once.
protocol FieldMessage: WireMessage {
    /// Shows every field under its number, in the order of numbers.
    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure)
}

extension FieldMessage {
    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.nextField() {
            reader.pending = tag
            try visit(&reader)
            if reader.pending != nil { try reader.skip(tag) }
        }
        reader.pending = nil
    }

    func encode(into writer: inout ProtoWriter) {
        var message = self
        message.visit(&writer)
    }
}

extension ProtoWriter: FieldVisitor {
    typealias Failure = Never

    mutating func field(_ number: Int, _ value: inout String) { string(number, value) }
    mutating func field(_ number: Int, _ value: inout Bytes) { bytes(number, value) }
    mutating func field(_ number: Int, _ value: inout Bool) { bool(number, value) }
    mutating func field(_ number: Int, _ value: inout Int32) { int32(number, value) }
    mutating func field(_ number: Int, _ value: inout Int64) { int64(number, value) }
    mutating func field(_ number: Int, _ value: inout UInt64) { uint64(number, value) }

    mutating func field<Kind: OpenEnum>(_ number: Int, _ value: inout Kind) {
        int32(number, value.rawValue)
    }

    mutating func field(_ number: Int, _ values: inout [String]) {
        for value in values { string(number, value, keepsDefault: true) }
    }

    mutating func field(_ number: Int, _ values: inout [Bytes]) {
        for value in values { bytes(number, value, keepsDefault: true) }
    }

    mutating func field<Message: WireMessage>(_ number: Int, _ message: inout Message) {
        if message != Message() { self.message(number, message) }
    }

    mutating func field<Message: WireMessage>(_ number: Int, _ message: inout Message?) {
        if let message { self.message(number, message) }
    }

    mutating func field<Message: WireMessage>(_ number: Int, _ messages: inout [Message]) {
        for message in messages { self.message(number, message) }
    }
}

extension ProtoReader: FieldVisitor {
    typealias Failure = WireError

    /// The pending field if it has this number; it counts as read then.
    private mutating func take(_ number: Int) -> FieldTag? {
        guard let tag = pending, tag.number == number else { return nil }
        pending = nil
        return tag
    }

    mutating func field(_ number: Int, _ value: inout String) throws(WireError) {
        if let tag = take(number) { value = try string(tag) }
    }

    mutating func field(_ number: Int, _ value: inout Bytes) throws(WireError) {
        if let tag = take(number) { value = try bytes(tag) }
    }

    mutating func field(_ number: Int, _ value: inout Bool) throws(WireError) {
        if let tag = take(number) { value = try bool(tag) }
    }

    mutating func field(_ number: Int, _ value: inout Int32) throws(WireError) {
        if let tag = take(number) { value = try int32(tag) }
    }

    mutating func field(_ number: Int, _ value: inout Int64) throws(WireError) {
        if let tag = take(number) { value = try int64(tag) }
    }

    mutating func field(_ number: Int, _ value: inout UInt64) throws(WireError) {
        if let tag = take(number) { value = try uint64(tag) }
    }

    mutating func field<Kind: OpenEnum>(_ number: Int, _ value: inout Kind) throws(WireError) {
        if let tag = take(number) { value = Kind(rawValue: try int32(tag)) }
    }

    mutating func field(_ number: Int, _ values: inout [String]) throws(WireError) {
        if let tag = take(number) { values.append(try string(tag)) }
    }

    mutating func field(_ number: Int, _ values: inout [Bytes]) throws(WireError) {
        if let tag = take(number) { values.append(try bytes(tag)) }
    }

    mutating func field<Message: WireMessage>(
        _ number: Int, _ message: inout Message
    ) throws(WireError) {
        if let tag = take(number) { try self.message(tag, into: &message) }
    }

    mutating func field<Message: WireMessage>(
        _ number: Int, _ message: inout Message?
    ) throws(WireError) {
        guard let tag = take(number) else { return }
        var merged = message ?? Message()
        try self.message(tag, into: &merged)
        message = merged
    }

    mutating func field<Message: WireMessage>(
        _ number: Int, _ messages: inout [Message]
    ) throws(WireError) {
        if let tag = take(number) { try self.messages(tag, into: &messages) }
    }
}
