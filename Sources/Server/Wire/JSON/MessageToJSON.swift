// MessageToJSON.swift: a message in wire form, written as JSON.
// Belongs here: protobuf's JSON mapping, writing. Never here: what goes around a message (Gateway/).
// Source: protobuf's JSON mapping with etcd's options: proto names, no fields that are 0 or empty.
// A message may come in pieces: a long list is written as it is read, and is never whole in memory.

/// Writes one message, from its bytes in order.
///
/// Fields must come as every writer of this server sends them: those of one number together.
struct MessageToJSON {
    private let table: DescriptorTable
    private let message: MessageDescriptor
    private var object: OpenObject
    private var hasBegun = false
    /// Bytes of a field that is not complete.
    private var pending: [UInt8] = []

    init(_ message: Int, table: DescriptorTable = .etcd) {
        self.table = table
        self.message = table.messages[message]
        object = OpenObject(fieldCount: self.message.fields.count)
    }

    /// Writes a whole message.
    static func whole(
        _ bytes: [UInt8], _ message: Int, into text: inout [UInt8]
    ) throws(WireError) {
        var writer = MessageToJSON(message)
        try writer.add(bytes, to: &text)
        try writer.finish(&text)
    }

    /// Writes what of the message is complete with these bytes.
    mutating func add(_ bytes: [UInt8], to text: inout [UInt8]) throws(WireError) {
        if !hasBegun {
            hasBegun = true
            text.append(UInt8(ascii: "{"))
        }
        if pending.isEmpty { pending = bytes } else { pending += bytes }
        var end = 0
        while let next = Self.fieldEnd(pending, from: end) { end = next }
        let complete = end == pending.count ? pending : Array(pending[..<end])
        pending.removeFirst(end)
        var reader = ProtoReader(complete)
        try write(&reader, message, &object, &text)
    }

    /// Ends the message.
    mutating func finish(_ text: inout [UInt8]) throws(WireError) {
        guard pending.isEmpty else { throw .truncated(offset: 0) }
        object.close(&text)
    }

    /// Where the field that begins at `start` ends; nil if its end has not come yet.
    private static func fieldEnd(_ bytes: [UInt8], from start: Int) -> Int? {
        guard let tag = varint(bytes, from: start) else { return nil }
        switch tag.value & 7 {
        case 0: return varint(bytes, from: tag.end)?.end
        case 1: return tag.end + 8 <= bytes.count ? tag.end + 8 : nil
        case 5: return tag.end + 4 <= bytes.count ? tag.end + 4 : nil
        case 2:
            guard let length = varint(bytes, from: tag.end) else { return nil }
            let left = bytes.count - length.end
            return length.value <= UInt64(left) ? length.end + Int(length.value) : nil
        // The reader, which gets all that is left, says what is wrong.
        default: return bytes.count > start ? bytes.count : nil
        }
    }

    private static func varint(_ bytes: [UInt8], from start: Int) -> (value: UInt64, end: Int)? {
        var value: UInt64 = 0
        for place in 0..<WireLimits.varintBytesMax {
            guard start + place < bytes.count else { return nil }
            let byte = bytes[start + place]
            value |= UInt64(byte & 0x7f) << UInt64(7 * place)
            if byte < 0x80 { return (value, start + place + 1) }
        }
        // Too long: the reader says so.
        return (7, start + WireLimits.varintBytesMax)
    }

    private func write(
        _ reader: inout ProtoReader, _ message: MessageDescriptor, _ object: inout OpenObject,
        _ text: inout [UInt8]
    ) throws(WireError) {
        while let tag = try reader.nextField() {
            guard let place = message.place(number: tag.number) else {
                try reader.skip(tag)
                continue
            }
            let field = message.fields[place]
            guard field.isRepeated, field.type.wireType == .varint else {
                try write(&reader, tag, field, place, &object, &text)
                continue
            }
            var numbers: [Int32] = []
            try reader.int32s(tag, into: &numbers)
            for number in numbers {
                try object.begin(field, place, &text)
                scalar(UInt64(bitPattern: Int64(number)), field, &text)
            }
        }
    }

    private func write(
        _ reader: inout ProtoReader, _ tag: FieldTag, _ field: FieldDescriptor, _ place: Int,
        _ object: inout OpenObject, _ text: inout [UInt8]
    ) throws(WireError) {
        let keepsDefault = field.isRepeated || field.oneof != nil
        switch field.type {
        case .message(let inner):
            try object.begin(field, place, &text)
            let descriptor = table.messages[inner]
            var child = OpenObject(fieldCount: descriptor.fields.count)
            text.append(UInt8(ascii: "{"))
            try reader.nested(tag) { (reader) throws(WireError) in
                try write(&reader, descriptor, &child, &text)
            }
            child.close(&text)
        case .bytes:
            let bytes = try reader.bytes(tag)
            guard keepsDefault || !bytes.isEmpty else { return }
            try object.begin(field, place, &text)
            text.append(UInt8(ascii: "\""))
            bytes.withUnsafeBytes { Base64.encode($0, into: &text) }
            text.append(UInt8(ascii: "\""))
        case .string:
            let string = try reader.string(tag)
            guard keepsDefault || !string.isEmpty else { return }
            try object.begin(field, place, &text)
            JSONText.append(string, to: &text)
        case .bool, .int32, .int64, .uint32, .uint64, .enumeration:
            let number = try reader.uint64(tag)
            guard keepsDefault || number != 0 else { return }
            try object.begin(field, place, &text)
            scalar(number, field, &text)
        }
    }

    private func scalar(_ number: UInt64, _ field: FieldDescriptor, _ text: inout [UInt8]) {
        switch field.type {
        case .bool: text.append(contentsOf: (number == 0 ? "false" : "true").utf8)
        case .int64: text.append(contentsOf: "\"\(Int64(bitPattern: number))\"".utf8)
        case .uint64: text.append(contentsOf: "\"\(number)\"".utf8)
        case .uint32: text.append(contentsOf: "\(UInt32(truncatingIfNeeded: number))".utf8)
        case .enumeration(let place):
            let value = Int32(truncatingIfNeeded: number)
            let names = table.enums[place].names
            guard names.indices.contains(Int(value)) else {
                return text.append(contentsOf: "\(value)".utf8)
            }
            JSONText.append(names[Int(value)], to: &text)
        default: text.append(contentsOf: "\(Int32(truncatingIfNeeded: number))".utf8)
        }
    }
}

/// An object that is being written: which field was last, and which there have been.
private struct OpenObject {
    private var seen: [Bool]
    /// The place of the repeated field whose list is open.
    private var openList: Int?
    private var isEmpty = true

    init(fieldCount: Int) {
        seen = Array(repeating: false, count: fieldCount)
    }

    /// Writes what stands before a value.
    mutating func begin(
        _ field: FieldDescriptor, _ place: Int, _ text: inout [UInt8]
    ) throws(WireError) {
        if openList == place { return text.append(UInt8(ascii: ",")) }
        guard !seen[place] else { throw .disordered(field: UInt32(field.number)) }
        seen[place] = true
        if openList != nil { text.append(UInt8(ascii: "]")) }
        openList = nil
        if !isEmpty { text.append(UInt8(ascii: ",")) }
        isEmpty = false
        text += field.label
        if field.isRepeated {
            openList = place
            text.append(UInt8(ascii: "["))
        }
    }

    mutating func close(_ text: inout [UInt8]) {
        if openList != nil { text.append(UInt8(ascii: "]")) }
        text.append(UInt8(ascii: "}"))
    }
}
