// FlagTable+Other.swift: flags of etcd that mean something Martlet does not have: its storage
// engine, the v2 API, the old proxy, discovery. Belongs here: their names, so that manifests keep
// working or fail with a reason.

extension FlagTable {
    private static let notThisEngine = "it tunes a storage engine that is not used here"
    private static let noDiscovery = "give --initial-cluster; discovery comes with a later version"
    private static let noV2 = "the v2 API is not served"
    private static let noMixedCluster = "members of Martlet and of etcd form no common cluster"
    private static let noProxy = "the v2 proxy is gone; clients connect to the members"

    static let other: [Flag] = engine + v2 + discovery

    private static let engine: [Flag] = [
        ignored("backend-batch-interval", "100ms", notThisEngine, .anyDuration),
        ignored("backend-batch-limit", "10000", notThisEngine, .anyNumber),
        Flag(
            "backend-bbolt-freelist-type", default: "map", .other, .withoutEffect(notThisEngine),
            former: ["experimental-backend-bbolt-freelist-type"], .anyText, "See etcd."),
        ignored("max-snapshots", "5", "the database file is the only snapshot", .anyNumber),
        ignored("max-wals", "5", "the log is cut at each checkpoint", .anyNumber),
    ]

    private static let v2: [Flag] = [
        refused("enable-v2", "false", noV2, .anyBoolean),
        refused("experimental-enable-v2v3", "", noV2, .anyText),
        ignored("v2-deprecation", "not-yet", noV2, .anyText),
        ignored("next-cluster-version-compatible", "false", noMixedCluster, .anyBoolean),
        refused("proxy", "off", noProxy, .anyText),
        ignored("proxy-dial-timeout", "1000", noProxy, .anyNumber),
        ignored("proxy-failure-wait", "5000", noProxy, .anyNumber),
        ignored("proxy-read-timeout", "0", noProxy, .anyNumber),
        ignored("proxy-refresh-interval", "30000", noProxy, .anyNumber),
        ignored("proxy-write-timeout", "5000", noProxy, .anyNumber),
    ]

    private static let discovery: [Flag] = [
        refused("discovery", "", noDiscovery, .anyText),
        refused("discovery-srv", "", noDiscovery, .anyText),
        refused("discovery-endpoints", key: "endpoints", "", noDiscovery, .anyText),
        refused("discovery-token", key: "token", "", noDiscovery, .anyText),
        ignored("discovery-srv-name", "", noDiscovery, .anyText),
        ignored("discovery-proxy", "", noDiscovery, .anyText),
        ignored("discovery-fallback", "exit", noDiscovery, .anyText),
        ignored("discovery-cacert", key: "cacert", "", noDiscovery, .anyText),
        ignored("discovery-cert", key: "cert", "", noDiscovery, .anyText),
        ignored("discovery-key", key: "key", "", noDiscovery, .anyText),
        ignored("discovery-dial-timeout", key: "dial-timeout", "2s", noDiscovery, .anyDuration),
        ignored(
            "discovery-insecure-skip-tls-verify", key: "insecure-skip-tls-verify", "false",
            noDiscovery, .anyBoolean),
        ignored(
            "discovery-insecure-transport", key: "insecure-transport", "true", noDiscovery,
            .anyBoolean),
        ignored("discovery-keepalive-time", key: "keepalive-time", "2s", noDiscovery, .anyDuration),
        ignored(
            "discovery-keepalive-timeout", key: "keepalive-timeout", "6s", noDiscovery, .anyDuration
        ),
        ignored(
            "discovery-request-timeout", key: "request-timeout", "5s", noDiscovery, .anyDuration),
        ignored("discovery-user", key: "user", "", noDiscovery, .anyText),
        ignored("discovery-password", key: "password", "", noDiscovery, .anyText),
    ]

    /// A flag without effect; `key` is its place under discovery-config.
    private static func ignored(
        _ name: String, key: String? = nil, _ defaultText: String, _ reason: String,
        _ value: FlagValue
    ) -> Flag {
        Flag(
            name, key: key.map { "discovery-config.\($0)" } ?? "", default: defaultText, .other,
            .withoutEffect(reason), value, "See etcd.")
    }

    /// A flag that only its default passes.
    private static func refused(
        _ name: String, key: String? = nil, _ defaultText: String, _ reason: String,
        _ value: FlagValue
    ) -> Flag {
        Flag(
            name, key: key.map { "discovery-config.\($0)" } ?? "", default: defaultText, .other,
            .refused(reason), value, "See etcd.")
    }
}
