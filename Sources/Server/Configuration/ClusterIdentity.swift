// ClusterIdentity.swift: the ids a member and its cluster get at the first start. Belongs here: the
// ids' formula. Never here: what must agree before they are used (Cluster/), ids read back from
// disk. Source: semantics G17: member id = SHA-1(sorted peer URLs + token), cluster id =
// SHA-1(member ids), first 8 bytes.

/// The formulas of ids.
enum ClusterIdentity {
    /// The id of a member that stands in `--initial-cluster`.
    static func memberID(peerURLs: [EndpointURL], token: String) -> UInt64 {
        let urls = peerURLs.map(\.description).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        return firstEightBytes(Array((urls.joined() + token).utf8))
    }

    /// The id of a member that is added while the cluster runs.
    ///
    /// - Parameter nonce: stands where etcd has the second of the addition; drawn at random, so that the
    ///   same URLs never give the same id twice (G18).
    static func addedMemberID(peerURLs: [String], nonce: UInt64) -> UInt64 {
        let urls = peerURLs.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        return firstEightBytes(Array((urls.joined() + "\(nonce)").utf8))
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
