// CommandLineFlags.swift: the words of the command line as flags, in Go's notation. Belongs here:
// -f v, --f v, -f=v, --f=v, booleans without value. Never here: what a value means (Flag.swift).
// Source: the documentation of Go's flag package.

/// What a command line asks for, before any value is read.
struct CommandLineFlags: Equatable {
    /// A flag as it was spelt and its text.
    struct Item: Equatable {
        let name: String
        let text: String
    }

    private(set) var items: [Item] = []
    private(set) var wantsHelp = false

    /// Splits the words after the program's name.
    init(_ arguments: [String]) throws(ConfigurationError) {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("-"), word != "-", word != "--" else {
                throw .strayArgument(text: word)
            }
            let dashes = word.hasPrefix("--") ? 2 : 1
            let (name, given) = String(word.dropFirst(dashes)).splitOnce(at: "=")
            if name == "help" || name == "h" {
                wantsHelp = true
                continue
            }
            guard let flag = FlagTable.flag(named: name) else {
                throw .unknownFlag(name: name, suggestion: FlagTable.suggestion(for: name))
            }
            if let given {
                items.append(Item(name: name, text: given))
            } else if flag.value.isBoolean {
                items.append(Item(name: name, text: "true"))
            } else {
                guard let next = rest.popFirst() else { throw .missingValue(flag: name) }
                items.append(Item(name: name, text: next))
            }
        }
    }

    /// The last text given for a flag.
    func text(of name: String) -> String? { items.last { $0.name == name }?.text }
}
