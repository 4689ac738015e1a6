// FlagTable+Member.swift: the flags that say who this member is, where it listens and how its Raft
// group runs. Belongs here: names, defaults, parsers, standing. Source: etcd --help of 3.4.45 to
// 3.7.1 (names and defaults).

extension FlagTable {
    private static let peersArePinged =
        "a peer from which nothing comes for 5 s is connected to anew"

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
            .bindURLs(\.listenPeerURLs), "Where to listen for other members."),
        Flag(
            "snapshot-count", default: "10000", .member,
            .withoutEffect("checkpoints follow the memory that changed pages take"),
            .positiveNumber, "Log entries between two checkpoints of the database."),
        Flag(
            "heartbeat-interval", default: "100", .member,
            .integer(\.heartbeatIntervalMilliseconds, in: 1...50_000),
            "Milliseconds between heartbeats of the leader."),
        Flag(
            "election-timeout", default: "1000", .member,
            .integer(\.electionTimeoutMilliseconds, in: 1...Int(Int32.max)),
            "Milliseconds without heartbeat before an election; 5 heartbeats to 50000."),
        Flag(
            "initial-election-tick-advance", default: "true", .member,
            .withoutEffect("elections at a start follow the rules of all others"), .anyBoolean,
            "Shorten the first election timeout."),
        Flag(
            "pre-vote", default: "true", .member, .boolean(\.preVote),
            "Ask whether an election can be won before standing for it."),
        Flag(
            "martlet-log-retention-bytes", default: "268435456", .member,
            .integer(\.logRetentionBytes, in: 0...Int64.max),
            "Log kept for members that are behind; those further behind get a snapshot."),
        Flag(
            "martlet-snapshot-bytes-per-second", default: "0", .member,
            .custom("number") { text, configuration throws(ValueProblem) in
                let rate = try FlagValue.requireInteger(text, in: 0...Int64.max)
                configuration.snapshotBytesPerSecond = rate == 0 ? nil : rate
            },
            "How fast a snapshot is sent to a member; 0 = as fast as it takes it."),
        Flag(
            "socket-reuse-address", key: "socket-options.reuse-address", default: "false", .member,
            .withoutEffect("listening sockets always reuse their address"), .anyBoolean,
            "Bind to addresses that were in use a moment ago."),
        Flag(
            "socket-reuse-port", key: "socket-options.reuse-port", default: "false", .member,
            .boolean(\.socketReusePort), "Let several processes listen on one port."),
        Flag(
            "raft-read-timeout", key: nil, default: "5s", .member,
            .withoutEffect(peersArePinged), .anyDuration, "Read timeout of peer connections."),
        Flag(
            "raft-write-timeout", key: nil, default: "5s", .member,
            .withoutEffect(peersArePinged), .anyDuration, "Write timeout of peer connections."),
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
            "Members at the first start, as name=url,name=url; a name may repeat."),
        Flag(
            "initial-cluster-state", default: "new", .cluster, .choice(\.initialClusterState),
            "\"new\" founds a cluster, \"existing\" joins one, also after a lost disk."),
        Flag(
            "initial-cluster-token", default: "etcd-cluster", .cluster,
            .text(\.initialClusterToken),
            "Name of the cluster at its first start; part of all ids."),
        Flag(
            "strict-reconfig-check", default: "true", .cluster, .boolean(\.strictReconfigCheck),
            "Refuse membership changes that would lose the quorum."),
        Flag(
            "max-learners", default: "1", .cluster,
            .integer(\.maxLearners, in: 0...1_000), "Most learners at a time."),
        Flag(
            "martlet-auto-promote", default: "false", .cluster, .boolean(\.autoPromote),
            "Promote every learner as soon as it has caught up."),
        Flag(
            "snapshot-catchup-entries", default: "5000", .cluster,
            .withoutEffect("see --martlet-log-retention-bytes: what is kept is counted in bytes"),
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
