// Method.swift: the methods this server answers, in the order of their numbers.
// Belongs here: names and kinds. Never here: handlers (Front.swift).
// Source: services.tsv of etcd's interface; a method that is not here is Unimplemented.

internal import Transport

/// A method, by its place in the table that Transport routes by.
enum Method: Int, CaseIterable, Sendable {
    case range, put, deleteRange, txn, compact
    case watch
    case leaseGrant, leaseRevoke, leaseKeepAlive, leaseTimeToLive, leaseLeases
    case memberList, memberAdd, memberRemove, memberUpdate, memberPromote
    case alarm, status, defragment, hash, hashKV, snapshot, moveLeader
    case authEnable, authDisable, authStatus, authenticate
    case userAdd, userGet, userList, userDelete, userChangePassword, userGrantRole, userRevokeRole
    case roleAdd, roleGet, roleList, roleDelete, roleGrantPermission, roleRevokePermission
    case healthCheck, healthWatch, healthList
    case rangeStream, downgrade
    case lock, unlock
    case campaign, proclaim, leader, observe, resign

    /// The `:path` of its calls.
    var path: String {
        switch self {
        case .range: "/etcdserverpb.KV/Range"
        case .put: "/etcdserverpb.KV/Put"
        case .deleteRange: "/etcdserverpb.KV/DeleteRange"
        case .txn: "/etcdserverpb.KV/Txn"
        case .compact: "/etcdserverpb.KV/Compact"
        case .watch: "/etcdserverpb.Watch/Watch"
        case .leaseGrant: "/etcdserverpb.Lease/LeaseGrant"
        case .leaseRevoke: "/etcdserverpb.Lease/LeaseRevoke"
        case .leaseKeepAlive: "/etcdserverpb.Lease/LeaseKeepAlive"
        case .leaseTimeToLive: "/etcdserverpb.Lease/LeaseTimeToLive"
        case .leaseLeases: "/etcdserverpb.Lease/LeaseLeases"
        case .memberList: "/etcdserverpb.Cluster/MemberList"
        case .memberAdd: "/etcdserverpb.Cluster/MemberAdd"
        case .memberRemove: "/etcdserverpb.Cluster/MemberRemove"
        case .memberUpdate: "/etcdserverpb.Cluster/MemberUpdate"
        case .memberPromote: "/etcdserverpb.Cluster/MemberPromote"
        case .alarm: "/etcdserverpb.Maintenance/Alarm"
        case .status: "/etcdserverpb.Maintenance/Status"
        case .defragment: "/etcdserverpb.Maintenance/Defragment"
        case .hash: "/etcdserverpb.Maintenance/Hash"
        case .hashKV: "/etcdserverpb.Maintenance/HashKV"
        case .snapshot: "/etcdserverpb.Maintenance/Snapshot"
        case .moveLeader: "/etcdserverpb.Maintenance/MoveLeader"
        case .authEnable: "/etcdserverpb.Auth/AuthEnable"
        case .authDisable: "/etcdserverpb.Auth/AuthDisable"
        case .authStatus: "/etcdserverpb.Auth/AuthStatus"
        case .authenticate: "/etcdserverpb.Auth/Authenticate"
        case .userAdd: "/etcdserverpb.Auth/UserAdd"
        case .userGet: "/etcdserverpb.Auth/UserGet"
        case .userList: "/etcdserverpb.Auth/UserList"
        case .userDelete: "/etcdserverpb.Auth/UserDelete"
        case .userChangePassword: "/etcdserverpb.Auth/UserChangePassword"
        case .userGrantRole: "/etcdserverpb.Auth/UserGrantRole"
        case .userRevokeRole: "/etcdserverpb.Auth/UserRevokeRole"
        case .roleAdd: "/etcdserverpb.Auth/RoleAdd"
        case .roleGet: "/etcdserverpb.Auth/RoleGet"
        case .roleList: "/etcdserverpb.Auth/RoleList"
        case .roleDelete: "/etcdserverpb.Auth/RoleDelete"
        case .roleGrantPermission: "/etcdserverpb.Auth/RoleGrantPermission"
        case .roleRevokePermission: "/etcdserverpb.Auth/RoleRevokePermission"
        case .healthCheck: "/grpc.health.v1.Health/Check"
        case .healthWatch: "/grpc.health.v1.Health/Watch"
        case .healthList: "/grpc.health.v1.Health/List"
        case .rangeStream: "/etcdserverpb.KV/RangeStream"
        case .downgrade: "/etcdserverpb.Maintenance/Downgrade"
        case .lock: "/v3lockpb.Lock/Lock"
        case .unlock: "/v3lockpb.Lock/Unlock"
        case .campaign: "/v3electionpb.Election/Campaign"
        case .proclaim: "/v3electionpb.Election/Proclaim"
        case .leader: "/v3electionpb.Election/Leader"
        case .observe: "/v3electionpb.Election/Observe"
        case .resign: "/v3electionpb.Election/Resign"
        }
    }

    /// How many messages each side sends.
    var kind: RPCKind {
        switch self {
        case .watch, .leaseKeepAlive: .bidi
        case .snapshot, .healthWatch, .rangeStream, .observe: .serverStream
        default: .unary
        }
    }

    /// The methods by their path.
    static let byPath = Dictionary(uniqueKeysWithValues: allCases.map { ($0.path, $0) })

    /// The table for Transport.
    static var table: [RPCMethod] {
        allCases.map { RPCMethod(path: $0.path, kind: $0.kind) }
    }
}
