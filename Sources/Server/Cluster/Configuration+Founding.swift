// Configuration+Founding.swift: what the --initial-… settings say of this member and the others.
// Belongs here: checks and lists that need no running member. Never here: which plan follows
// (BootstrapPlan).
// Source: etcd 3.5.16's checks before bootstrap, observed; semantics G17. They bind an empty
// directory only, so they are not part of loading the settings.

internal import Storage

extension Configuration {
    /// The members that found a cluster together, as each of them computes the list: by ascending id.
    ///
    /// Client URLs follow when a member publishes them (K9).
    var foundingMembers: [MemberRow] {
        let rows = initialCluster.map { member in
            MemberRow(
                id: ClusterIdentity.memberID(
                    peerURLs: member.peerURLs, token: initialClusterToken),
                name: member.name, peerURLs: member.peerURLs.map(\.description), clientURLs: [],
                isLearner: false)
        }
        return rows.sorted { $0.id < $1.id }
    }

    /// This member's entry in `--initial-cluster`.
    func ownInitialMember() throws(BootstrapError) -> InitialMember {
        guard let own = initialCluster.first(where: { $0.name == name }) else {
            throw .nameUnknown(name, cluster: initialClusterText)
        }
        let urls = initialCluster.flatMap(\.peerURLs)
        guard Set(urls).count == urls.count else {
            throw .duplicateURL(cluster: initialClusterText)
        }
        return own
    }

    /// Refuses a founder whose two settings of its own URLs differ.
    func checkAdvertisedURLs(of own: InitialMember) throws(BootstrapError) {
        let advertised = initialAdvertisePeerURLs
        let extra = own.peerURLs.filter { !advertised.contains($0) }
        guard extra.isEmpty else {
            throw .notAdvertised(
                extra.map { "\(name)=\($0)" }, advertised: advertised.map(\.description))
        }
        let missing = advertised.filter { !own.peerURLs.contains($0) }
        guard missing.isEmpty else {
            throw .notInCluster(missing.map(\.description), cluster: initialClusterText)
        }
    }

    /// `--initial-cluster` as it is written.
    private var initialClusterText: String {
        initialCluster.flatMap { member in member.peerURLs.map { "\(member.name)=\($0)" } }
            .joined(separator: ",")
    }
}
