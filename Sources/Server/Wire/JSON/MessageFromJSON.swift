// MessageFromJSON.swift: the wire form of a message that came as JSON.
// Belongs here: protobuf's JSON mapping, reading. Never here: the grammar (JSONReader.swift), which
// message is read (Gateway/).
// Source: protobuf's JSON mapping. Fields that are not known are passed over; unlike etcd 3.6, and
// like etcd 3.5, a name that an enum does not have is refused: ignored, it would be its first one.

/// Reads messages of one body, one after the other.
struct MessageFromJSON {
    private let table: DescriptorTable
    private var reader: JSONReader
    private var wire = DeferredLengths()
    private var itemsLeft = WireLimits.repeatedMessagesMax

    init(_ body: [UInt8], table: DescriptorTable = .etcd) {
        self.table = table
        reader = JSONReader(body)
    }

    /// Reads the only message of the body; an empty body is the empty message.
    static func single(_ body: [UInt8], _ message: Int) throws(JSONError) -> [UInt8] {
        var source = MessageFromJSON(body)
        guard let bytes = try source.next(message) else { return [] }
        guard source.reader.isAtEnd else { throw .trailing(offset: source.reader.offset) }
        return bytes
    }

    /// The next message; nil at the end of the body.
    mutating func next(_ message: Int) throws(JSONError) -> [UInt8]? {
        guard !reader.isAtEnd else { return nil }
        itemsLeft = WireLimits.repeatedMessagesMax
        try object(table.messages[message], depth: 0)
        return wire.take()
    }

    private mutating func object(
        _ message: MessageDescriptor, depth: Int
    ) throws(JSONError) {
        guard depth <= WireLimits.messageDepthMax else { throw .tooDeep(offset: reader.offset) }
        var seen = [Bool](repeating: false, count: message.fields.count)
        var choices: [String] = []
        try reader.open("{")
        var isFirst = true
        while try reader.hasNext("}", isFirst: isFirst) {
            isFirst = false
            _ = try reader.peek()
            let start = reader.offset
            let name = try reader.text()
            try reader.expect(":")
            guard let place = message.places[name] else {
                try reader.skipValue()
                continue
            }
            let field = message.fields[place]
            guard !seen[place] else { throw .duplicate(offset: start, field: name) }
            seen[place] = true
            if reader.take(word: "null") { continue }
            if let choice = field.oneof {
                guard !choices.contains(choice) else {
                    throw .oneofSetTwice(offset: start, field: name)
                }
                choices.append(choice)
            }
            guard field.isRepeated else {
                try value(field, depth: depth)
                continue
            }
            try list(field, depth: depth)
        }
    }

    private mutating func list(_ field: FieldDescriptor, depth: Int) throws(JSONError) {
        try reader.open("[")
        var isFirst = true
        while try reader.hasNext("]", isFirst: isFirst) {
            isFirst = false
            guard itemsLeft > 0 else { throw .tooManyItems }
            itemsLeft -= 1
            try value(field, depth: depth)
        }
    }

    private mutating func value(_ field: FieldDescriptor, depth: Int) throws(JSONError) {
        _ = try reader.peek()
        let start = reader.offset
        // A field that has presence, or is one of many, is written even when it is 0 or empty.
        let keepsDefault = field.isRepeated || field.oneof != nil
        switch field.type {
        case .message(let place):
            wire.open(field.number)
            try object(table.messages[place], depth: depth + 1)
            wire.close()
        case .bytes:
            guard let bytes = Base64.decode(try rawText(field)) else { throw bad(field, start) }
            if keepsDefault || !bytes.isEmpty { wire.bytes(field.number, bytes) }
        case .string:
            let text = try rawText(field)
            guard String(validating: text, as: UTF8.self) != nil else {
                throw .badText(offset: start)
            }
            if keepsDefault || !text.isEmpty { wire.bytes(field.number, text) }
        case .bool:
            let isTrue = reader.take(word: "true")
            guard isTrue || reader.take(word: "false") else { throw bad(field, start) }
            if keepsDefault || isTrue { wire.varint(field.number, isTrue ? 1 : 0) }
        case .int32, .int64, .uint32, .uint64, .enumeration:
            guard let number = try number(field) else { throw bad(field, start) }
            if keepsDefault || number != 0 { wire.varint(field.number, number) }
        }
    }

    private func bad(_ field: FieldDescriptor, _ offset: Int) -> JSONError {
        .badValue(offset: offset, type: field.type.name, field: field.name)
    }

    private mutating func rawText(_ field: FieldDescriptor) throws(JSONError) -> [UInt8] {
        guard try reader.peek() == UInt8(ascii: "\"") else { throw bad(field, reader.offset) }
        return try reader.rawText()
    }

    /// A number, as such or as text; of an enum also a name.
    ///
    /// - Returns: nil if it is none of these.
    private mutating func number(_ field: FieldDescriptor) throws(JSONError) -> UInt64? {
        let digits: ArraySlice<UInt8>
        if try reader.peek() == UInt8(ascii: "\"") {
            let text = try reader.rawText()
            if case .enumeration(let place) = field.type {
                let name = String(decoding: text, as: UTF8.self)
                return table.enums[place].names.firstIndex(of: name).map { UInt64($0) }
            }
            digits = text[...]
        } else {
            guard let first = reader.nextByte,
                first == UInt8(ascii: "-") || (48...57).contains(first)
            else { throw bad(field, reader.offset) }
            digits = try reader.number()
        }
        guard let number = JSONNumber(digits) else { return nil }
        switch field.type {
        case .int64: return number.int64.map { UInt64(bitPattern: $0) }
        case .uint64: return number.uint64
        case .uint32: return number.uint64.flatMap { UInt32(exactly: $0) }.map { UInt64($0) }
        default:
            // Negative ones are sign-extended, as protobuf asks.
            return number.int64.flatMap { Int32(exactly: $0) }
                .map { UInt64(bitPattern: Int64($0)) }
        }
    }
}

/// Wire bytes whose length prefixes are put in at the end, in one pass: messages may be nested
/// deeply, and moving what is inside for each would cost depth times size.
private struct DeferredLengths {
    /// All bytes but the length prefixes of messages.
    private var content = ProtoWriter()
    /// For each message, in the order of their beginning: where its prefix goes, and its length.
    private var prefixes: [(position: Int, length: Int)] = []
    /// The messages that are open, with what `prefixBytes` was when they began.
    private var open: [(place: Int, prefixBytes: Int)] = []
    private var prefixBytes = 0

    mutating func open(_ field: Int) {
        content.tag(field, .lengthDelimited)
        open.append((prefixes.count, prefixBytes))
        prefixes.append((content.count, 0))
    }

    mutating func close() {
        guard let (place, before) = open.popLast() else {
            preconditionFailure("no message is open")
        }
        let length = content.count - prefixes[place].position + prefixBytes - before
        prefixes[place].length = length
        prefixBytes += WireSize.varint(UInt64(length))
    }

    mutating func varint(_ field: Int, _ value: UInt64) {
        content.uint64(field, value, keepsDefault: true)
    }

    mutating func bytes(_ field: Int, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { content.bytes(field, $0, keepsDefault: true) }
    }

    /// The complete bytes; empties this.
    mutating func take() -> [UInt8] {
        precondition(open.isEmpty, "\(open.count) messages are open")
        let bare = content.take()
        defer {
            prefixes.removeAll(keepingCapacity: true)
            prefixBytes = 0
        }
        guard !prefixes.isEmpty else { return bare }
        var whole = ProtoWriter(capacity: bare.count + prefixBytes)
        var taken = 0
        for (position, length) in prefixes {
            whole.append(encoded: bare[taken..<position])
            whole.varint(UInt64(length))
            taken = position
        }
        whole.append(encoded: bare[taken...])
        return whole.take()
    }
}
