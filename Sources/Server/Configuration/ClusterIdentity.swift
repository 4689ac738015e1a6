// ClusterIdentity.swift: the ids a member and its cluster get at the first start. Belongs here: the
// ids' formula and what must agree before a cluster is founded. Never here: ids read back from
// disk. Source: semantics G17: member id = SHA-1(sorted peer URLs + token), cluster id =
// SHA-1(member ids), first 8 bytes.

/// The ids of a cluster at its first start.
struct ClusterIdentity: Equatable, Sendable {
    let memberID: UInt64
    let clusterID: UInt64

    /// The id of a member that stands in `--initial-cluster`.
    static func memberID(peerURLs: [EndpointURL], token: String) -> UInt64 {
        let urls = peerURLs.map(\.description).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        return firstEightBytes(Array((urls.joined() + token).utf8))
    }

    /// The id of the cluster that some members found together.
    static func clusterID(memberIDs: [UInt64]) -> UInt64 {
        let bytes = memberIDs.sorted().flatMap { id in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: id >> UInt64($0)) }
        }
        return firstEightBytes(bytes)
    }

    private static func firstEightBytes(_ message: [UInt8]) -> UInt64 {
        SHA1.digest(message).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension Configuration {
    /// The ids with which an empty data directory is filled.
    ///
    /// Call it only when there is no data yet: as in etcd the `--initial-…` settings mean nothing
    /// afterwards.
    func foundingIdentity() throws(ConfigurationError) -> ClusterIdentity {
        guard initialClusterState == .new else {
            throw .refused(
                setting: "--initial-cluster-state=existing", reason: FlagTable.clustersLater)
        }
        guard let own = initialCluster.first(where: { $0.name == name }) else {
            throw .conflict(text: "--initial-cluster has no member named \"\(name)\" (--name)")
        }
        guard Set(own.peerURLs) == Set(initialAdvertisePeerURLs) else {
            throw .conflict(
                text: "--initial-cluster and --initial-advertise-peer-urls must give this member "
                    + "the same URLs")
        }
        let ids = initialCluster.map {
            ClusterIdentity.memberID(peerURLs: $0.peerURLs, token: initialClusterToken)
        }
        return ClusterIdentity(
            memberID: ClusterIdentity.memberID(peerURLs: own.peerURLs, token: initialClusterToken),
            clusterID: ClusterIdentity.clusterID(memberIDs: ids))
    }
}
