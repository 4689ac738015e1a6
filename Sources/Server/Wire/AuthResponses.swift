// AuthResponses.swift: the answers of the Auth service; those that are a header alone are not among them.
// Belongs here: fields and their order. Never here: who may see them.
// Source: messages.tsv, packages etcdserverpb and authpb.

extension ProtoWriter {
    /// A whole AuthStatusResponse.
    mutating func authStatusResponse(
        _ header: ResponseHeader, isEnabled: Bool, revision: UInt64
    ) {
        self.header(header)
        bool(2, isEnabled)
        uint64(3, revision)
    }

    /// A whole AuthenticateResponse.
    mutating func authenticateResponse(_ header: ResponseHeader, token: String) {
        self.header(header)
        string(2, token)
    }

    /// A whole answer that lists names: AuthUserGetResponse, AuthUserListResponse, AuthRoleListResponse.
    mutating func authNamesResponse(_ header: ResponseHeader, names: [[UInt8]]) {
        self.header(header)
        for name in names { bytes(2, Bytes(name), keepsDefault: true) }
    }

    /// A whole AuthRoleGetResponse.
    mutating func authRoleGetResponse(_ header: ResponseHeader, permissions: [WirePermission]) {
        self.header(header)
        for permission in permissions { message(2, permission) }
    }
}

/// What a member reads of the answer to a `LoginRequest`: an AuthenticateResponse whose token lacks its secret.
struct LoginResponse: WireDecodable, Hashable {
    var header = ResponseHeader()
    /// The part of the token that is no secret: the log index of the login.
    var index = ""

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: index = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }
}
