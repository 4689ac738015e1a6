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
struct AuthenticateRequest: WireMessage, Hashable {
    var name = ""
    var password = ""

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: name = try reader.string(field)
            case 2: password = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.string(1, name)
        writer.string(2, password)
    }
}

/// How a user is added (etcd auth.proto, UserAddOptions).
struct UserAddOptions: WireMessage, Hashable {
    var noPassword = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: noPassword = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bool(1, noPassword)
    }
}

/// Adds a user (etcd rpc.proto, AuthUserAddRequest).
struct AuthUserAddRequest: WireMessage, Hashable {
    var name = ""
    /// Empty once it is hashed: it goes no further than the member that was asked.
    var password = ""
    var options = UserAddOptions()
    /// The hash as base64 of bcrypt's text.
    var hashedPassword = ""

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: name = try reader.string(field)
            case 2: password = try reader.string(field)
            case 3: try reader.message(field, into: &options)
            case 4: hashedPassword = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.string(1, name)
        writer.string(2, password)
        if options != UserAddOptions() { writer.message(3, options) }
        writer.string(4, hashedPassword)
    }
}

/// Changes a user's password (etcd rpc.proto, AuthUserChangePasswordRequest).
struct AuthUserChangePasswordRequest: WireMessage, Hashable {
    var name = ""
    /// Empty once it is hashed.
    var password = ""
    /// The hash as base64 of bcrypt's text.
    var hashedPassword = ""

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: name = try reader.string(field)
            case 2: password = try reader.string(field)
            case 3: hashedPassword = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.string(1, name)
        writer.string(2, password)
        writer.string(3, hashedPassword)
    }
}

/// A request that names one user or role: AuthUserGetRequest, AuthUserDeleteRequest, AuthRoleAddRequest,
/// AuthRoleGetRequest and AuthRoleDeleteRequest of etcd's rpc.proto are all one string under number 1.
struct AuthNameRequest: WireMessage, Hashable {
    var name = ""

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: name = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.string(1, name)
    }
}

/// A request that names a user and a role: AuthUserGrantRoleRequest and AuthUserRevokeRoleRequest of etcd's
/// rpc.proto.
struct AuthUserRoleRequest: WireMessage, Hashable {
    var user = ""
    var role = ""

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: user = try reader.string(field)
            case 2: role = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.string(1, user)
        writer.string(2, role)
    }
}

/// What may be done with a range of keys (etcd auth.proto, Permission).
struct WirePermission: WireMessage, Hashable {
    /// What may be done; a number this version does not know is kept.
    var kind: Int32 = 0
    var key = Bytes()
    var rangeEnd = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: kind = try reader.int32(field)
            case 2: key = try reader.bytes(field)
            case 3: rangeEnd = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int32(1, kind)
        writer.bytes(2, key)
        writer.bytes(3, rangeEnd)
    }
}

/// Gives a role a permission (etcd rpc.proto, AuthRoleGrantPermissionRequest).
struct AuthRoleGrantPermissionRequest: WireMessage, Hashable {
    var role = ""
    /// Nil if the client sent none (A11).
    var permission: WirePermission?

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: role = try reader.string(field)
            case 2:
                var merged = permission ?? WirePermission()
                try reader.message(field, into: &merged)
                permission = merged
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.string(1, role)
        if let permission { writer.message(2, permission) }
    }
}

/// Takes a permission from a role (etcd rpc.proto, AuthRoleRevokePermissionRequest).
struct AuthRoleRevokePermissionRequest: WireMessage, Hashable {
    var role = ""
    var key = Bytes()
    var rangeEnd = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: role = try reader.string(field)
            case 2: key = try reader.bytes(field)
            case 3: rangeEnd = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.string(1, role)
        writer.bytes(2, key)
        writer.bytes(3, rangeEnd)
    }
}

/// A login whose password a member has found to be right; members send it, not clients.
struct LoginRequest: WireMessage, Hashable {
    var name = ""
    /// The stored hash that the password was held against: the login is void if it is another by now.
    var hash = Bytes()
    /// SHA-256 of the token's secret part, which itself stays with the member that was asked.
    var digest = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: name = try reader.string(field)
            case 2: hash = try reader.bytes(field)
            case 3: digest = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.string(1, name)
        writer.bytes(2, hash)
        writer.bytes(3, digest)
    }
}

/// Tells the leader that a token was used; members send it, not clients.
struct LoginUsedRequest: WireMessage, Hashable {
    /// SHA-256 of the token's secret part.
    var digest = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: digest = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, digest)
    }
}
