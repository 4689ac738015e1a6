// AuthState.swift: users, roles and permissions at one auth revision, in memory.
// Belongs here: who may do what. Never here: changing it (Executor+Auth.swift), which RPC needs what
// (AccessTable.swift). Source: etcd semantics A1, A2, A7; errors.tsv. Read from the tables as a whole, and replaced
// as a whole: what it says never changes.

internal import Storage

/// What the auth tables say at one revision; confined to its owner, who keeps what was worked out.
final class AuthState {
    /// The user and the role that may do everything.
    static let root = Array("root".utf8)

    /// Whether calls are checked at all.
    let isEnabled: Bool
    /// Counts changes of users, roles and permissions (A2).
    let revision: UInt64
    /// All users by name.
    let users: [AuthUserRow]
    /// All roles by name.
    let roles: [AuthRoleRow]
    // Looked up by name, never iterated.
    private let userPlaces: [[UInt8]: Int]
    private let rolePlaces: [[UInt8]: Int]
    // What users may do, once somebody asked; at most one for each user.
    private var grants: [[UInt8]: Grant] = [:]

    /// What a user may do.
    final class Grant {
        /// It has the role "root".
        let isRoot: Bool
        let readable: KeyRanges
        let writable: KeyRanges

        fileprivate init(isRoot: Bool, permissions: [AuthPermissionRow]) {
            self.isRoot = isRoot
            readable = KeyRanges(
                permissions.filter { $0.kind != .write }.map { ($0.key, $0.rangeEnd) })
            writable = KeyRanges(
                permissions.filter { $0.kind != .read }.map { ($0.key, $0.rangeEnd) })
        }
    }

    /// A store in which nobody ever set anything.
    convenience init() {
        self.init(isEnabled: false, revision: 1, users: [], roles: [])
    }

    init(isEnabled: Bool, revision: UInt64, users: [AuthUserRow], roles: [AuthRoleRow]) {
        self.isEnabled = isEnabled
        self.revision = revision
        self.users = users
        self.roles = roles
        userPlaces = Dictionary(uniqueKeysWithValues: zip(users.map(\.name), users.indices))
        rolePlaces = Dictionary(uniqueKeysWithValues: zip(roles.map(\.name), roles.indices))
    }

    /// Reads the tables.
    convenience init(_ table: AuthTable) throws(StorageError) {
        self.init(
            isEnabled: try table.isEnabled(), revision: try table.revision(),
            users: try table.users(), roles: try table.roles())
    }

    /// Reads the tables of a reader; a store that has none yet is one in which nobody set anything.
    static func read(on connection: Connection) throws(StorageError) -> AuthState {
        guard try AuthTable.exists(on: connection) else { return AuthState() }
        return try AuthState(AuthTable(connection: connection))
    }

    /// Another value than that of any other state before it.
    var mark: AuthMark { AuthMark(revision: revision, isEnabled: isEnabled) }

    func user(_ name: [UInt8]) -> AuthUserRow? { userPlaces[name].map { users[$0] } }

    func role(_ name: [UInt8]) -> AuthRoleRow? { rolePlaces[name].map { roles[$0] } }

    /// What a user may do; nil if there is none of this name.
    func grant(of name: [UInt8]) -> Grant? {
        if let known = grants[name] { return known }
        guard let user = user(name) else { return nil }
        let permissions = user.roles.flatMap { role($0)?.permissions ?? [] }
        let made = Grant(isRoot: user.roles.contains(Self.root), permissions: permissions)
        grants[name] = made
        return made
    }

    // MARK: checks, for when calls are checked

    /// Refuses whoever is no user now, and whoever was admitted by older users than those of now.
    ///
    /// That is for what reads or changes keys. Clients try it again.
    func checkUserOfNow(_ caller: Caller?) throws(EtcdError) -> Grant {
        guard let caller, !caller.name.isEmpty else { throw .userNameEmpty }
        guard caller.revision >= revision else { throw .authRevisionOld }
        return try checkUser(caller)
    }

    /// Refuses whoever is no user now; what it may do is what it may now.
    ///
    /// For leases: etcd grants and keeps them while users change, and who holds a lock by one gives it up when
    /// that is refused.
    func checkUser(_ caller: Caller?) throws(EtcdError) -> Grant {
        guard let caller, !caller.name.isEmpty else { throw .userNameEmpty }
        guard let grant = grant(of: caller.name) else { throw .permissionDenied }
        return grant
    }

    /// Refuses whoever does not have the role "root".
    ///
    /// As in etcd a change of users in between does not matter: what counts is the role that it has now.
    func checkRoot(_ caller: Caller?) throws(EtcdError) {
        guard let caller, !caller.name.isEmpty else { throw .userNameEmpty }
        guard let grant = grant(of: caller.name) else { throw .userNotFound }
        guard grant.isRoot else { throw .permissionDenied }
    }

    /// Refuses whoever neither has the role "root" nor asks about itself (A9).
    func checkRoot(_ caller: Caller?, orIsUser name: [UInt8]) throws(EtcdError) {
        if let caller, caller.name == name, user(name) != nil { return }
        try checkRoot(caller)
    }

    /// Refuses whoever neither has the role "root" nor the role it asks about (A9).
    func checkRoot(_ caller: Caller?, orHasRole role: [UInt8]) throws(EtcdError) {
        if let caller, user(caller.name)?.roles.contains(role) == true { return }
        try checkRoot(caller)
    }
}

/// What tells two states of the auth tables apart; it travels in the header of every state of the store.
struct AuthMark: Equatable, Sendable {
    let rawValue: UInt64

    init(revision: UInt64, isEnabled: Bool) {
        rawValue = revision << 1 | (isEnabled ? 1 : 0)
    }

    /// The auth revision it stands for.
    var revision: UInt64 { rawValue >> 1 }

    private static let headerShift: Int64 = 8

    /// The mark in a state's header.
    init(header: StateHeader) {
        rawValue = UInt64(bitPattern: header.spare) >> UInt64(Self.headerShift)
    }

    init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// What goes into a state's header, beside the alarms in its low bits.
    func spare(alarmKinds: UInt8) -> Int64 {
        Int64(bitPattern: rawValue << UInt64(Self.headerShift)) | Int64(alarmKinds)
    }
}
