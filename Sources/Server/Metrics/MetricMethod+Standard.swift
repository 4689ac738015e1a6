// MetricMethod+Standard.swift: the methods that etcd 3.5.16 has series for. Belongs here: the list.
// Source: its /metrics, observed; the lock and election services have none there.

extension MetricMethod {
    /// Every method with series in etcd, whether or not it is served yet: dashboards expect them.
    static let standard: [MetricMethod] = {
        let unary: [(service: String, methods: String)] = [
            ("etcdserverpb.KV", "Range Put DeleteRange Txn Compact"),
            ("etcdserverpb.Lease", "LeaseGrant LeaseRevoke LeaseTimeToLive LeaseLeases"),
            (
                "etcdserverpb.Cluster",
                "MemberAdd MemberRemove MemberUpdate MemberList MemberPromote"
            ),
            (
                "etcdserverpb.Maintenance",
                "Alarm Status Defragment Hash HashKV MoveLeader Downgrade"
            ),
            (
                "etcdserverpb.Auth",
                "AuthEnable AuthDisable AuthStatus Authenticate UserAdd UserGet UserList "
                    + "UserDelete UserChangePassword UserGrantRole UserRevokeRole RoleAdd RoleGet RoleList "
                    + "RoleDelete RoleGrantPermission RoleRevokePermission"
            ),
            ("grpc.health.v1.Health", "Check"),
        ]
        let streams = [
            MetricMethod(path: "/etcdserverpb.Watch/Watch", kind: .bidiStream),
            MetricMethod(path: "/etcdserverpb.Lease/LeaseKeepAlive", kind: .bidiStream),
            MetricMethod(path: "/etcdserverpb.Maintenance/Snapshot", kind: .serverStream),
            MetricMethod(path: "/grpc.health.v1.Health/Watch", kind: .serverStream),
        ]
        return unary.flatMap { service, methods in
            methods.split(separator: " ").map {
                MetricMethod(path: "/\(service)/\($0)", kind: .unary)
            }
        } + streams
    }()

    /// The served methods in their order, then those that dashboards expect besides.
    ///
    /// An index into the table of served methods is so an index into ``Metrics/methods`` too.
    static func completing(_ served: [MetricMethod]) -> [MetricMethod] {
        let paths = Set(served.map(\.path))
        return served + standard.filter { !paths.contains($0.path) }
    }
}
