// ForwardCodec.swift: forwarded requests and their answers as bytes, and back.
// Belongs here: fields and their numbers. Never here: when something is forwarded (Replica+Forward.swift).
// Requests travel as etcd's own messages, so both sides share one codec with clients.
//
// Whoever asked travels as a user's name, which the asking member has made sure of; tokens and passwords do not.
//
//   requests: 1 request*   request: 1 sequence  2 kind  3 message  4 nonce  5 user  6 auth revision  7 term  8 round
//   answers:  1 answer*    answer:  1 sequence  2 index  3 outcome  4 message  5 status text  6 term  7 round
//
// Term and round are of the sender when it sends: to a leader an acknowledgement, as the answer to a heartbeat.

internal import Transport

/// A list of one kind of message.
struct WireList<Element: WireMessage & Hashable>: WireMessage, Hashable {
    var elements: [Element] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.messages(field, into: &elements)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        for element in elements { writer.message(1, element) }
    }
}

/// A forwarded request.
struct ForwardedRequestFields: WireMessage, Hashable {
    /// The kinds of requests; numbers are never used again for another.
    enum Kind: UInt64 {
        case put = 1
        case deleteRange
        case txn
        case compact
        case leaseGrant
        case leaseRevoke
        case leaseKeepAlive
        case leaseTimeToLive
        case leaseLeases
        case alarm
        case memberAdd
        case memberRemove
        case memberUpdate
        case memberPromote
        case publishMember
        case memberReplace
        case authEnable
        case authDisable
        case addUser
        case deleteUser
        case changePassword
        case grantRole
        case revokeRole
        case addRole
        case deleteRole
        case grantPermission
        case revokePermission
        case login
        case loginUsed
    }

    var sequence: UInt64 = 0
    var kind: UInt64 = 0
    var message = Bytes()
    var nonce: UInt64 = 0
    /// The user's name; empty if nobody has proven to be one.
    var user = Bytes()
    var authRevision: UInt64 = 0
    var term: UInt64 = 0
    var round: UInt64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: sequence = try reader.uint64(field)
            case 2: kind = try reader.uint64(field)
            case 3: message = try reader.bytes(field)
            case 4: nonce = try reader.uint64(field)
            case 5: user = try reader.bytes(field)
            case 6: authRevision = try reader.uint64(field)
            case 7: term = try reader.uint64(field)
            case 8: round = try reader.uint64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.uint64(1, sequence)
        writer.uint64(2, kind)
        writer.bytes(3, message)
        writer.uint64(4, nonce)
        writer.bytes(5, user)
        writer.uint64(6, authRevision)
        writer.uint64(7, term)
        writer.uint64(8, round)
    }
}

extension ForwardedRequestFields {
    /// The fields of a request; nil for what is never forwarded.
    init?(_ request: ForwardedRequest) {
        sequence = request.sequence
        term = request.sent.term
        round = request.sent.round
        if let caller = request.authority.caller {
            user = Bytes(caller.name)
            authRevision = caller.revision
        }
        switch request.body {
        case .put(let message): set(.put, message)
        case .deleteRange(let message): set(.deleteRange, message)
        case .txn(let message): set(.txn, message)
        case .compact(let message): set(.compact, message)
        case .leaseGrant(let message): set(.leaseGrant, message)
        case .leaseRevoke(let message): set(.leaseRevoke, message)
        case .leaseKeepAlive(let message): set(.leaseKeepAlive, message)
        case .leaseTimeToLive(let message): set(.leaseTimeToLive, message)
        case .leaseLeases: kind = Kind.leaseLeases.rawValue
        case .alarm(let message): set(.alarm, message)
        case .memberAdd(let message, let nonce):
            set(.memberAdd, message)
            self.nonce = nonce
        case .memberRemove(let message): set(.memberRemove, message)
        case .memberUpdate(let message): set(.memberUpdate, message)
        case .memberPromote(let message): set(.memberPromote, message)
        case .publishMember(let message): set(.publishMember, message)
        case .memberReplace(let message, let nonce):
            set(.memberReplace, message)
            self.nonce = nonce
        case .auth(let command): set(command)
        case .loginUsed(let message): set(.loginUsed, message)
        case .moveLeader, .readIndex, .subscribe: return nil
        }
    }

    private mutating func set(_ command: AuthCommand) {
        switch command {
        case .enable: kind = Kind.authEnable.rawValue
        case .disable: kind = Kind.authDisable.rawValue
        case .addUser(let message): set(.addUser, message)
        case .deleteUser(let message): set(.deleteUser, message)
        case .changePassword(let message): set(.changePassword, message)
        case .grantRole(let message): set(.grantRole, message)
        case .revokeRole(let message): set(.revokeRole, message)
        case .addRole(let message): set(.addRole, message)
        case .deleteRole(let message): set(.deleteRole, message)
        case .grantPermission(let message): set(.grantPermission, message)
        case .revokePermission(let message): set(.revokePermission, message)
        case .login(let message): set(.login, message)
        }
    }

    private mutating func set(_ kind: Kind, _ message: some WireMessage) {
        self.kind = kind.rawValue
        self.message = Bytes(message.encoded())
    }

    /// The request, as a member's.
    ///
    /// - Throws: what `body` throws.
    func request(from member: UInt64) throws(WireError) -> ReplicaRequest {
        var request = ReplicaRequest(
            origin: .member(member, sequence: sequence), body: try body(), byteCount: message.count,
            authority: authority)
        request.sent = SenderState(term: term, round: round)
        return request
    }

    /// What is asked for.
    ///
    /// - Throws: `unknownKind` for a kind of a newer version; otherwise what is wrong with the message.
    func body() throws(WireError) -> ReplicaRequest.Body {
        guard let kind = Kind(rawValue: kind) else { throw .unknownKind(kind) }
        let bytes = message.array
        switch kind {
        case .put: return .put(try PutRequest(decoding: bytes))
        case .deleteRange: return .deleteRange(try DeleteRangeRequest(decoding: bytes))
        case .txn: return .txn(try TxnRequest(decoding: bytes))
        case .compact: return .compact(try CompactionRequest(decoding: bytes))
        case .leaseGrant: return .leaseGrant(try LeaseGrantRequest(decoding: bytes))
        case .leaseRevoke: return .leaseRevoke(try LeaseRevokeRequest(decoding: bytes))
        case .leaseKeepAlive: return .leaseKeepAlive(try LeaseKeepAliveRequest(decoding: bytes))
        case .leaseTimeToLive: return .leaseTimeToLive(try LeaseTimeToLiveRequest(decoding: bytes))
        case .leaseLeases: return .leaseLeases
        case .alarm: return .alarm(try AlarmRequest(decoding: bytes))
        case .memberAdd:
            return .memberAdd(try MemberAddRequest(decoding: bytes), nonce: nonce)
        case .memberRemove: return .memberRemove(try MemberRemoveRequest(decoding: bytes))
        case .memberUpdate: return .memberUpdate(try MemberUpdateRequest(decoding: bytes))
        case .memberPromote: return .memberPromote(try MemberPromoteRequest(decoding: bytes))
        case .publishMember: return .publishMember(try PublishMemberRequest(decoding: bytes))
        case .memberReplace:
            return .memberReplace(try MemberReplaceRequest(decoding: bytes), nonce: nonce)
        case .loginUsed: return .loginUsed(try LoginUsedRequest(decoding: bytes))
        case .authEnable, .authDisable, .addUser, .deleteUser, .changePassword, .grantRole,
            .revokeRole, .addRole, .deleteRole, .grantPermission, .revokePermission, .login:
            return .auth(try command(kind, bytes))
        }
    }

    private func command(_ kind: Kind, _ bytes: [UInt8]) throws(WireError) -> AuthCommand {
        switch kind {
        case .authEnable: return .enable
        case .authDisable: return .disable
        case .addUser: return .addUser(try AuthUserAddRequest(decoding: bytes))
        case .deleteUser: return .deleteUser(try AuthNameRequest(decoding: bytes))
        case .changePassword:
            return .changePassword(try AuthUserChangePasswordRequest(decoding: bytes))
        case .grantRole: return .grantRole(try AuthUserRoleRequest(decoding: bytes))
        case .revokeRole: return .revokeRole(try AuthUserRoleRequest(decoding: bytes))
        case .addRole: return .addRole(try AuthNameRequest(decoding: bytes))
        case .deleteRole: return .deleteRole(try AuthNameRequest(decoding: bytes))
        case .grantPermission:
            return .grantPermission(try AuthRoleGrantPermissionRequest(decoding: bytes))
        case .revokePermission:
            return .revokePermission(try AuthRoleRevokePermissionRequest(decoding: bytes))
        case .login: return .login(try LoginRequest(decoding: bytes))
        default: throw .unknownKind(kind.rawValue)
        }
    }

    /// On whose authority the request is carried out: what the asking member says, for members trust each other.
    var authority: Authority {
        guard !user.isEmpty else { return .nobody }
        return .user(Caller(name: user.array, revision: authRevision))
    }
}

/// The answer to a forwarded request.
struct ForwardedAnswerFields: WireMessage, Hashable {
    var sequence: UInt64 = 0
    var index: UInt64 = 0
    /// 0 a message, 1 not taken, otherwise 1 and the gRPC code of a failure.
    var outcome: UInt64 = 0
    var message = Bytes()
    var text = ""
    var term: UInt64 = 0
    var round: UInt64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: sequence = try reader.uint64(field)
            case 2: index = try reader.uint64(field)
            case 3: outcome = try reader.uint64(field)
            case 4: message = try reader.bytes(field)
            case 5: text = try reader.string(field)
            case 6: term = try reader.uint64(field)
            case 7: round = try reader.uint64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.uint64(1, sequence)
        writer.uint64(2, index)
        writer.uint64(3, outcome)
        writer.bytes(4, message)
        writer.string(5, text)
        writer.uint64(6, term)
        writer.uint64(7, round)
    }
}

extension ForwardedAnswerFields {
    /// The fields of an answer.
    init(_ answer: ForwardedAnswer) {
        sequence = answer.sequence
        index = answer.index
        term = answer.sent.term
        round = answer.sent.round
        switch answer.content {
        case .message(let bytes): message = Bytes(bytes)
        case .notTaken: outcome = 1
        case .failure(let status):
            outcome = 1 + UInt64(status.code.rawValue)
            text = status.message
        }
    }

    /// The answer; nil if it names a gRPC code that there is not, or a round that can't be.
    var answer: ForwardedAnswer? {
        guard round <= RaftMessageFields.countMax else { return nil }
        let content: ForwardedAnswer.Content
        switch outcome {
        case 0: content = .message(message.array)
        case 1: content = .notTaken
        default:
            guard let number = UInt8(exactly: outcome - 1), let code = GRPCCode(rawValue: number)
            else { return nil }
            content = .failure(RPCStatus(code, text))
        }
        return ForwardedAnswer(
            sequence: sequence, index: index, content: content,
            sent: SenderState(term: term, round: round))
    }
}
