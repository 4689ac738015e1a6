// Workload.swift: what clients of a scenario do.
// Belongs here: plain descriptions. Never here: the clients (Clients/).

/// One kind of client behaviour with its numbers.
public struct Workload: Equatable, Sendable {
    /// The kinds, by their words in scenarios.
    public enum Kind: String, CaseIterable, Sendable {
        /// Puts, gets, deletes and transactions over a few keys.
        case kv
        /// Watches that are resumed on any member.
        case watch
        /// Leases that are kept alive for a while and then left to expire.
        case lease
        /// Compactions behind the newest revision.
        case compact
        /// Users whose permissions are given and taken away, with their administrator.
        case auth
    }

    /// What its clients do.
    public var kind: Kind
    /// Numbers by name; see `defaults`.
    public var options: [(name: String, value: UInt64)]

    /// A workload with the usual numbers.
    public init(_ kind: Kind) {
        self.kind = kind
        options = Self.defaults(kind)
    }

    /// A number by its name; traps on a name that the kind does not have.
    public subscript(name: String) -> UInt64 {
        get {
            guard let found = options.first(where: { $0.name == name }) else {
                preconditionFailure("a workload of kind \(kind) has no \(name)")
            }
            return found.value
        }
        set {
            guard let place = options.firstIndex(where: { $0.name == name }) else {
                preconditionFailure("a workload of kind \(kind) has no \(name)")
            }
            options[place].value = newValue
        }
    }

    /// The names and usual numbers of a kind; times are in microseconds, sizes in bytes.
    static func defaults(_ kind: Kind) -> [(name: String, value: UInt64)] {
        switch kind {
        case .kv:
            [
                ("clients", 4), ("keys", 8), ("put", 40), ("get", 40), ("txn", 12), ("delete", 8),
                ("think", .milliseconds(20)), ("size", 0),
            ]
        case .watch: [("clients", 2), ("keys", 8), ("life", .seconds(5))]
        case .lease: [("clients", 2), ("ttl", 3), ("renewals", 3)]
        case .auth:
            [("users", 4), ("every", .milliseconds(200)), ("think", .milliseconds(20))]
        case .compact: [("every", .seconds(2)), ("behind", 50)]
        }
    }

    /// What the number of an option counts.
    static func unit(of option: String) -> ScenarioUnit {
        switch option {
        case "think", "life", "every": .time
        case "size": .size
        default: .count
        }
    }

    /// Whether both say the same.
    public static func == (left: Workload, right: Workload) -> Bool {
        left.kind == right.kind
            && left.options.elementsEqual(right.options) {
                $0.name == $1.name && $0.value == $1.value
            }
    }
}
