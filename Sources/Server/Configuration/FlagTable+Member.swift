// FlagTable+Member.swift: the flags that say who this member is, where it listens and how its Raft
// group runs. Belongs here: names, defaults, parsers, standing. Source: etcd --help of 3.4.45 to
// 3.7.1 (names and defaults).

extension FlagTable {
    static let noAuthYet = "users and roles come with a later version"
    static let noPeersYet = "one node has no peers yet; clusters come with a later version"
    static let clustersLater = "clusters of several members come with a later version"

    static let member: [Flag] = [
        Flag("name", default: "default", .member, .text(\.name), "Human name of this member."),
        Flag(
            "data-dir", default: "${name}.martlet", .member, .text(\.dataDirectory),
            "Directory of the data; created with mode 0700."),
        Flag(
            "wal-dir", default: "", .member,
            .refused("the log lies in the data directory"), .anyText,
            "Separate directory of the log."),
        Flag(
            "listen-client-urls", default: "http://localhost:2379", .member,
            .bindURLs(\.listenClientURLs), "Where to serve clients."),
        Flag(
            "listen-client-http-urls", default: "", .member,
            .bindURLs(\.listenClientHTTPURLs, mayBeEmpty: true),
            "Where to serve HTTP instead of on the client URLs."),
        Flag(
            "listen-metrics-urls", default: "", .member,
            .bindURLs(\.listenMetricsURLs, mayBeEmpty: true),
            "Where to serve only /metrics, /health, /livez and /readyz."),
        Flag(
            "listen-peer-urls", default: "http://localhost:2380", .member,
            .withoutEffect(noPeersYet), .bindURLs(\.listenPeerURLs), "Where to listen for peers."),
        Flag(
            "snapshot-count", default: "10000", .member,
            .withoutEffect("checkpoints follow the memory that changed pages take"),
            .integer(\.snapshotCount, in: 1...UInt64.max),
            "Log entries between two checkpoints of the database."),
        Flag(
            "heartbeat-interval", default: "100", .member,
            .integer(\.heartbeatIntervalMilliseconds, in: 1...50_000),
            "Milliseconds between heartbeats of the leader."),
        Flag(
            "election-timeout", default: "1000", .member,
            .integer(\.electionTimeoutMilliseconds, in: 1...50_000),
            "Milliseconds without heartbeat before an election; at least 5 heartbeats."),
        Flag(
            "initial-election-tick-advance", default: "true", .member,
            .withoutEffect("one node elects itself at once"), .anyBoolean,
            "Shorten the first election timeout."),
        Flag(
            "pre-vote", default: "true", .member, .withoutEffect(noPeersYet), .boolean(\.preVote),
            "Ask before standing for election."),
        Flag(
            "socket-reuse-address", key: "socket-options.reuse-address", default: "false", .member,
            .withoutEffect("listening sockets always reuse their address"), .anyBoolean,
            "Bind to addresses that were in use a moment ago."),
        Flag(
            "socket-reuse-port", key: "socket-options.reuse-port", default: "false", .member,
            .withoutEffect("two processes cannot share one data directory"), .anyBoolean,
            "Let several processes listen on one port."),
        Flag(
            "raft-read-timeout", key: nil, default: "5s", .member, .withoutEffect(noPeersYet),
            .anyDuration, "Read timeout of peer connections."),
        Flag(
            "raft-write-timeout", key: nil, default: "5s", .member, .withoutEffect(noPeersYet),
            .anyDuration, "Write timeout of peer connections."),
        Flag(
            "config-file", key: nil, default: "", .member, .anyText,
            "YAML file with all settings; flags and variables are then ignored."),
        Flag("version", key: nil, default: "false", .member, .anyBoolean, "Print the version."),
    ]

    static let cluster: [Flag] = [
        Flag(
            "advertise-client-urls", default: "http://localhost:2379", .cluster,
            .advertisedURLs(\.advertiseClientURLs),
            "Client URLs that the member list shows; needed with --listen-client-urls."),
        Flag(
            "initial-advertise-peer-urls", default: "http://localhost:2380", .cluster,
            .advertisedURLs(\.initialAdvertisePeerURLs),
            "Peer URLs of this member; part of its id."),
        Flag(
            "initial-cluster", default: "${name}=${initial-advertise-peer-urls}", .cluster,
            .custom("members") { text, configuration throws(ValueProblem) in
                configuration.initialCluster = try InitialMember.list(text)
            },
            "Members at the first start, as name=url,name=url; one member in this version."),
        Flag(
            "initial-cluster-state", default: "new", .cluster, .choice(\.initialClusterState),
            "\"new\" founds a cluster, \"existing\" joins one (with a later version)."),
        Flag(
            "initial-cluster-token", default: "etcd-cluster", .cluster,
            .text(\.initialClusterToken),
            "Name of the cluster at its first start; part of all ids."),
        Flag(
            "strict-reconfig-check", default: "true", .cluster, .withoutEffect(noPeersYet),
            .boolean(\.strictReconfigCheck),
            "Refuse membership changes that would lose the quorum."),
        Flag(
            "max-learners", default: "1", .cluster, .withoutEffect(noPeersYet),
            .integer(\.maxLearners, in: 0...1_000), "Most learners at a time."),
        Flag(
            "snapshot-catchup-entries", default: "5000", .cluster, .withoutEffect(noPeersYet),
            former: ["experimental-snapshot-catchup-entries"], .anyNumber,
            "Log entries kept for slow members."),
    ]
}

extension InitialMember {
    /// Reads "name=url,name=url"; a name that repeats has several URLs.
    static func list(_ text: String) throws(ValueProblem) -> [InitialMember] {
        var members: [InitialMember] = []
        for piece in text.split(separator: ",") {
            let (name, url) = String(piece.drop { $0 == " " }).splitOnce(at: "=")
            guard let url, !url.isEmpty, !name.isEmpty else {
                throw ValueProblem(expected: "members as name=url,name=url")
            }
            let urls = try EndpointURL.advertisedList(url)
            if let place = members.firstIndex(where: { $0.name == name }) {
                members[place].peerURLs += urls
            } else {
                members.append(InitialMember(name: name, peerURLs: urls))
            }
        }
        return members
    }
}
