// AuthRequests.swift: the requests of the Auth service.
// Belongs here: fields and their numbers. Never here: what they do (Executor+Auth), passwords (Auth/).
// Source: messages.tsv, packages etcdserverpb and authpb.

/// Switches checking on (etcd rpc.proto, AuthEnableRequest).
struct AuthEnableRequest: EmptyWireMessage, Hashable {}

/// Switches checking off (etcd rpc.proto, AuthDisableRequest).
struct AuthDisableRequest: EmptyWireMessage, Hashable {}

/// Asks whether checking is on (etcd rpc.proto, AuthStatusRequest).
struct AuthStatusRequest: EmptyWireMessage, Hashable {}

/// Lists the users (etcd rpc.proto, AuthUserListRequest).
struct AuthUserListRequest: EmptyWireMessage, Hashable {}

/// Lists the roles (etcd rpc.proto, AuthRoleListRequest).
struct AuthRoleListRequest: EmptyWireMessage, Hashable {}

/// Logs in (etcd rpc.proto, AuthenticateRequest).
struct AuthenticateRequest: FieldMessage, Hashable {
    var name = ""
    var password = ""

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
        try fields.field(2, &password)
    }
}

/// How a user is added (etcd auth.proto, UserAddOptions).
struct UserAddOptions: FieldMessage, Hashable {
    var noPassword = false

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &noPassword)
    }
}

/// Adds a user (etcd rpc.proto, AuthUserAddRequest).
struct AuthUserAddRequest: FieldMessage, Hashable {
    var name = ""
    /// Empty once it is hashed: it goes no further than the member that was asked.
    var password = ""
    var options = UserAddOptions()
    /// The hash as base64 of bcrypt's text.
    var hashedPassword = ""

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
        try fields.field(2, &password)
        try fields.field(3, &options)
        try fields.field(4, &hashedPassword)
    }
}

/// Changes a user's password (etcd rpc.proto, AuthUserChangePasswordRequest).
struct AuthUserChangePasswordRequest: FieldMessage, Hashable {
    var name = ""
    /// Empty once it is hashed.
    var password = ""
    /// The hash as base64 of bcrypt's text.
    var hashedPassword = ""

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
        try fields.field(2, &password)
        try fields.field(3, &hashedPassword)
    }
}

/// A request that names one user or role: AuthUserGetRequest, AuthUserDeleteRequest, AuthRoleAddRequest,
/// AuthRoleGetRequest and AuthRoleDeleteRequest of etcd's rpc.proto are all one string under number 1.
struct AuthNameRequest: FieldMessage, Hashable {
    var name = ""

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
    }
}

/// A request that names a user and a role: AuthUserGrantRoleRequest and AuthUserRevokeRoleRequest of etcd's
/// rpc.proto.
struct AuthUserRoleRequest: FieldMessage, Hashable {
    var user = ""
    var role = ""

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &user)
        try fields.field(2, &role)
    }
}

/// What may be done with a range of keys (etcd auth.proto, Permission).
struct WirePermission: FieldMessage, Hashable {
    /// What may be done; a number this version does not know is kept.
    var kind: Int32 = 0
    var key = Bytes()
    var rangeEnd = Bytes()

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &kind)
        try fields.field(2, &key)
        try fields.field(3, &rangeEnd)
    }
}

/// Gives a role a permission (etcd rpc.proto, AuthRoleGrantPermissionRequest).
struct AuthRoleGrantPermissionRequest: FieldMessage, Hashable {
    var role = ""
    /// Nil if the client sent none (A11).
    var permission: WirePermission?

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &role)
        try fields.field(2, &permission)
    }
}

/// Takes a permission from a role (etcd rpc.proto, AuthRoleRevokePermissionRequest).
struct AuthRoleRevokePermissionRequest: FieldMessage, Hashable {
    var role = ""
    var key = Bytes()
    var rangeEnd = Bytes()

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &role)
        try fields.field(2, &key)
        try fields.field(3, &rangeEnd)
    }
}

/// A login whose password a member has found to be right; members send it, not clients.
struct LoginRequest: FieldMessage, Hashable {
    var name = ""
    /// The stored hash that the password was held against: the login is void if it is another by now.
    var hash = Bytes()
    /// SHA-256 of the token's secret part, which itself stays with the member that was asked.
    var digest = Bytes()

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
        try fields.field(2, &hash)
        try fields.field(3, &digest)
    }
}

/// Tells the leader that a token was used; members send it, not clients.
struct LoginUsedRequest: FieldMessage, Hashable {
    /// SHA-256 of the token's secret part.
    var digest = Bytes()

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &digest)
    }
}
