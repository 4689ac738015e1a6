// Flag.swift: one line of the flag table: a setting's names, default, parser and standing. Belongs
// here: the shape of the table and the parsers that flags share. Never here: the lines
// (FlagTable*.swift).

/// One setting of etcd and what Martlet does with it.
struct Flag: Sendable {
    /// The heading under which `--help` shows a flag.
    enum Group: String, Sendable, CaseIterable {
        case member = "Member"
        case cluster = "Cluster"
        case security = "Security"
        case limits = "Limits and compaction"
        case service = "gRPC, HTTP and metrics"
        case logging = "Logs"
        case integrity = "Integrity and storage"
        case backup = "Backups"
        case auth = "Auth"
        case unsafe = "Unsafe"
        case other = "Other flags of etcd"
    }

    /// What a value of this flag leads to.
    enum Standing: Sendable, Equatable {
        /// It does what it does in etcd, or what its help text says.
        case implemented
        /// It is checked and then has no effect, for this reason.
        case withoutEffect(String)
        /// Any value but the default ends the start, for this reason.
        case refused(String)
    }

    let name: String
    /// The path of the key in a configuration file; nil where etcd has none.
    let key: String?
    let defaultText: String
    let group: Group
    let standing: Standing
    let help: String
    /// Names in older releases; they still work, with a warning.
    let formerNames: [String]
    let value: FlagValue

    init(
        _ name: String, key: String? = "", default defaultText: String, _ group: Group,
        _ standing: Standing, former formerNames: [String] = [], _ value: FlagValue,
        _ help: String
    ) {
        self.name = name
        self.key = key == "" ? name : key
        self.defaultText = defaultText
        self.group = group
        self.standing = standing
        self.help = help
        self.formerNames = formerNames
        self.value = value
    }

    /// A flag that does what its help says.
    init(
        _ name: String, key: String? = "", default defaultText: String, _ group: Group,
        former formerNames: [String] = [], _ value: FlagValue, _ help: String
    ) {
        self.init(
            name, key: key, default: defaultText, group, .implemented, former: formerNames, value,
            help)
    }

    /// The variable that sets a flag of this name.
    static func variable(_ name: String) -> String {
        "ETCD_" + String(name.uppercased().map { $0 == "-" ? "_" : $0 })
    }
}

/// How the text of one flag is read into the configuration.
struct FlagValue: Sendable {
    /// Marks the flags whose numbers in a configuration file are nanoseconds.
    static let durationPlaceholder = "duration"

    typealias Field<Value> = any (WritableKeyPath<Configuration, Value> & Sendable)

    /// What `--help` shows in place of the value; empty for a boolean.
    let placeholder: String
    let apply: @Sendable (String, inout Configuration) throws(ValueProblem) -> Void

    var isBoolean: Bool { placeholder.isEmpty }

    /// A parser of its own.
    static func custom(
        _ placeholder: String,
        _ apply: @escaping @Sendable (String, inout Configuration) throws(ValueProblem) -> Void
    ) -> FlagValue {
        FlagValue(placeholder: placeholder, apply: apply)
    }

    /// Any text, kept as it is.
    static func text(_ field: Field<String>) -> FlagValue {
        custom("text") { text, configuration in configuration[keyPath: field] = text }
    }

    /// A boolean.
    static func boolean(_ field: Field<Bool>) -> FlagValue {
        custom("") { text, configuration throws(ValueProblem) in
            configuration[keyPath: field] = try requireBoolean(text)
        }
    }

    /// A whole number within bounds.
    static func integer<Number: FixedWidthInteger & Sendable>(
        _ field: Field<Number>, in bounds: ClosedRange<Number>
    ) -> FlagValue {
        custom("number") { text, configuration throws(ValueProblem) in
            configuration[keyPath: field] = try requireInteger(text, in: bounds)
        }
    }

    /// A duration not below a floor.
    static func duration(_ field: Field<Duration>, atLeast floor: Duration = .zero) -> FlagValue {
        custom(durationPlaceholder) { text, configuration throws(ValueProblem) in
            configuration[keyPath: field] = try requireDuration(text, atLeast: floor)
        }
    }

    /// One word out of a fixed set.
    static func choice<Choice: CaseIterable & RawRepresentable<String> & Sendable>(
        _ field: Field<Choice>
    ) -> FlagValue {
        custom("word") { text, configuration throws(ValueProblem) in
            configuration[keyPath: field] = try requireChoice(text)
        }
    }

    /// A list of words separated by commas.
    static func words(_ field: Field<[String]>) -> FlagValue {
        custom("list") { text, configuration in
            configuration[keyPath: field] = text.split(separator: ",").map(String.init)
        }
    }

    /// A list of places to listen at.
    static func bindURLs(_ field: Field<[EndpointURL]>, mayBeEmpty: Bool = false) -> FlagValue {
        urls(field, mayBeEmpty: mayBeEmpty, EndpointURL.bindList)
    }

    /// A list of URLs for others to connect to.
    static func advertisedURLs(_ field: Field<[EndpointURL]>) -> FlagValue {
        urls(field, mayBeEmpty: false, EndpointURL.advertisedList)
    }

    private static func urls(
        _ field: Field<[EndpointURL]>, mayBeEmpty: Bool,
        _ parse: @escaping @Sendable (String) throws(ValueProblem) -> [EndpointURL]
    ) -> FlagValue {
        custom("urls") { text, configuration throws(ValueProblem) in
            let urls = try parse(text)
            guard mayBeEmpty || !urls.isEmpty else {
                throw ValueProblem(expected: "at least one URL")
            }
            configuration[keyPath: field] = urls
        }
    }
}

/// Values that are checked and then dropped, for flags without effect.
extension FlagValue {
    static let anyText = custom("text") { _, _ in }
    static let anyBoolean = custom("") { text, _ throws(ValueProblem) in
        _ = try requireBoolean(text)
    }
    static let anyNumber = custom("number") { text, _ throws(ValueProblem) in
        _ = try requireInteger(text, in: Int64.min...Int64.max)
    }
    static let positiveNumber = custom("number") { text, _ throws(ValueProblem) in
        _ = try requireInteger(text, in: 1...UInt64.max)
    }
    static let anyDuration = custom(durationPlaceholder) { text, _ throws(ValueProblem) in
        _ = try requireDuration(text, atLeast: .zero)
    }
}

/// Readers of plain values.
extension FlagValue {
    /// Reads a boolean in any of Go's spellings.
    static func boolean(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }

    static func requireBoolean(_ text: String) throws(ValueProblem) -> Bool {
        guard let value = boolean(text) else { throw ValueProblem(expected: "true or false") }
        return value
    }

    static func requireInteger<Number: FixedWidthInteger>(
        _ text: String, in bounds: ClosedRange<Number>
    ) throws(ValueProblem) -> Number {
        guard let value = Number(text), bounds.contains(value) else {
            throw ValueProblem(
                expected: "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)")
        }
        return value
    }

    static func requireDuration(
        _ text: String, atLeast floor: Duration
    ) throws(ValueProblem) -> Duration {
        guard let value = GoDuration.parse(text) else {
            throw ValueProblem(expected: "a duration such as 100ms, 5s or 1h30m")
        }
        guard value >= floor else {
            throw ValueProblem(expected: "a duration of at least \(floor)")
        }
        return value
    }

    static func requireChoice<Choice: CaseIterable & RawRepresentable<String>>(
        _ text: String
    ) throws(ValueProblem) -> Choice {
        guard let value = Choice(rawValue: text) else {
            let words = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
            throw ValueProblem(expected: words)
        }
        return value
    }
}
