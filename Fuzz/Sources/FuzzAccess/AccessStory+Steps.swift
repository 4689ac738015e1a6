// AccessStory+Steps.swift: one try of one caller: any RPC, with what the oracle says of it.
// Belongs here: requests and their verdicts. Never here: the check (AccessStory.swift).
// Root makes no call that ends the story: other members, no auth, no leader.

import Transport

@testable import Server

extension AccessStory {
    mutating func step(_ caller: String?) throws {
        switch draw.number(9) {
        case 0: try readOrWrite(caller)
        case 1:
            let txn = draw.txn(depth: 3)
            let isAllowed = oracle.grant(caller).allows(txn, leased: foreign(caller))
            try attempt(caller, .txn, txn.encoded(), keys(caller, isAllowed))
        case 2: try watch(caller)
        case 3: try lease(caller)
        case 4: try changeGrants(caller)
        case 5: try ask(caller)
        case 6: try coordinate(caller)
        case 7: try tryWhatOnlyRootMay(caller)
        default:
            let method = draw.one(of: Method.allCases)
            let message = draw.raw()
            if !oracle.isRoot(caller) { try attempt(caller, method, message, .open) }
        }
    }

    private func keys(_ caller: String?, _ isAllowed: Bool) -> Verdict {
        oracle.isRoot(caller) || oracle.isUser(caller) && isAllowed ? .allowed : .refused
    }

    private func verdict(_ isAllowed: Bool) -> Verdict { isAllowed ? .allowed : .refused }

    /// The keys of each lease that a caller may not write.
    private func foreign(_ caller: String?) -> [Int64: Set<[UInt8]>] {
        var found: [Int64: Set<[UInt8]>] = [:]
        for (key, record) in stored where !oracle.mayWrite(caller, key) {
            found[record.lease, default: []].insert(key)
        }
        // Keys without a lease are under no lease.
        found[0] = nil
        return found
    }

    private mutating func readOrWrite(_ caller: String?) throws {
        let grant = oracle.grant(caller)
        switch draw.number(4) {
        case 0:
            let request = draw.range()
            try attempt(caller, .range, request.encoded(), keys(caller, grant.allows(request)))
        case 1:
            let request = draw.range()
            // A stream that is refused ends with the same status.
            try attempt(
                caller, .rangeStream, request.encoded(), keys(caller, grant.allows(request)))
        case 2:
            let request = draw.put()
            let isAllowed = grant.allows(request, leased: foreign(caller))
            try attempt(caller, .put, request.encoded(), keys(caller, isAllowed))
        default:
            let request = draw.delete()
            try attempt(
                caller, .deleteRange, request.encoded(), keys(caller, grant.allows(request)))
        }
    }

    private mutating func watch(_ caller: String?) throws {
        var create = WatchCreateRequest(key: draw.key(), rangeEnd: draw.rangeEnd())
        create.startRevision = Int64(draw.number(2))
        create.prevKV = draw.flag()
        let range = RangeRequest(key: create.key, rangeEnd: create.rangeEnd)
        let verdict =
            create.isRangeEmpty ? .open : keys(caller, oracle.grant(caller).allows(range))
        try attempt(caller, .watch, WatchRequest.create(create).encoded(), verdict)
    }

    private mutating func lease(_ caller: String?) throws {
        let id = draw.one(of: [1, 2, 9] as [Int64])
        let ownsAll = foreign(caller)[id] == nil
        switch draw.number(5) {
        case 0:
            let grant = LeaseGrantRequest(ttl: 600, id: id)
            try attempt(caller, .leaseGrant, grant.encoded(), verdict(oracle.isUser(caller)))
        case 1:
            let revoke = LeaseRevokeRequest(id: id)
            try attempt(caller, .leaseRevoke, revoke.encoded(), keys(caller, ownsAll))
        case 2:
            let renewal = LeaseKeepAliveRequest(id: id)
            try attempt(caller, .leaseKeepAlive, renewal.encoded(), keys(caller, ownsAll))
        case 3:
            let question = LeaseTimeToLiveRequest(id: id, keys: draw.flag())
            let seesAll = stored.allSatisfy { key, record in
                record.lease != id || oracle.mayRead(caller, key)
            }
            try attempt(
                caller, .leaseTimeToLive, question.encoded(),
                keys(caller, seesAll || !question.keys))
        default:
            let seesAll = stored.allSatisfy { key, record in
                record.lease == 0 || oracle.mayRead(caller, key)
            }
            try attempt(caller, .leaseLeases, [], keys(caller, seesAll))
        }
    }

    private mutating func changeGrants(_ caller: String?) throws {
        let role = draw.one(of: ["r0", "r1", "r2"])
        let user = draw.one(of: ["u0", "u1"])
        let verdict = verdict(oracle.isRoot(caller))
        let pair = AuthUserRoleRequest(user: user, role: role).encoded()
        let name = AuthNameRequest(name: role).encoded()
        switch draw.number(6) {
        case 0:
            let permission = draw.permission()
            let request = AuthRoleGrantPermissionRequest(role: role, permission: permission)
            let call = try attempt(caller, .roleGrantPermission, request.encoded(), verdict)
            if call.status == .ok { oracle.set(permission, of: role) }
        case 1:
            let given = oracle.roles[role]?.first
            let request = AuthRoleRevokePermissionRequest(
                role: role, key: given?.key ?? draw.key(), rangeEnd: given?.rangeEnd ?? Bytes())
            let call = try attempt(caller, .roleRevokePermission, request.encoded(), verdict)
            if call.status == .ok { oracle.unset(request.key, request.rangeEnd, of: role) }
        case 2:
            if try attempt(caller, .userGrantRole, pair, verdict).status == .ok {
                oracle.users[user]?.insert(role)
            }
        case 3:
            if try attempt(caller, .userRevokeRole, pair, verdict).status == .ok {
                oracle.users[user]?.remove(role)
            }
        case 4:
            if try attempt(caller, .roleDelete, name, verdict).status == .ok {
                oracle.remove(role: role)
            }
        default:
            if try attempt(caller, .roleAdd, name, verdict).status == .ok {
                oracle.roles[role] = []
            }
        }
    }

    /// Questions about the server, its members, users and roles.
    private mutating func ask(_ caller: String?) throws {
        let isUser = oracle.isUser(caller)
        let isRoot = oracle.isRoot(caller)
        switch draw.number(8) {
        case 0: try attempt(caller, .status, [], verdict(isUser))
        case 1:
            let request = MemberListRequest(linearizable: draw.flag())
            try attempt(caller, .memberList, request.encoded(), verdict(isUser))
        case 2: try attempt(caller, .alarm, AlarmRequest().encoded(), verdict(isUser))
        case 3: try attempt(caller, .userList, [], verdict(isRoot))
        case 4: try attempt(caller, .roleList, [], verdict(isRoot))
        case 5:
            let name = draw.one(of: ["u0", "u1", "root"])
            try attempt(
                caller, .userGet, AuthNameRequest(name: name).encoded(),
                verdict(isRoot || caller == name))
        case 6:
            let name = draw.one(of: ["r0", "r1", "r2"])
            try attempt(
                caller, .roleGet, AuthNameRequest(name: name).encoded(),
                verdict(isRoot || oracle.has(caller, role: name)))
        default: try attempt(caller, .authStatus, [], .allowed)
        }
    }

    /// Locks and elections: calls made of others, of which each is checked.
    private mutating func coordinate(_ caller: String?) throws {
        let name = draw.key()
        let lease: Int64 = draw.flag() ? 9 : 0
        let known = stored.keys.sorted { $0.lexicographicallyPrecedes($1) }
        let key = known.isEmpty ? name : Bytes(known[draw.number(known.count)])
        let leader = LeaderKey(
            name: name, key: key, revision: Int64(draw.number(20)), lease: lease)
        switch draw.number(7) {
        case 0:
            try attempt(caller, .lock, LockRequest(name: name, lease: lease).encoded(), .open)
        case 1: try attempt(caller, .unlock, UnlockRequest(key: key).encoded(), .open)
        case 2:
            let request = CampaignRequest(name: name, lease: lease, value: "v")
            try attempt(caller, .campaign, request.encoded(), .open)
        case 3: try attempt(caller, .leader, LeaderRequest(name: name).encoded(), .open)
        case 4: try attempt(caller, .observe, LeaderRequest(name: name).encoded(), .open)
        case 5:
            let request = ProclaimRequest(leader: leader, value: "v")
            try attempt(caller, .proclaim, request.encoded(), .open)
        default: try attempt(caller, .resign, ResignRequest(leader: leader).encoded(), .open)
        }
    }

    private mutating func tryWhatOnlyRootMay(_ caller: String?) throws {
        let choice = draw.number(16)
        guard !oracle.isRoot(caller) else {
            switch choice {
            case 0: try attempt(caller, .hash, [], .allowed)
            case 1: try attempt(caller, .hashKV, [], .allowed)
            case 2: try attempt(caller, .defragment, [], .allowed)
            default:
                let request = CompactionRequest(revision: Int64(draw.number(20)))
                try attempt(caller, .compact, request.encoded(), .allowed)
            }
            return
        }
        var user = AuthUserAddRequest(name: "new")
        user.options.noPassword = true
        let requests: [(Method, [UInt8])] = [
            (.hash, []), (.hashKV, []), (.defragment, []), (.snapshot, []),
            (.compact, CompactionRequest(revision: 2).encoded()),
            (.moveLeader, MoveLeaderRequest(targetID: 1).encoded()),
            (.memberAdd, MemberAddRequest(peerURLs: ["http://10.0.0.1:1"]).encoded()),
            (.memberRemove, MemberRemoveRequest(id: ReplicaRig.identity.memberID).encoded()),
            (.memberPromote, MemberPromoteRequest(id: 1).encoded()),
            (.alarm, AlarmRequest(action: .activate, alarm: .noSpace).encoded()),
            (.alarm, AlarmRequest(action: .deactivate, alarm: .noSpace).encoded()),
            (.authEnable, []), (.authDisable, []), (.userAdd, user.encoded()),
            (.userDelete, AuthNameRequest(name: "u0").encoded()),
            (.userChangePassword, AuthUserChangePasswordRequest(name: "root").encoded()),
        ]
        let (method, message) = requests[choice]
        try attempt(caller, method, message, .refused)
    }
}
