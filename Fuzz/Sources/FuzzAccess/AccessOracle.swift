// AccessOracle.swift: who may do what, worked out anew from the grants for each question.
// Belongs here: users, roles, permissions as they were granted. Never here: requests (AccessStory.swift).
// It shares nothing with the code under test but the messages.

@testable import Server

/// The users and roles of a story, as root made them.
struct AccessOracle {
    static let root = "root"
    var users: [String: Set<String>] = [root: [root]]
    var roles: [String: [WirePermission]] = [:]

    /// Whether a caller is a user; nobody is none.
    func isUser(_ caller: String?) -> Bool { caller.map { users[$0] != nil } ?? false }

    func isRoot(_ caller: String?) -> Bool {
        caller.flatMap { users[$0] }?.contains(Self.root) ?? false
    }

    func has(_ caller: String?, role: String) -> Bool {
        caller.flatMap { users[$0] }?.contains(role) ?? false
    }

    func permissions(_ caller: String?) -> [WirePermission] {
        guard let caller, let names = users[caller] else { return [] }
        return names.flatMap { roles[$0] ?? [] }
    }

    /// What a caller may do with ranges, as sets of keys.
    func grant(_ caller: String?) -> ModelGrant {
        permissions(caller).reduce(into: ModelGrant()) { $0.add($1) }
    }

    func mayRead(_ caller: String?, _ key: [UInt8]) -> Bool {
        isRoot(caller) || permissions(caller).contains { $0.kind != 1 && $0.holds(key) }
    }

    func mayWrite(_ caller: String?, _ key: [UInt8]) -> Bool {
        isRoot(caller) || permissions(caller).contains { $0.kind != 0 && $0.holds(key) }
    }

    // MARK: what root changes

    mutating func set(_ permission: WirePermission, of role: String) {
        unset(permission.key, permission.rangeEnd, of: role)
        roles[role, default: []].append(permission)
    }

    mutating func unset(_ key: Bytes, _ rangeEnd: Bytes, of role: String) {
        roles[role]?.removeAll { $0.key == key && $0.rangeEnd == rangeEnd }
    }

    mutating func remove(role: String) {
        roles[role] = nil
        for user in users.keys { users[user]?.remove(role) }
    }
}

extension WirePermission {
    fileprivate func holds(_ asked: [UInt8]) -> Bool {
        let (first, end) = (key.array, rangeEnd.array)
        if end.isEmpty { return asked == first }
        guard !asked.lexicographicallyPrecedes(first) else { return false }
        return end == [0] || asked.lexicographicallyPrecedes(end)
    }
}
