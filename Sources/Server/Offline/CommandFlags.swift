// CommandFlags.swift: the words behind a command: its files, its flags, and those it shares with the server.
// Belongs here: splitting and reading them. Never here: what a command does (…Command.swift).
// Source: the documentation of Go's flag package: -f v, --f v, --f=v, booleans without value.

/// One flag of a command.
struct CommandFlag: Sendable {
    let name: String
    let isBoolean: Bool
    let defaultText: String
    let help: String

    init(_ name: String, default defaultText: String, _ help: String) {
        self.name = name
        isBoolean = defaultText == "false" || defaultText == "true"
        self.defaultText = defaultText
        self.help = help
    }
}

/// What a command takes.
struct CommandForm: Sendable {
    /// "snapshot restore FILE".
    let usage: String
    let summary: String
    /// How many words it takes that are no flags.
    let fileCount: Int
    let flags: [CommandFlag]
    /// Flags of the server that it takes too, with the same meaning.
    let shared: [String]

    /// The flags that say which cluster a new store is of.
    static let clusterFlags = [
        "name", "data-dir", "wal-dir", "initial-cluster", "initial-cluster-token",
        "initial-advertise-peer-urls",
    ]

    /// The text of `--help`.
    var help: String {
        var lines = ["usage: martlet \(usage) [flags]", "", summary, "", "flags:"]
        for flag in flags {
            let value = flag.isBoolean ? "" : " VALUE"
            let suffix = flag.defaultText.isEmpty ? "" : " (default \(flag.defaultText))"
            lines.append("  --\(flag.name)\(value)\n        \(flag.help)\(suffix)")
        }
        if !shared.isEmpty {
            lines.append("")
            lines.append("as of the server: " + shared.map { "--\($0)" }.joined(separator: " "))
        }
        return lines.joined(separator: "\n")
    }
}

/// The words behind a command, split.
struct CommandFlags {
    let files: [String]
    let wantsHelp: Bool
    private let form: CommandForm
    private var texts: [String: String] = [:]
    private var sharedArguments: [String] = []

    init(_ arguments: [String], form: CommandForm) throws(OfflineError) {
        self.form = form
        var files: [String] = []
        var wantsHelp = false
        var rest = arguments[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("-"), word != "-" else {
                files.append(word)
                continue
            }
            let (name, given) = String(word.drop { $0 == "-" }).splitOnce(at: "=")
            if name == "help" || name == "h" {
                wantsHelp = true
                continue
            }
            let full = name == "w" ? "write-out" : name
            let isShared = form.shared.contains(full)
            let own = form.flags.first { $0.name == full }
            guard own != nil || isShared else {
                throw .usage("unknown flag --\(name); see martlet \(form.usage) --help")
            }
            let text: String
            if let given {
                text = given
            } else if own?.isBoolean == true {
                text = "true"
            } else {
                guard let next = rest.popFirst() else { throw .usage("--\(name) needs a value") }
                text = next
            }
            if isShared { sharedArguments.append("--\(full)=\(text)") } else { texts[full] = text }
        }
        self.files = files
        self.wantsHelp = wantsHelp
        guard wantsHelp || files.count == form.fileCount else {
            throw .usage("usage: martlet \(form.usage) [flags]; see --help")
        }
    }

    func text(_ name: String) -> String {
        guard let flag = form.flags.first(where: { $0.name == name }) else {
            preconditionFailure("no flag \(name)")
        }
        return texts[name] ?? flag.defaultText
    }

    /// Whether a flag stands on the command line.
    func isGiven(_ name: String) -> Bool {
        texts[name] != nil || sharedArguments.contains { $0.hasPrefix("--\(name)=") }
    }

    func boolean(_ name: String) throws(OfflineError) -> Bool {
        guard let value = FlagValue.boolean(text(name)) else {
            throw .usage("--\(name): \"\(text(name))\" is not valid: expected true or false")
        }
        return value
    }

    func integer(_ name: String, in bounds: ClosedRange<Int64>) throws(OfflineError) -> Int64 {
        guard let value = Int64(text(name)), bounds.contains(value) else {
            throw .usage(
                "--\(name): \"\(text(name))\" is not valid: expected a whole number from "
                    + "\(bounds.lowerBound) to \(bounds.upperBound)")
        }
        return value
    }

    /// The server's settings as far as the command shares them; variables and files have no say.
    func configuration() throws(OfflineError) -> Configuration {
        do throws(ConfigurationError) {
            guard
                case .run(let configuration, _) = try Configuration.load(
                    arguments: sharedArguments, environment: [:])
            else { preconditionFailure("no command shares --version or --help") }
            return configuration
        } catch {
            throw .usage("\(error)")
        }
    }

    /// What --bump-revision and --mark-compacted ask for.
    func bump() throws(OfflineError) -> RevisionBump {
        let bump = RevisionBump(
            amount: try integer("bump-revision", in: 0...RevisionBump.amountMax),
            marksCompacted: try boolean("mark-compacted"))
        guard bump.marksCompacted == (bump.amount > 0) else {
            throw .usage(
                "--bump-revision and --mark-compacted belong together: without the mark, clients go "
                    + "on from revisions that now mean something else")
        }
        return bump
    }

    static let bumpFlags = [
        CommandFlag(
            "bump-revision", default: "0",
            "Added to the revision, so that none is used twice; for Kubernetes 1000000000."),
        CommandFlag(
            "mark-compacted", default: "false",
            "Everything up to the new revision counts as compacted: clients read anew."),
    ]
}
