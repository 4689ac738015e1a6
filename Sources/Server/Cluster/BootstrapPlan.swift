// BootstrapPlan.swift: how a member begins: with its data, as a founder, or in a cluster that runs.
// Belongs here: the decision, from settings, directory and what a running member said. Never here:
// asking it (the bootstrap channel), texts of refusals (BootstrapError).
// Source: etcd semantics G17, K9, K10; etcd's checks before bootstrap, observed on 3.5.16.
//
//   identity stored ──────────────────────────────────────────────▶ restart
//   empty, state new ──nobody knows this id as started───────────▶ found
//   empty, state existing ──own URLs belong to a member────────────┐
//                             which never started ───────────────▶ join
//                             which has started: its disk is lost ▶ rejoin

internal import Storage

/// What a member does at its start.
enum BootstrapPlan: Equatable, Sendable {
    /// Go on with the data that is there; the `--initial-…` settings mean nothing (K10).
    case restart(Identity)
    /// Begin a cluster with these members; all founders compute the same list.
    case found(Identity, members: [MemberRow])
    /// Take the place of a member that was added and never started.
    case join(Identity, members: [MemberRow])
    /// Ask the cluster for a fresh identity in place of a member whose data is gone, then join with it.
    ///
    /// Its old id must not be used again: with the disk went votes and acknowledgements that others rely
    /// on. The request is `MemberReplaceRequest`; its answer, a MemberAddResponse, names the new id.
    case rejoin(old: MemberRow, clusterID: UInt64, members: [MemberRow])

    /// Decides; it asks nobody and writes nothing.
    ///
    /// - Parameters:
    ///   - stored: whose directory it is; nil for an empty one.
    ///   - running: what a member of ``peersToAsk(_:)`` said; nil if none answered, or none was asked.
    static func decide(
        _ configuration: Configuration, stored: Identity?, running: BootstrapResponse?
    ) throws(BootstrapError) -> BootstrapPlan {
        if let stored {
            if running?.isRemoved == true { throw .removed(stored.memberID) }
            return .restart(stored)
        }
        let own = try configuration.ownInitialMember()
        switch configuration.initialClusterState {
        case .new: return try found(configuration, own, running: running)
        case .existing: return try join(configuration, own, running: running)
        }
    }

    /// Whom to ask before an empty directory is used: the other members, and about which id.
    static func peersToAsk(
        _ configuration: Configuration
    ) -> (urls: [EndpointURL], request: BootstrapRequest) {
        let others = configuration.initialCluster.filter { $0.name != configuration.name }
        var request = BootstrapRequest()
        if configuration.initialClusterState == .new,
            let own = configuration.initialCluster.first(where: { $0.name == configuration.name })
        {
            request.memberID = ClusterIdentity.memberID(
                peerURLs: own.peerURLs, token: configuration.initialClusterToken)
        }
        return (others.flatMap(\.peerURLs), request)
    }

    /// What to ask for when a member rejoins.
    static func replacement(of old: MemberRow, _ configuration: Configuration)
        -> MemberReplaceRequest
    {
        MemberReplaceRequest(oldID: old.id, name: configuration.name)
    }

    // MARK: founding

    private static func found(
        _ configuration: Configuration, _ own: InitialMember, running: BootstrapResponse?
    ) throws(BootstrapError) -> BootstrapPlan {
        try configuration.checkAdvertisedURLs(of: own)
        let members = configuration.foundingMembers
        let identity = Identity(
            clusterID: ClusterIdentity.clusterID(memberIDs: members.map(\.id)),
            memberID: ClusterIdentity.memberID(
                peerURLs: own.peerURLs, token: configuration.initialClusterToken))
        if let running {
            guard !running.isRemoved else { throw .removed(identity.memberID) }
            // Its client URLs are known once it has started (K9).
            let known = running.members.first { $0.id == identity.memberID }
            guard known?.clientURLs.isEmpty ?? true else {
                throw .alreadyBootstrapped(identity.memberID)
            }
            guard running.clusterID == identity.clusterID else {
                throw .otherCluster(running: running.clusterID, own: identity.clusterID)
            }
        }
        return .found(identity, members: members)
    }

    // MARK: joining

    private static func join(
        _ configuration: Configuration, _ own: InitialMember, running: BootstrapResponse?
    ) throws(BootstrapError) -> BootstrapPlan {
        guard let running else {
            throw .noAnswer(peersToAsk(configuration).urls.map(\.description))
        }
        let given = configuration.initialCluster
        guard given.count == running.members.count else {
            throw .memberCount(running: running.members, given: given.count)
        }
        for member in running.members {
            guard given.contains(where: { matches(member, $0) }) else {
                throw .unmatched(member, running: running.members)
            }
        }
        guard let member = running.members.first(where: { matches($0, own) }) else {
            throw .ownURLsUnknown(own.peerURLs.map(\.description), running: running.members)
        }
        let rows = running.members.map(MemberRow.init)
        guard member.clientURLs.isEmpty else {
            return .rejoin(old: MemberRow(member), clusterID: running.clusterID, members: rows)
        }
        return .join(
            Identity(clusterID: running.clusterID, memberID: member.id), members: rows)
    }

    /// Whether both have the same URLs; they are compared as text, no name is looked up.
    private static func matches(_ member: WireMember, _ given: InitialMember) -> Bool {
        Set(member.peerURLs) == Set(given.peerURLs.map(\.description))
    }
}

extension BootstrapPlan: CustomStringConvertible {
    /// What happens, for the log.
    var description: String {
        switch self {
        case .restart(let identity):
            "member \(identity.memberID.idText) goes on with its data"
        case .found(let identity, let members):
            "member \(identity.memberID.idText) founds cluster \(identity.clusterID.idText) "
                + "with \(members.count) members"
        case .join(let identity, _):
            "member \(identity.memberID.idText) joins cluster \(identity.clusterID.idText)"
        case .rejoin(let old, let clusterID, _):
            "the data of member \(old.id.idText) is gone: asking cluster \(clusterID.idText) for a "
                + "fresh identity in its place; it will vote again once it has caught up"
        }
    }
}

extension MemberRow {
    /// A member as another member's answer shows it.
    init(_ member: WireMember) {
        self.init(
            id: member.id, name: member.name, peerURLs: member.peerURLs,
            clientURLs: member.clientURLs, isLearner: member.isLearner)
    }
}

extension UInt64 {
    /// The number as etcd's tools print ids (G19).
    var idText: String { String(self, radix: 16) }
}
