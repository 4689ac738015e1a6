// GatewayRoutes.swift: which path of the JSON gateway is which method.
// Belongs here: paths, and the messages of a method. Never here: what a method does.
// Source: services.tsv of etcd's interface; /v3beta/ is read as /v3/, as etcd does.

/// One method as the gateway serves it.
struct GatewayRoute: Sendable {
    /// The `:path` of the same method in gRPC.
    let path: String
    /// The request, by its place in the table of messages.
    let request: Int
    /// The response.
    let response: Int
}

enum GatewayRoutes {
    /// Whether a path belongs to the gateway, known or not.
    static func owns(_ path: String) -> Bool {
        path.hasPrefix("/v3/") || path.hasPrefix("/v3beta/")
    }

    /// The method of a path.
    static func route(_ path: String) -> GatewayRoute? {
        guard owns(path) else { return nil }
        let name = path.hasPrefix("/v3/") ? path.dropFirst(4) : path.dropFirst(8)
        return all[String(name)]
    }

    /// By the path after `/v3/`.
    static let all: [String: GatewayRoute] = {
        var routes: [String: GatewayRoute] = [:]
        let table = DescriptorTable.etcd
        for line in lines.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            precondition(words.count == 4, "no route: \(line)")
            let isKnown = routes.updateValue(
                GatewayRoute(
                    path: (words[1].contains(".") ? "/" : "/etcdserverpb.") + words[1],
                    request: table.message(words[2]),
                    response: table.message(words[3])), forKey: words[0])
            precondition(isKnown == nil, "\(words[0]) twice")
        }
        return routes
    }()

    /// The path after `/v3/`, the method (of etcdserverpb if no package is named), its messages.
    private static let lines = """
        kv/range KV/Range RangeRequest RangeResponse
        kv/put KV/Put PutRequest PutResponse
        kv/deleterange KV/DeleteRange DeleteRangeRequest DeleteRangeResponse
        kv/txn KV/Txn TxnRequest TxnResponse
        kv/compaction KV/Compact CompactionRequest CompactionResponse
        watch Watch/Watch WatchRequest WatchResponse
        lease/grant Lease/LeaseGrant LeaseGrantRequest LeaseGrantResponse
        lease/revoke Lease/LeaseRevoke LeaseRevokeRequest LeaseRevokeResponse
        kv/lease/revoke Lease/LeaseRevoke LeaseRevokeRequest LeaseRevokeResponse
        lease/keepalive Lease/LeaseKeepAlive LeaseKeepAliveRequest LeaseKeepAliveResponse
        lease/timetolive Lease/LeaseTimeToLive LeaseTimeToLiveRequest LeaseTimeToLiveResponse
        kv/lease/timetolive Lease/LeaseTimeToLive LeaseTimeToLiveRequest LeaseTimeToLiveResponse
        lease/leases Lease/LeaseLeases LeaseLeasesRequest LeaseLeasesResponse
        kv/lease/leases Lease/LeaseLeases LeaseLeasesRequest LeaseLeasesResponse
        cluster/member/add Cluster/MemberAdd MemberAddRequest MemberAddResponse
        cluster/member/remove Cluster/MemberRemove MemberRemoveRequest MemberRemoveResponse
        cluster/member/update Cluster/MemberUpdate MemberUpdateRequest MemberUpdateResponse
        cluster/member/list Cluster/MemberList MemberListRequest MemberListResponse
        cluster/member/promote Cluster/MemberPromote MemberPromoteRequest MemberPromoteResponse
        maintenance/alarm Maintenance/Alarm AlarmRequest AlarmResponse
        maintenance/status Maintenance/Status StatusRequest StatusResponse
        maintenance/defragment Maintenance/Defragment DefragmentRequest DefragmentResponse
        maintenance/hash Maintenance/Hash HashRequest HashResponse
        maintenance/hashkv Maintenance/HashKV HashKVRequest HashKVResponse
        maintenance/snapshot Maintenance/Snapshot SnapshotRequest SnapshotResponse
        maintenance/transfer-leadership Maintenance/MoveLeader MoveLeaderRequest MoveLeaderResponse
        maintenance/downgrade Maintenance/Downgrade DowngradeRequest DowngradeResponse
        auth/enable Auth/AuthEnable AuthEnableRequest AuthEnableResponse
        auth/disable Auth/AuthDisable AuthDisableRequest AuthDisableResponse
        auth/status Auth/AuthStatus AuthStatusRequest AuthStatusResponse
        auth/authenticate Auth/Authenticate AuthenticateRequest AuthenticateResponse
        auth/user/add Auth/UserAdd AuthUserAddRequest AuthUserAddResponse
        auth/user/get Auth/UserGet AuthUserGetRequest AuthUserGetResponse
        auth/user/list Auth/UserList AuthUserListRequest AuthUserListResponse
        auth/user/delete Auth/UserDelete AuthUserDeleteRequest AuthUserDeleteResponse
        auth/user/changepw Auth/UserChangePassword AuthUserChangePasswordRequest AuthUserChangePasswordResponse
        auth/user/grant Auth/UserGrantRole AuthUserGrantRoleRequest AuthUserGrantRoleResponse
        auth/user/revoke Auth/UserRevokeRole AuthUserRevokeRoleRequest AuthUserRevokeRoleResponse
        auth/role/add Auth/RoleAdd AuthRoleAddRequest AuthRoleAddResponse
        auth/role/get Auth/RoleGet AuthRoleGetRequest AuthRoleGetResponse
        auth/role/list Auth/RoleList AuthRoleListRequest AuthRoleListResponse
        auth/role/delete Auth/RoleDelete AuthRoleDeleteRequest AuthRoleDeleteResponse
        auth/role/grant Auth/RoleGrantPermission AuthRoleGrantPermissionRequest AuthRoleGrantPermissionResponse
        auth/role/revoke Auth/RoleRevokePermission AuthRoleRevokePermissionRequest AuthRoleRevokePermissionResponse
        lock/lock v3lockpb.Lock/Lock LockRequest LockResponse
        lock/unlock v3lockpb.Lock/Unlock UnlockRequest UnlockResponse
        election/campaign v3electionpb.Election/Campaign CampaignRequest CampaignResponse
        election/proclaim v3electionpb.Election/Proclaim ProclaimRequest ProclaimResponse
        election/leader v3electionpb.Election/Leader LeaderRequest LeaderResponse
        election/observe v3electionpb.Election/Observe LeaderRequest LeaderResponse
        election/resign v3electionpb.Election/Resign ResignRequest ResignResponse
        """
}
