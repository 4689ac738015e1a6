// Configuration+Load.swift: from flags, variables and file to a checked configuration. Belongs
// here: precedence and warnings. Never here: single values (Flag.swift), checks across them
// (Configuration+Checks.swift). Source: etcd: a configuration file makes flags and variables
// ignored; else a flag wins over its variable; unknown variables and unknown keys of the file only
// warn.

/// The texts of all settings that were given, with where each came from.
struct GivenSettings {
    struct Setting {
        let text: String
        /// What an error calls the setting: its flag, its variable, or its key and file.
        let label: String
    }

    private var byName: [String: Setting] = [:]
    var warnings: [String] = []

    /// What was given for a flag, by its present name.
    func setting(_ name: String) -> Setting? { byName[name] }

    /// What was given for a flag, or else its default.
    func text(_ flag: Flag) -> String { byName[flag.name]?.text ?? flag.defaultText }

    /// What was given for a flag of the table, or else its default.
    func text(_ name: String) -> String {
        guard let flag = FlagTable.flag(named: name) else {
            preconditionFailure("no flag \(name) in the table")
        }
        return text(flag)
    }

    /// Takes over one setting; `name` may be a former name.
    mutating func give(_ flag: Flag, as name: String, text: String, label: String) {
        byName[flag.name] = Setting(text: text, label: label)
        if name != flag.name {
            warnings.append("\(label) is an old name: use --\(flag.name)")
        }
    }
}

extension Configuration {
    /// What the command line asks the process to do.
    enum Outcome: Equatable, Sendable {
        /// Serve; the warnings belong in the log.
        case run(Configuration, warnings: [String])
        case printVersion
        case printHelp(String)
    }

    /// Reads everything that was given; any error means exit status 2.
    ///
    /// - Parameters:
    ///   - arguments: the words after the program's name.
    ///   - environment: all variables; only those that begin with ETCD_ are looked at.
    ///   - readFile: returns the text of the configuration file.
    static func load(
        arguments: [String], environment: [String: String],
        readFile: (String) throws(ConfigurationError) -> String = ConfigurationFile.read
    ) throws(ConfigurationError) -> Outcome {
        let flags = try CommandLineFlags(arguments)
        if flags.wantsHelp { return .printHelp(HelpText.full()) }
        if let text = flags.text(of: "version"), try wantsVersion(text) { return .printVersion }

        let variables = environment.filter { $0.key.hasPrefix("ETCD_") && !$0.value.isEmpty }
        let path = flags.text(of: "config-file") ?? variables["ETCD_CONFIG_FILE"] ?? ""
        var given = GivenSettings()
        if path.isEmpty {
            give(variables, flags, to: &given)
        } else {
            try give(fileAt: path, readFile, to: &given)
            warnOfIgnored(flags, variables, path: path, in: &given)
        }
        var configuration = Configuration()
        try configuration.apply(&given)
        try configuration.complete(with: &given)
        return .run(configuration, warnings: given.warnings)
    }

    private static func wantsVersion(_ text: String) throws(ConfigurationError) -> Bool {
        guard let value = FlagValue.boolean(text) else {
            throw .badValue(setting: "--version", value: text, expected: "true or false")
        }
        return value
    }

    /// Variables of etcd that are no settings and need no warning.
    private static let otherVariables: Set<String> = ["ETCD_UNSUPPORTED_ARCH", "ETCD_VERIFY"]

    private static func give(
        _ variables: [String: String], _ flags: CommandLineFlags, to given: inout GivenSettings
    ) {
        let flagNames = Set(flags.items.compactMap { FlagTable.flag(named: $0.name)?.name })
        for (variable, text) in variables.sorted(by: { $0.key < $1.key }) {
            guard let name = FlagTable.name(forVariable: variable),
                let flag = FlagTable.flag(named: name)
            else {
                if !otherVariables.contains(variable) {
                    given.warnings.append("unknown variable \(variable)")
                }
                continue
            }
            if flagNames.contains(flag.name) {
                given.warnings.append("\(variable) has no effect: --\(flag.name) is given too")
            } else if name != flag.name, variables[Flag.variable(flag.name)] != nil {
                given.warnings.append(
                    "\(variable) has no effect: \(Flag.variable(flag.name)) is given too")
            } else {
                given.give(flag, as: name, text: text, label: variable)
            }
        }
        for item in flags.items {
            guard let flag = FlagTable.flag(named: item.name) else { continue }
            given.give(flag, as: item.name, text: item.text, label: "--\(item.name)")
        }
    }

    private static func give(
        fileAt path: String, _ readFile: (String) throws(ConfigurationError) -> String,
        to given: inout GivenSettings
    ) throws(ConfigurationError) {
        let file = try ConfigurationFile(yaml: try readFile(path), path: path)
        for item in file.items {
            guard let name = FlagTable.name(forKey: item.key),
                let flag = FlagTable.flag(named: name)
            else {
                given.warnings.append("unknown key \(item.key) in \(path)")
                continue
            }
            let text = ConfigurationFile.flagText(item, for: flag)
            given.give(flag, as: name, text: text, label: "\(item.key) in \(path)")
        }
    }

    private static func warnOfIgnored(
        _ flags: CommandLineFlags, _ variables: [String: String], path: String,
        in given: inout GivenSettings
    ) {
        let names =
            flags.items.map { "--\($0.name)" }
            + variables.keys.filter { FlagTable.name(forVariable: $0) != nil }.sorted()
        let ignored = names.filter { $0 != "--config-file" && $0 != "ETCD_CONFIG_FILE" }
        guard !ignored.isEmpty else { return }
        given.warnings.append(
            "\(path) is read, so these are ignored: " + ignored.joined(separator: ", "))
    }

    /// Runs each flag's parser and its standing.
    private mutating func apply(_ given: inout GivenSettings) throws(ConfigurationError) {
        var ineffective: [(reason: String, labels: [String])] = []
        for flag in FlagTable.all {
            let text = given.text(flag)
            let label = given.setting(flag.name)?.label ?? "--\(flag.name)"
            if text == flag.defaultText, text.contains("${") { continue }
            do {
                try flag.value.apply(text, &self)
            } catch {
                throw .badValue(setting: label, value: text, expected: error.expected)
            }
            guard !Self.isDefault(text, of: flag) else { continue }
            switch flag.standing {
            case .implemented:
                continue
            case .refused(let reason):
                throw .refused(setting: label, reason: reason)
            case .withoutEffect(let reason):
                if let place = ineffective.firstIndex(where: { $0.reason == reason }) {
                    ineffective[place].labels.append(label)
                } else {
                    ineffective.append((reason, [label]))
                }
            }
        }
        for (reason, labels) in ineffective {
            given.warnings.append("no effect: \(labels.joined(separator: ", ")): \(reason)")
        }
    }

    private static func isDefault(_ text: String, of flag: Flag) -> Bool {
        guard flag.value.isBoolean else { return text == flag.defaultText }
        return FlagValue.boolean(text) == FlagValue.boolean(flag.defaultText)
    }
}
