// FlagTable.swift: all flags of etcd 3.4 to main, joined from the files beside it, and how to find
// one. Belongs here: look-up by name, variable and key. Never here: reading values (Flag.swift),
// precedence (Configuration+Load.swift).

/// The one list of settings.
enum FlagTable {
    /// All flags, in the order in which they are applied and shown.
    static let all: [Flag] =
        member + cluster + security + limits + service + logging + integrity + backup + auth
        + unsafe + other

    private static let byName: [String: Flag] = {
        var flags: [String: Flag] = [:]
        for flag in all {
            for name in [flag.name] + flag.formerNames {
                precondition(flags.updateValue(flag, forKey: name) == nil, "flag \(name) twice")
            }
        }
        return flags
    }()

    private static let namesByVariable = Dictionary(
        uniqueKeysWithValues: byName.keys.map { (Flag.variable($0), $0) })

    private static let namesByKey: [String: String] = {
        var names: [String: String] = [:]
        for flag in all {
            if let key = flag.key { names[key] = flag.name }
            for name in flag.formerNames { names[name] = name }
        }
        return names
    }()

    /// The flag of a name, also of a former one.
    static func flag(named name: String) -> Flag? { byName[name] }

    /// The flag's name that a variable stands for.
    static func name(forVariable variable: String) -> String? { namesByVariable[variable] }

    /// The flag's name that a key of a configuration file stands for.
    static func name(forKey key: String) -> String? { namesByKey[key] }

    /// The known name nearest to a misspelt one, if any is near.
    static func suggestion(for name: String) -> String? {
        let candidates = all.map { (name: $0.name, distance: editDistance($0.name, name)) }
        guard let nearest = candidates.min(by: { $0.distance < $1.distance }),
            nearest.distance <= max(2, name.utf8.count / 5)
        else { return nil }
        return nearest.name
    }

    /// Levenshtein's distance in bytes; names are short, so the plain table is enough.
    private static func editDistance(_ left: String, _ right: String) -> Int {
        let target = Array(right.utf8.prefix(64))
        var row = Array(0...target.count)
        for (i, byte) in left.utf8.prefix(64).enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for j in target.indices {
                let substituted = diagonal + (byte == target[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[target.count]
    }
}
