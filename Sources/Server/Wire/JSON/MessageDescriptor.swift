// MessageDescriptor.swift: what a message consists of, for code that knows no message by itself.
// Belongs here: fields, enums, and reading them from a table of text. Never here: the table
// (MessageTable.swift).

/// What a field holds.
enum FieldType: Equatable, Sendable {
    case int32, int64, uint32, uint64, bool, bytes, string
    /// A number with a name, by the place in `DescriptorTable.enums`.
    case enumeration(Int)
    /// A message, by the place in `DescriptorTable.messages`.
    case message(Int)

    /// How the wire carries a value of this type.
    var wireType: WireType {
        switch self {
        case .int32, .int64, .uint32, .uint64, .bool, .enumeration: .varint
        case .bytes, .string, .message: .lengthDelimited
        }
    }

    /// The type as protobuf calls it.
    var name: String {
        switch self {
        case .int32: "int32"
        case .int64: "int64"
        case .uint32: "uint32"
        case .uint64: "uint64"
        case .bool: "bool"
        case .bytes: "bytes"
        case .string: "string"
        case .enumeration: "enum"
        case .message: "message"
        }
    }
}

/// One field of a message.
struct FieldDescriptor: Equatable, Sendable {
    let name: String
    let number: Int
    let type: FieldType
    let isRepeated: Bool
    /// The choice it belongs to, of which at most one field is set.
    let oneof: String?
    /// How an object's member with this name begins.
    let label: [UInt8]

    /// The other name that is understood: without underscores, what follows one in upper case.
    var camelName: String {
        var parts = name.split(separator: "_").map(String.init)
        for place in parts.indices.dropFirst() {
            parts[place] = parts[place].prefix(1).uppercased() + parts[place].dropFirst()
        }
        return parts.joined()
    }
}

/// One message.
struct MessageDescriptor: Sendable {
    let name: String
    /// By ascending number.
    let fields: [FieldDescriptor]
    /// The place of a field under either of its names.
    let places: [String: Int]

    /// The place of a field.
    func place(number: UInt32) -> Int? {
        fields.firstIndex { $0.number == Int(number) }
    }
}

/// One enum.
struct EnumDescriptor: Sendable {
    /// The names of its numbers from 0 on.
    let names: [String]
}

/// Messages and enums that refer to each other.
struct DescriptorTable: Sendable {
    let messages: [MessageDescriptor]
    let enums: [EnumDescriptor]
    private let messagePlaces: [String: Int]

    /// Reads a table.
    ///
    /// A line is a message: its name and its fields as `name=number:type`. `*type` is repeated,
    /// `choice|name=...` belongs to a oneof. A line with `:` after the name is an enum with its
    /// names from 0 on. What does not have this form traps: the table is part of the program.
    init(_ text: String) {
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        let enumLines = lines.filter { $0[0].hasSuffix(":") }
        let messageLines = lines.filter { !$0[0].hasSuffix(":") }
        let enumPlaces = Dictionary(
            uniqueKeysWithValues: enumLines.enumerated().map { (String($1[0].dropLast()), $0) })
        let messagePlaces = Dictionary(
            uniqueKeysWithValues: messageLines.enumerated().map { ($1[0], $0) })
        enums = enumLines.map { EnumDescriptor(names: Array($0.dropFirst())) }
        self.messagePlaces = messagePlaces
        messages = messageLines.map { line in
            let fields = line.dropFirst().map { field in
                Self.field(field) { name in
                    if let place = enumPlaces[name] { return .enumeration(place) }
                    guard let place = messagePlaces[name] else {
                        preconditionFailure("\(line[0]): no type \(name)")
                    }
                    return .message(place)
                }
            }
            return MessageDescriptor(name: line[0], fields: fields, places: Self.places(fields))
        }
    }

    /// A message by its name.
    func message(_ name: String) -> Int {
        guard let place = messagePlaces[name] else { preconditionFailure("no message \(name)") }
        return place
    }

    private static func places(_ fields: [FieldDescriptor]) -> [String: Int] {
        var places: [String: Int] = [:]
        for (place, field) in fields.enumerated() {
            places[field.name] = place
            places[field.camelName] = place
        }
        return places
    }

    private static func field(
        _ text: String, _ named: (String) -> FieldType
    ) -> FieldDescriptor {
        let parts = text.split { $0 == "=" || $0 == ":" }.map(String.init)
        guard parts.count == 3, let number = Int(parts[1]) else {
            preconditionFailure("no field: \(text)")
        }
        let names = parts[0].split(separator: "|").map(String.init)
        let name = names[names.count - 1]
        let isRepeated = parts[2].hasPrefix("*")
        let type = isRepeated ? String(parts[2].dropFirst()) : parts[2]
        return FieldDescriptor(
            name: name, number: number, type: scalars[type] ?? named(type), isRepeated: isRepeated,
            oneof: names.count == 2 ? names[0] : nil, label: Array("\"\(name)\":".utf8))
    }

    private static let scalars: [String: FieldType] = [
        "int32": .int32, "int64": .int64, "uint32": .uint32, "uint64": .uint64, "bool": .bool,
        "bytes": .bytes, "string": .string,
    ]
}
