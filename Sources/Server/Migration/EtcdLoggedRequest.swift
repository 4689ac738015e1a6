// EtcdLoggedRequest.swift: a request as etcd's log has it, in the executor's terms.
// Belongs here: which fields matter, whose request it is. Never here: carrying it out (EtcdReplay.swift).
// Source: messages.tsv, etcdserverpb.InternalRaftRequest and RequestHeader; etcd semantics A5-A9, A14.

/// Why an entry can't be carried out.
enum EtcdRequestError: Error {
    /// It is not what etcd writes.
    case wire(WireError)
    /// A field that no release up to 3.6 writes.
    case unknown(field: UInt32)
    /// Releases before 3.5 write passwords as they are; this one can't be hashed.
    case password
    /// Up to 3.4 it is a password like others; since 3.5 nobody can log in with it.
    case emptyPassword
}

/// A request in etcd's log (etcdserverpb.InternalRaftRequest).
struct EtcdLoggedRequest: WireDecodable {
    /// The message of a field that changes something.
    struct Change: Equatable {
        let field: UInt32
        let message: Bytes
    }

    /// etcdserverpb.RequestHeader: who asked, under which auth revision.
    private struct Header: WireDecodable {
        var user = ""
        var authRevision: UInt64 = 0

        mutating func merge(from reader: inout ProtoReader) throws(WireError) {
            while let field = try reader.nextField() {
                switch field.number {
                case 2: user = try reader.string(field)
                case 3: authRevision = try reader.uint64(field)
                default: try reader.skip(field)
                }
            }
        }
    }

    /// At most one in what etcd writes.
    private(set) var changes: [Change] = []
    private var header = Header()
    private var unknown: UInt32?

    init() {}

    /// Reads the data of an entry.
    init(_ data: Bytes) throws(EtcdRequestError) {
        do throws(WireError) {
            try self.init(decoding: data.array)
        } catch {
            throw .wire(error)
        }
        if let unknown { throw .unknown(field: unknown) }
    }

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 4...10, 1000, 1011, 1100, 1101, 1103...1105, 1200, 1201, 1203, 1204:
                changes.append(Change(field: field.number, message: try reader.bytes(field)))
            case 100: try reader.message(field, into: &header)
            // Id, requests that only read, logins, remaining times, cluster version, members.
            case 1, 2, 3, 11, 1012, 1013, 1102, 1106, 1107, 1202, 1300, 1301, 1302, 9900:
                try reader.skip(field)
            default:
                unknown = unknown ?? field.number
                try reader.skip(field)
            }
        }
    }

    /// On whose authority etcd carries a change out.
    ///
    /// Compactions, grants and alarms it checks before they are written down, if at all; the rest when it applies them.
    func authority(of change: Change) -> Authority {
        if [7, 8, 10].contains(change.field) { return .member }
        guard !header.user.isEmpty else { return .nobody }
        return .user(Caller(name: header.user.utf8Bytes, revision: header.authRevision))
    }
}

extension EtcdLoggedRequest.Change {
    /// The request in the executor's terms.
    func body() throws(EtcdRequestError) -> ReplicaRequest.Body {
        switch field {
        case 4: .put(try decoded())
        case 5: .deleteRange(try decoded())
        case 6: .txn(try decoded())
        case 7: .compact(try decoded())
        case 8: .leaseGrant(try decoded())
        case 9: .leaseRevoke(try decoded())
        case 10: .alarm(try decoded())
        default: .auth(try command())
        }
    }

    private func command() throws(EtcdRequestError) -> AuthCommand {
        switch field {
        case 1000: return .enable
        case 1011: return .disable
        case 1100:
            var request: AuthUserAddRequest = try decoded()
            // Without any of both it is of 3.4: later releases always hash what they are given.
            request.hashedPassword =
                request.options.noPassword
                ? "" : try Self.hash(request.hashedPassword, of: request.password)
            request.password = ""
            return .addUser(request)
        case 1101: return .deleteUser(try decoded())
        case 1103:
            var request: AuthUserChangePasswordRequest = try decoded()
            guard !request.hashedPassword.isEmpty || !request.password.isEmpty else {
                throw .emptyPassword
            }
            request.hashedPassword = try Self.hash(request.hashedPassword, of: request.password)
            request.password = ""
            return .changePassword(request)
        case 1104: return .grantRole(try decoded())
        case 1105: return .revokeRole(try decoded())
        case 1200: return .addRole(try decoded())
        case 1201: return .deleteRole(try decoded())
        case 1203: return .grantPermission(try decoded())
        case 1204: return .revokePermission(try decoded())
        default: preconditionFailure("field \(field) is no change")
        }
    }

    private func decoded<Message: WireMessage>() throws(EtcdRequestError) -> Message {
        do throws(WireError) {
            return try Message(decoding: message.array)
        } catch {
            throw .wire(error)
        }
    }

    /// A password's hash as the tables have it: since 3.5 the log has it in base64, before it has the password.
    private static func hash(
        _ base64: String, of password: String
    ) throws(EtcdRequestError) -> String {
        guard base64.isEmpty else {
            guard let hash = Base64.decode(base64.utf8Bytes), PasswordHash.isHash(hash) else {
                throw .password
            }
            return String(decoding: hash, as: UTF8.self)
        }
        let bytes = password.utf8Bytes
        guard bytes.count <= AuthLimits.passwordBytesMax, !bytes.contains(0) else {
            throw .password
        }
        var generator = SystemRandomNumberGenerator()
        let salt = (0..<PasswordHash.saltBytes).map { _ in generator.next() as UInt8 }
        guard let hash = PasswordHash.make(bytes, cost: AuthSettings().bcryptCost, salt: salt)
        else { throw .password }
        return String(decoding: hash, as: UTF8.self)
    }
}
