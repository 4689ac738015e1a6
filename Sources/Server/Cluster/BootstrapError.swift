// BootstrapError.swift: why a member must not begin with the settings and data it has.
// Belongs here: the cases and their texts for operators. Never here: deciding (BootstrapPlan).
// Source: etcd 3.5.16's texts where it has them, each followed by what to do.

/// A reason not to begin; nothing was written.
enum BootstrapError: Error, Equatable, CustomStringConvertible {
    /// `--name` is not in `--initial-cluster`.
    case nameUnknown(String, cluster: String)
    /// Two members, or one twice, have the same URL.
    case duplicateURL(cluster: String)
    /// `--initial-cluster` gives this member URLs that it does not advertise.
    case notAdvertised([String], advertised: [String])
    /// This member advertises URLs that `--initial-cluster` does not give it.
    case notInCluster([String], cluster: String)
    /// Nobody told who the members are.
    case noAnswer([String])
    /// The cluster has more or fewer members than were given.
    case memberCount(running: [WireMember], given: Int)
    /// A member of the cluster was not given.
    case unmatched(WireMember, running: [WireMember])
    /// No member of the cluster has this member's URLs.
    case ownURLsUnknown([String], running: [WireMember])
    /// The cluster knows this id as one that has started: the directory's data is gone.
    case alreadyBootstrapped(UInt64)
    /// The id was removed, and never comes back (K5).
    case removed(UInt64)
    /// The members given run another cluster than the one to be founded.
    case otherCluster(running: UInt64, own: UInt64)
    /// The directory has the data of an etcd member, which would lie there unread.
    case etcdData(directory: String)
    /// The process was told to stop before it knew how to begin.
    case interrupted
    /// The cluster did not replace the member whose data is gone.
    case notReplaced(UInt64, EtcdError)

    var description: String {
        switch self {
        case .nameUnknown(let name, let cluster):
            "couldn't find local name \"\(name)\" in the initial cluster configuration: "
                + "--initial-cluster is \(cluster); give --name as it stands there"
        case .duplicateURL(let cluster):
            "initial cluster \(cluster) has duplicated url: each member needs URLs of its own"
        case .notAdvertised(let urls, let advertised):
            "--initial-cluster has \(list(urls)) but missing from "
                + "--initial-advertise-peer-urls=\(list(advertised))"
        case .notInCluster(let urls, let cluster):
            "--initial-advertise-peer-urls has \(list(urls)) but missing from "
                + "--initial-cluster=\(cluster)"
        case .noAnswer(let urls):
            "cannot fetch cluster info from peer urls: no member answered at "
                + "\(urls.isEmpty ? "none, as --initial-cluster names no other" : list(urls)); "
                + "give all members in --initial-cluster, and see that they run"
        case .memberCount, .unmatched, .ownURLsUnknown: mismatch
        case .alreadyBootstrapped(let id):
            "member \(id.idText) has already been bootstrapped: its data is gone from this "
                + "directory. Put it back, or start with --initial-cluster-state=existing: the "
                + "member then rejoins with a fresh identity"
        case .etcdData(let directory):
            "\(directory) has the data of an etcd member (\(directory)/member): nothing of it was "
                + "changed. Bring it over with martlet import \(directory) --data-dir=NEW and start "
                + "with that, or give another --data-dir"
        case .removed(let id):
            "the member has been permanently removed from the cluster: id \(id.idText) never comes "
                + "back. Add it anew (etcdctl member add) and start it with an empty --data-dir"
        case .otherCluster(let running, let own):
            "cluster ID mismatch: the other members run cluster \(running.idText), the settings "
                + "found \(own.idText). To join them, add this member there (etcdctl member add) and "
                + "start it with --initial-cluster-state=existing"
        case .interrupted: "stopped before the cluster had answered; nothing was written"
        case .notReplaced(let id, let error): Self.notReplaced(id, error)
        }
    }

    private var mismatch: String {
        switch self {
        case .memberCount(let running, let given):
            "error validating peerURLs \(Self.show(running)): member count is unequal: the "
                + "cluster has \(running.count), --initial-cluster \(given)\(Self.hint)"
        case .unmatched(let member, let running):
            "error validating peerURLs \(Self.show(running)): unmatched member while checking "
                + "PeerURLs (\(Self.show([member])) is not in --initial-cluster)\(Self.hint)"
        case .ownURLsUnknown(let urls, let running):
            "error validating peerURLs \(Self.show(running)): no member has the URLs "
                + "\(list(urls)): add this one first (etcdctl member add)"
        default: ""
        }
    }

    private static let hint = ": give it as etcdctl member add printed it"

    private static func show(_ members: [WireMember]) -> String {
        members.map { "{\($0.id.idText) \($0.name) \(list($0.peerURLs))}" }.joined(separator: " ")
    }

    private static func notReplaced(_ id: UInt64, _ error: EtcdError) -> String {
        let advice =
            switch error {
            case .memberExists:
                "it is still connected to the cluster: stop the process that runs as this member, "
                    + "or wait until its connections have ended"
            case .tooManyLearners:
                "another learner is catching up: wait for its promotion, or raise --max-learners"
            case .notEnoughStartedMembers, .unhealthy:
                "the cluster needs every member it has left: start the others first"
            case .memberNotFound: "it was removed meanwhile: add it anew (etcdctl member add)"
            default: "try again"
            }
        return "member \(id.idText) was not replaced (\(error.rawValue)): \(advice)"
    }
}

private func list(_ urls: [String]) -> String { urls.joined(separator: ",") }
