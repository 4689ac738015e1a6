// JSONError.swift: what can be wrong with a body that claims to be a message in JSON.
// Belongs here: the cases and their texts. Never here: HTTP statuses (Gateway/).
// The texts are for people: clients compare only those of the services.

/// Why a body is no message; `offset` is the place in the body, in bytes.
enum JSONError: Error, Equatable, Sendable {
    /// The body ends too early.
    case truncated
    /// Another byte was expected here.
    case unexpected(offset: Int, expected: String)
    /// Objects and lists are nested deeper than `JSONLimits.depthMax`.
    case tooDeep(offset: Int)
    /// A text is not UTF-8, or has half of a surrogate pair.
    case badText(offset: Int)
    /// A known field came with a value of another type, or out of its range.
    case badValue(offset: Int, type: String, field: String)
    /// A field came twice, perhaps under both of its names.
    case duplicate(offset: Int, field: String)
    /// Two fields came of which only one can be set.
    case oneofSetTwice(offset: Int, field: String)
    /// Something follows the message.
    case trailing(offset: Int)
    /// The message holds more than `WireLimits.repeatedMessagesMax` messages.
    case tooManyItems
}

extension JSONError: CustomStringConvertible {
    var description: String {
        switch self {
        case .truncated: "unexpected EOF"
        case .unexpected(let offset, let expected):
            "syntax error at byte \(offset): expected \(expected)"
        case .tooDeep(let offset): "nested too deep at byte \(offset)"
        case .badText(let offset): "invalid UTF-8 or escape in the text at byte \(offset)"
        case .badValue(let offset, let type, let field):
            "invalid value for \(type) field \(field) at byte \(offset)"
        case .duplicate(let offset, let field): "duplicate field \"\(field)\" at byte \(offset)"
        case .oneofSetTwice(let offset, let field):
            "\"\(field)\" at byte \(offset): another field of the same choice is already set"
        case .trailing(let offset): "unexpected data after the message at byte \(offset)"
        case .tooManyItems: "too many messages inside the message"
        }
    }
}
