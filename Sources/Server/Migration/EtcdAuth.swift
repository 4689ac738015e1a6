// EtcdAuth.swift: users, roles, permissions and whether they are asked, in etcd's buckets and in our tables.
// Belongs here: both directions. Never here: what a permission allows (Auth/).
// Source: messages.tsv, package authpb; etcdctl.md part 4. Password hashes are bcrypt's text on both sides.

internal import Storage

/// A user (authpb.User).
struct EtcdUser: FieldMessage {
    var name = Bytes()
    var password = Bytes()
    var roles: [Bytes] = []
    var options: UserAddOptions?

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
        try fields.field(2, &password)
        try fields.field(3, &roles)
        try fields.field(4, &options)
    }
}

/// A role (authpb.Role).
struct EtcdRole: FieldMessage {
    var name = Bytes()
    var permissions: [WirePermission] = []

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
        try fields.field(2, &permissions)
    }
}

/// Everything about auth that a store keeps, logins apart.
struct EtcdAuth: Equatable {
    var isEnabled = false
    var revision: UInt64 = 1
    var users: [AuthUserRow] = []
    var roles: [AuthRoleRow] = []

    private static let authBucket = "auth"
    private static let usersBucket = "authUsers"
    private static let rolesBucket = "authRoles"
    private static let enabledKey = Array("authEnabled".utf8)
    private static let revisionKey = Array("authRevision".utf8)

    init() {}

    // MARK: etcd's buckets

    init(_ bolt: BoltDatabase) throws(BoltError) {
        if let cursor = try bolt.bucket(Self.authBucket) {
            while try cursor.next() {
                if cursor.key.elementsEqual(Self.enabledKey) {
                    isEnabled = cursor.value.first == 1
                } else if cursor.key.elementsEqual(Self.revisionKey) {
                    guard let number = EtcdNumber.read(cursor.value) else {
                        throw .damaged(
                            page: cursor.pageNumber, reason: "the auth revision is not a number")
                    }
                    revision = max(1, number)
                }
            }
        }
        if let cursor = try bolt.bucket(Self.usersBucket) {
            while try cursor.next() { users.append(try Self.user(cursor)) }
        }
        if let cursor = try bolt.bucket(Self.rolesBucket) {
            while try cursor.next() { roles.append(try Self.role(cursor)) }
        }
    }

    private static func user(_ cursor: BoltCursor) throws(BoltError) -> AuthUserRow {
        let user: EtcdUser = try cursor.message("a user")
        guard !user.name.isEmpty, cursor.key.elementsEqual(user.name.array) else {
            throw .damaged(page: cursor.pageNumber, reason: "a user has two names")
        }
        return AuthUserRow(
            name: user.name.array, hash: user.password.array,
            hasNoPassword: user.options?.noPassword ?? false, roles: user.roles.map(\.array))
    }

    private static func role(_ cursor: BoltCursor) throws(BoltError) -> AuthRoleRow {
        let role: EtcdRole = try cursor.message("a role")
        guard !role.name.isEmpty, cursor.key.elementsEqual(role.name.array) else {
            throw .damaged(page: cursor.pageNumber, reason: "a role has two names")
        }
        var row = AuthRoleRow(name: role.name.array)
        for permission in role.permissions {
            guard let kind = AuthPermissionRow.Kind(rawValue: Int64(permission.kind)) else {
                throw .damaged(
                    page: cursor.pageNumber, reason: "a permission of kind \(permission.kind)")
            }
            row.permissions.append(
                AuthPermissionRow(
                    key: permission.key.array, rangeEnd: permission.rangeEnd.array, kind: kind))
        }
        return row
    }

    /// The entries of the three buckets, by their names.
    var buckets: [(name: String, entries: [(key: [UInt8], value: [UInt8])])] {
        [
            (
                Self.authBucket,
                [
                    (Self.enabledKey, [isEnabled ? 1 : 0]),
                    (Self.revisionKey, EtcdNumber.bytes(revision)),
                ]
            ),
            (Self.usersBucket, users.map { ($0.name, EtcdUser($0).encoded()) }),
            (Self.rolesBucket, roles.map { ($0.name, EtcdRole($0).encoded()) }),
        ]
    }

    // MARK: our tables

    init(on connection: Connection) throws(StorageError) {
        guard try AuthTable.exists(on: connection) else { return }
        let table = try AuthTable(connection: connection)
        isEnabled = try table.isEnabled()
        revision = try table.revision()
        users = try table.users()
        roles = try table.roles()
    }

    /// Writes all of it; inside the caller's transaction, into tables without any.
    func write(on connection: Connection) throws(StorageError) {
        let table = try AuthTable(connection: connection)
        for user in users { try table.setUser(user) }
        for role in roles {
            try table.addRole(role.name)
            for permission in role.permissions {
                try table.setPermission(permission, of: role.name)
            }
        }
        try table.setRevision(revision)
        try table.setEnabled(isEnabled)
    }
}

extension EtcdUser {
    fileprivate init(_ row: AuthUserRow) {
        name = Bytes(row.name)
        password = Bytes(row.hash)
        roles = row.roles.map { Bytes($0) }
        // As etcd has it: present on every user that was added with options.
        options = UserAddOptions(noPassword: row.hasNoPassword)
    }
}

extension EtcdRole {
    fileprivate init(_ row: AuthRoleRow) {
        name = Bytes(row.name)
        permissions = row.permissions.map {
            WirePermission(
                kind: Int32(truncatingIfNeeded: $0.kind.rawValue), key: Bytes($0.key),
                rangeEnd: Bytes($0.rangeEnd))
        }
    }
}
