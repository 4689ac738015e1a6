// ConfigurationError.swift: what may be wrong with flags, variables and the configuration file.
// Belongs here: the cases and their texts for operators. Never here: deciding what is wrong (the
// parsers and checks beside it), printing or exiting (Main/, which ends with status 2).

/// A reason why the process must not start with what it was given.
enum ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// A flag that no release of etcd has.
    case unknownFlag(name: String, suggestion: String?)
    /// A word where a flag was expected.
    case strayArgument(text: String)
    /// A flag at the end of the line that needs a value.
    case missingValue(flag: String)
    /// A value that its setting does not take.
    case badValue(setting: String, value: String, expected: String)
    /// A setting of etcd that this version cannot honour and must not ignore.
    case refused(setting: String, reason: String)
    /// Settings that are each valid but not together.
    case conflict(text: String)
    /// A configuration file that cannot be read or understood.
    case file(path: String, problem: String)

    var description: String {
        switch self {
        case .unknownFlag(let name, let suggestion):
            let hint = suggestion.map { "; did you mean --\($0)?" } ?? "; see --help for the list"
            return "unknown flag --\(name)\(hint)"
        case .strayArgument(let text):
            return "\"\(text)\" is not a flag; booleans take their value as --flag=false"
        case .missingValue(let flag):
            return "--\(flag) needs a value"
        case .badValue(let setting, let value, let expected):
            return "\(setting): \"\(value)\" is not valid: expected \(expected)"
        case .refused(let setting, let reason):
            return "\(setting) is not supported: \(reason)"
        case .conflict(let text):
            return text
        case .file(let path, let problem):
            return "configuration file \(path): \(problem)"
        }
    }
}

/// What a value's parser says of a value it does not take: only what it expected.
struct ValueProblem: Error, Equatable {
    /// Completes the sentence "expected …".
    let expected: String
}
