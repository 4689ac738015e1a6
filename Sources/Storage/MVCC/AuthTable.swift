// AuthTable.swift: users, roles, permissions and logins, as rows.
// Belongs here: rows and one statement each. Never here: who may do what (Server/Auth), passwords, tokens in clear.
// Source: etcd semantics A; the stored messages authpb.User and authpb.Role hold the same.
//
//   auth_user(name, hash, no_password)        hash: bcrypt text ("$2a$10$..."), empty without a password
//   auth_user_role(user, role)                also of role "root", which needs no row in auth_role
//   auth_role(name)
//   auth_permission(role, key, range_end, kind)   range_end: empty one key, "\0" from the key on; kind as in authpb
//   auth_token(digest, user, idx)             a login: SHA-256 of its secret, and the entry that wrote it
//   meta: auth_enabled (1, or absent), auth_revision (absent: 1)
//
// Names are blobs: bytes compare as etcd compares them, and a NUL in one does not end it.

/// A range of keys that a role may read, write, or both.
public struct AuthPermissionRow: Hashable, Sendable {
    /// What may be done; the numbers of authpb.Permission.Type.
    public enum Kind: Int64, Sendable {
        case read = 0
        case write = 1
        case readWrite = 2
    }

    /// The first key; never empty.
    public var key: [UInt8]
    /// Empty for that key alone, one zero byte for all keys from it on, else the first key after the range.
    public var rangeEnd: [UInt8]
    /// What may be done with the range.
    public var kind: Kind

    /// A permission.
    public init(key: [UInt8], rangeEnd: [UInt8], kind: Kind) {
        self.key = key
        self.rangeEnd = rangeEnd
        self.kind = kind
    }
}

/// A stored role.
public struct AuthRoleRow: Hashable, Sendable {
    /// Its name, UTF-8.
    public var name: [UInt8]
    /// Its permissions, by key and range end.
    public var permissions: [AuthPermissionRow]

    /// A role.
    public init(name: [UInt8], permissions: [AuthPermissionRow] = []) {
        self.name = name
        self.permissions = permissions
    }
}

/// A stored user.
public struct AuthUserRow: Hashable, Sendable {
    /// Its name, UTF-8; never empty.
    public var name: [UInt8]
    /// The bcrypt hash of its password as text; empty if it has none.
    public var hash: [UInt8]
    /// Whether it can't log in with a password at all.
    public var hasNoPassword: Bool
    /// The names of its roles, ascending by bytes.
    public var roles: [[UInt8]]

    /// A user.
    public init(
        name: [UInt8], hash: [UInt8], hasNoPassword: Bool = false, roles: [[UInt8]] = []
    ) {
        self.name = name
        self.hash = hash
        self.hasNoPassword = hasNoPassword
        self.roles = roles
    }
}

/// A login that has not ended: whoever knows its secret is the user.
public struct AuthTokenRow: Hashable, Sendable {
    /// SHA-256 of the token's secret part.
    public var digest: [UInt8]
    /// The user's name.
    public var user: [UInt8]
    /// The log index of the entry that wrote it, which is the token's other part.
    public var index: UInt64

    /// A login.
    public init(digest: [UInt8], user: [UInt8], index: UInt64) {
        self.digest = digest
        self.user = user
        self.index = index
    }
}

/// The tables of users, roles and logins; on the writer's connection or a reader's.
public struct AuthTable {
    private let meta: MetaTable
    private let selectUsers: Statement
    private let selectUserRoles: Statement
    private let selectRoles: Statement
    private let selectPermissions: Statement
    private let replaceUser: Statement
    private let deleteUser: Statement
    private let insertUserRole: Statement
    private let deleteUserRole: Statement
    private let deleteUserRoles: Statement
    private let deleteRoleUsers: Statement
    private let insertRole: Statement
    private let deleteRole: Statement
    private let replacePermission: Statement
    private let deletePermission: Statement
    private let deletePermissions: Statement

    /// Prepares the statements; the tables must exist (`exists(on:)`, `Schema.isCurrent`).
    public init(connection: Connection) throws(StorageError) {
        meta = try MetaTable(connection: connection)
        selectUsers = try connection.prepare(
            "SELECT name, hash, no_password FROM auth_user ORDER BY name")
        selectUserRoles = try connection.prepare(
            "SELECT user, role FROM auth_user_role ORDER BY user, role")
        selectRoles = try connection.prepare("SELECT name FROM auth_role ORDER BY name")
        selectPermissions = try connection.prepare(
            "SELECT role, key, range_end, kind FROM auth_permission ORDER BY role, key, range_end")
        replaceUser = try connection.prepare("INSERT OR REPLACE INTO auth_user VALUES(?, ?, ?)")
        deleteUser = try connection.prepare("DELETE FROM auth_user WHERE name = ?")
        insertUserRole = try connection.prepare(
            "INSERT OR IGNORE INTO auth_user_role VALUES(?, ?)")
        deleteUserRole = try connection.prepare(
            "DELETE FROM auth_user_role WHERE user = ? AND role = ?")
        deleteUserRoles = try connection.prepare("DELETE FROM auth_user_role WHERE user = ?")
        deleteRoleUsers = try connection.prepare("DELETE FROM auth_user_role WHERE role = ?")
        insertRole = try connection.prepare("INSERT OR IGNORE INTO auth_role VALUES(?)")
        deleteRole = try connection.prepare("DELETE FROM auth_role WHERE name = ?")
        replacePermission = try connection.prepare(
            "INSERT OR REPLACE INTO auth_permission VALUES(?, ?, ?, ?)")
        deletePermission = try connection.prepare(
            "DELETE FROM auth_permission WHERE role = ? AND key = ? AND range_end = ?")
        deletePermissions = try connection.prepare("DELETE FROM auth_permission WHERE role = ?")
    }

    /// Whether the tables exist: a store of an older release gets them from its first leader of this one.
    public static func exists(on connection: Connection) throws(StorageError) -> Bool {
        try Schema.hasTable("auth_token", on: connection)
    }

    // MARK: the whole

    /// Whether calls are checked.
    public func isEnabled() throws(StorageError) -> Bool { try meta.value(.authEnabled) == 1 }

    /// Switches checking on or off.
    ///
    /// With it on, a release that knows no users refuses the store instead of serving it to everybody.
    public func setEnabled(_ isEnabled: Bool) throws(StorageError) {
        if isEnabled {
            try meta.set(.authEnabled, to: 1)
        } else {
            try meta.remove(.authEnabled)
        }
        try meta.set(
            .formatVersion, to: isEnabled ? Schema.formatVersionWithAuth : Schema.formatVersion)
    }

    /// The auth revision: it counts changes of users, roles and permissions, from 1 on (A2).
    public func revision() throws(StorageError) -> UInt64 {
        UInt64(bitPattern: try meta.value(.authRevision) ?? 1)
    }

    /// Sets the auth revision.
    public func setRevision(_ revision: UInt64) throws(StorageError) {
        try meta.set(.authRevision, to: Int64(bitPattern: revision))
    }

    // MARK: users

    /// All users, by name.
    public func users() throws(StorageError) -> [AuthUserRow] {
        defer {
            selectUsers.reset()
            selectUserRoles.reset()
        }
        var rows: [AuthUserRow] = []
        while try selectUsers.step() {
            rows.append(
                AuthUserRow(
                    name: Array(selectUsers.bytes(0)), hash: Array(selectUsers.bytes(1)),
                    hasNoPassword: selectUsers.integer(2) != 0))
        }
        // Both are by name: one pass over either.
        var place = 0
        while try selectUserRoles.step() {
            let user = Array(selectUserRoles.bytes(0))
            while place < rows.count, rows[place].name.lexicographicallyPrecedes(user) {
                place += 1
            }
            guard place < rows.count, rows[place].name == user else { continue }
            rows[place].roles.append(Array(selectUserRoles.bytes(1)))
        }
        return rows
    }

    /// Adds a user or rewrites it, with exactly the roles of the row.
    public func setUser(_ row: AuthUserRow) throws(StorageError) {
        replaceUser.bind(1, copying: row.name)
        replaceUser.bind(2, copying: row.hash)
        replaceUser.bind(3, row.hasNoPassword ? 1 : 0)
        try replaceUser.run()
        deleteUserRoles.bind(1, copying: row.name)
        try deleteUserRoles.run()
        for role in row.roles { try grant(role, to: row.name) }
    }

    /// Removes a user; missing is no error.
    public func removeUser(_ name: [UInt8]) throws(StorageError) {
        deleteUser.bind(1, copying: name)
        try deleteUser.run()
        deleteUserRoles.bind(1, copying: name)
        try deleteUserRoles.run()
    }

    /// Gives a user a role; had already is no error.
    public func grant(_ role: [UInt8], to user: [UInt8]) throws(StorageError) {
        insertUserRole.bind(1, copying: user)
        insertUserRole.bind(2, copying: role)
        try insertUserRole.run()
    }

    /// Takes a role from a user; not had is no error.
    public func revoke(_ role: [UInt8], from user: [UInt8]) throws(StorageError) {
        deleteUserRole.bind(1, copying: user)
        deleteUserRole.bind(2, copying: role)
        try deleteUserRole.run()
    }

    // MARK: roles

    /// All roles, by name.
    public func roles() throws(StorageError) -> [AuthRoleRow] {
        defer {
            selectRoles.reset()
            selectPermissions.reset()
        }
        var rows: [AuthRoleRow] = []
        while try selectRoles.step() {
            rows.append(AuthRoleRow(name: Array(selectRoles.bytes(0))))
        }
        var place = 0
        while try selectPermissions.step() {
            let role = Array(selectPermissions.bytes(0))
            while place < rows.count, rows[place].name.lexicographicallyPrecedes(role) {
                place += 1
            }
            let number = selectPermissions.integer(3)
            guard let kind = AuthPermissionRow.Kind(rawValue: number) else {
                throw .incompatible(file: "db", found: "a permission of kind \(number)")
            }
            guard place < rows.count, rows[place].name == role else { continue }
            rows[place].permissions.append(
                AuthPermissionRow(
                    key: Array(selectPermissions.bytes(1)),
                    rangeEnd: Array(selectPermissions.bytes(2)), kind: kind))
        }
        return rows
    }

    /// Adds a role; there already is no error.
    public func addRole(_ name: [UInt8]) throws(StorageError) {
        insertRole.bind(1, copying: name)
        try insertRole.run()
    }

    /// Removes a role from all tables; missing is no error.
    public func removeRole(_ name: [UInt8]) throws(StorageError) {
        deleteRole.bind(1, copying: name)
        try deleteRole.run()
        deletePermissions.bind(1, copying: name)
        try deletePermissions.run()
        deleteRoleUsers.bind(1, copying: name)
        try deleteRoleUsers.run()
    }

    /// Gives a role a permission, in the place of one for the same key and range end.
    public func setPermission(
        _ permission: AuthPermissionRow, of role: [UInt8]
    ) throws(StorageError) {
        replacePermission.bind(1, copying: role)
        replacePermission.bind(2, copying: permission.key)
        replacePermission.bind(3, copying: permission.rangeEnd)
        replacePermission.bind(4, permission.kind.rawValue)
        try replacePermission.run()
    }

    /// Takes the permission for a key and range end from a role; not had is no error.
    public func removePermission(
        key: [UInt8], rangeEnd: [UInt8], of role: [UInt8]
    ) throws(StorageError) {
        deletePermission.bind(1, copying: role)
        deletePermission.bind(2, copying: key)
        deletePermission.bind(3, copying: rangeEnd)
        try deletePermission.run()
    }
}

/// Table `auth_token`; on the writer's connection or a reader's.
public struct AuthTokenTable {
    private let selectAll: Statement
    private let select: Statement
    private let insert: Statement
    private let delete: Statement
    private let deleteAll: Statement

    /// Prepares the statements; the table must exist.
    public init(connection: Connection) throws(StorageError) {
        selectAll = try connection.prepare(
            "SELECT digest, user, idx FROM auth_token ORDER BY digest")
        select = try connection.prepare("SELECT user, idx FROM auth_token WHERE digest = ?")
        insert = try connection.prepare("INSERT OR REPLACE INTO auth_token VALUES(?, ?, ?)")
        delete = try connection.prepare("DELETE FROM auth_token WHERE digest = ?")
        deleteAll = try connection.prepare("DELETE FROM auth_token")
    }

    /// All logins, by digest.
    public func all() throws(StorageError) -> [AuthTokenRow] {
        defer { selectAll.reset() }
        var rows: [AuthTokenRow] = []
        while try selectAll.step() {
            rows.append(
                AuthTokenRow(
                    digest: Array(selectAll.bytes(0)), user: Array(selectAll.bytes(1)),
                    index: UInt64(bitPattern: selectAll.integer(2))))
        }
        return rows
    }

    /// The login of a digest, or nil.
    public func row(digest: [UInt8]) throws(StorageError) -> AuthTokenRow? {
        defer { select.reset() }
        select.bind(1, copying: digest)
        guard try select.step() else { return nil }
        return AuthTokenRow(
            digest: digest, user: Array(select.bytes(0)),
            index: UInt64(bitPattern: select.integer(1)))
    }

    /// Adds a login.
    public func add(_ row: AuthTokenRow) throws(StorageError) {
        insert.bind(1, copying: row.digest)
        insert.bind(2, copying: row.user)
        insert.bind(3, Int64(bitPattern: row.index))
        try insert.run()
    }

    /// Ends a login; ended already is no error.
    public func remove(digest: [UInt8]) throws(StorageError) {
        delete.bind(1, copying: digest)
        try delete.run()
    }

    /// Ends all logins.
    public func removeAll() throws(StorageError) {
        try deleteAll.run()
    }
}

extension Statement {
    fileprivate func bind(_ index: Int32, copying bytes: [UInt8]) {
        bytes.withUnsafeBytes { bind(index, copying: $0) }
    }
}
