// AuditSubject.swift: what a request is about: keys, leases, members, and never a value.
// Belongs here: which fields of a request an audit log shows. Never here: when (CallObserver.swift).

/// The part of a request that an audit log shows.
enum AuditSubject {
    /// Operations of a transaction that are shown one by one; of all there is the number.
    private static let operationsMax = 32

    /// The fields of a request message, encoded; none for a message that cannot be decoded.
    static func fields(of method: Method, _ message: [UInt8]) -> [UInt8] {
        do throws(WireError) {
            return try shown(method, message)
        } catch {
            return []
        }
    }

    private static func shown(_ method: Method, _ message: [UInt8]) throws(WireError) -> [UInt8] {
        var json = JSONLine()
        switch method {
        case .range:
            let request = try RangeRequest(decoding: message)
            range(request.key, request.rangeEnd, &json)
            if request.revision != 0 { json.number("revision", request.revision) }
            if request.limit != 0 { json.number("limit", request.limit) }
            if request.serializable { json.flag("serializable", true) }
        case .put: put(try PutRequest(decoding: message), &json)
        case .deleteRange:
            let request = try DeleteRangeRequest(decoding: message)
            range(request.key, request.rangeEnd, &json)
        case .txn: txn(try TxnRequest(decoding: message), &json)
        case .compact:
            json.number("revision", try CompactionRequest(decoding: message).revision)
        case .watch:
            guard case .create(let request) = try WatchRequest(decoding: message) else { break }
            range(request.key, request.rangeEnd, &json)
            if request.startRevision != 0 { json.number("revision", request.startRevision) }
        case .leaseGrant:
            let request = try LeaseGrantRequest(decoding: message)
            json.number("lease", request.id)
            json.number("ttl", request.ttl)
        case .leaseRevoke:
            json.number("lease", try LeaseRevokeRequest(decoding: message).id)
        case .leaseTimeToLive:
            json.number("lease", try LeaseTimeToLiveRequest(decoding: message).id)
        case .leaseKeepAlive:
            json.number("lease", try LeaseKeepAliveRequest(decoding: message).id)
        case .memberAdd:
            let request = try MemberAddRequest(decoding: message)
            json.text("peer_urls", request.peerURLs.joined(separator: ","))
            if request.isLearner { json.flag("learner", true) }
        case .memberRemove: member(try MemberRemoveRequest(decoding: message).id, &json)
        case .memberUpdate:
            let request = try MemberUpdateRequest(decoding: message)
            member(request.id, &json)
            json.text("peer_urls", request.peerURLs.joined(separator: ","))
        case .memberPromote: member(try MemberPromoteRequest(decoding: message).id, &json)
        case .moveLeader: member(try MoveLeaderRequest(decoding: message).targetID, &json)
        case .alarm:
            let request = try AlarmRequest(decoding: message)
            json.number("action", Int64(request.action.rawValue))
            json.number("alarm", Int64(request.alarm.rawValue))
            member(request.memberID, &json)
        case .hashKV: json.number("revision", try HashKVRequest(decoding: message).revision)
        default: try account(method, message, &json)
        }
        return json.encodedFields
    }

    /// Names of users and roles, and the ranges that permissions are about.
    private static func account(
        _ method: Method, _ message: [UInt8], _ json: inout JSONLine
    ) throws(WireError) {
        switch method {
        case .authenticate: json.text("name", try AuthenticateRequest(decoding: message).name)
        case .userAdd: json.text("name", try AuthUserAddRequest(decoding: message).name)
        case .userChangePassword:
            json.text("name", try AuthUserChangePasswordRequest(decoding: message).name)
        case .userGet, .userDelete, .roleAdd, .roleGet, .roleDelete:
            json.text("name", try AuthNameRequest(decoding: message).name)
        case .userGrantRole, .userRevokeRole:
            let request = try AuthUserRoleRequest(decoding: message)
            json.text("name", request.user)
            json.text("role", request.role)
        case .roleGrantPermission:
            let request = try AuthRoleGrantPermissionRequest(decoding: message)
            json.text("role", request.role)
            guard let permission = request.permission else { break }
            json.number("permission", Int64(permission.kind))
            range(permission.key, permission.rangeEnd, &json)
        case .roleRevokePermission:
            let request = try AuthRoleRevokePermissionRequest(decoding: message)
            json.text("role", request.role)
            range(request.key, request.rangeEnd, &json)
        default: break
        }
    }

    private static func range(_ key: Bytes, _ end: Bytes, _ json: inout JSONLine) {
        json.key("key", key)
        if !end.isEmpty { json.key("range_end", end) }
    }

    private static func put(_ request: PutRequest, _ json: inout JSONLine) {
        json.key("key", request.key)
        json.number("value_bytes", Int64(request.value.count))
        if request.lease != 0 { json.number("lease", request.lease) }
    }

    private static func member(_ id: UInt64, _ json: inout JSONLine) {
        json.text("member", id.idText)
    }

    private static func txn(_ request: TxnRequest, _ json: inout JSONLine) {
        json.number("compares", Int64(request.compare.count))
        for (name, operations) in [
            ("success" as StaticString, request.success), ("failure", request.failure),
        ] where !operations.isEmpty {
            json.list(name, operations.prefix(operationsMax).map(operation))
            if operations.count > operationsMax {
                json.number("operations", Int64(operations.count))
            }
        }
    }

    private static func operation(_ operation: RequestOp) -> [UInt8] {
        var json = JSONLine()
        switch operation {
        case .range(let request):
            json.text("op", "range")
            range(request.key, request.rangeEnd, &json)
        case .put(let request):
            json.text("op", "put")
            put(request, &json)
        case .deleteRange(let request):
            json.text("op", "delete")
            range(request.key, request.rangeEnd, &json)
        case .txn(let request):
            json.text("op", "txn")
            txn(request, &json)
        case .none: json.text("op", "none")
        }
        return json.encodedFields
    }
}
