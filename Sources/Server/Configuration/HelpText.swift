// HelpText.swift: the text of --help, made from the flag table.
// Belongs here: layout. Never here: what a flag does (FlagTable*.swift).

/// Writes what `martlet --help` prints.
enum HelpText {
    /// The whole text, with a final newline.
    static func full() -> String {
        var text = """
            Usage: martlet [flags]
                   martlet COMMAND [flags]

            Runs one node that etcd's clients can use. Each flag can also be set by a variable
            (--data-dir: ETCD_DATA_DIR) or, with --config-file, by its key in a YAML file.
            Flags are written --flag value or --flag=value; booleans --flag or --flag=false.

            """
        for group in Flag.Group.allCases {
            text += "\n\(group.rawValue):\n"
            for flag in FlagTable.all where flag.group == group { text += entry(flag) }
        }
        return text + "\n" + Command.summary + "\n"
    }

    private static func entry(_ flag: Flag) -> String {
        var line = "  --\(flag.name)"
        if !flag.value.isBoolean { line += " <\(flag.value.placeholder)>" }
        if !flag.defaultText.isEmpty { line += " (default \(flag.defaultText))" }
        line += "\n      \(flag.help)"
        if !flag.formerNames.isEmpty {
            let names = flag.formerNames.map { "--\($0)" }.joined(separator: ", ")
            line += " Older name: \(names)."
        }
        switch flag.standing {
        case .implemented: break
        case .withoutEffect(let reason): line += " No effect: \(reason)."
        case .refused(let reason): line += " Refused: \(reason)."
        }
        return line + "\n"
    }
}
