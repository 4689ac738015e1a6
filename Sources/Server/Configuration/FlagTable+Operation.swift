// FlagTable+Operation.swift: the flags of limits, compaction, the served protocols, logs and checks
// of the data. Belongs here: names, defaults, parsers, standing. Source: etcd --help of 3.4.45 to
// 3.7.1 (names and defaults).

extension FlagTable {
    /// The limit of the database when none is given.
    ///
    /// etcd's 2 GiB surprise small products (its issue threads tell); nothing here grows with the
    /// limit itself.
    static let defaultQuotaBytes: Int64 = 8 << 30

    private static let checkedOnRead = "every page is checked whenever it is read"
    private static let noGates = "what etcd switches by gates is always on here, or not built yet"
    private static let noDowngrade = "a downgrade of the cluster is not part of this version"
    private static let noTracing = "distributed tracing is not part of this version"

    static let limits: [Flag] = [
        Flag(
            "max-request-bytes", default: "1572864", .limits,
            .integer(\.maxRequestBytes, in: 1...(1 << 30)), "Greatest request in bytes."),
        Flag(
            "max-txn-ops", default: "128", .limits,
            .integer(\.maxTxnOps, in: 1...1_000_000), "Most operations of one transaction."),
        Flag(
            "max-concurrent-streams", default: "4294967295", .limits,
            .integer(\.maxConcurrentStreams, in: 1...UInt32.max),
            "Most open streams of one connection."),
        Flag(
            "quota-backend-bytes", default: "0", .limits,
            .custom("bytes") { text, configuration throws(ValueProblem) in
                let bytes = try FlagValue.requireInteger(text, in: Int64.min...Int64.max)
                configuration.quotaBackendBytes =
                    bytes < 0 ? nil : (bytes == 0 ? defaultQuotaBytes : bytes)
            }, "Greatest size of the database; 0 = 8 GiB (etcd: 2 GiB), negative = no limit."),
        Flag(
            "auto-compaction-mode", default: "periodic", .limits,
            .custom("word") { text, _ throws(ValueProblem) in
                guard ["", "periodic", "revision"].contains(text) else {
                    throw ValueProblem(expected: "\"periodic\" or \"revision\"")
                }
            }, "What the retention counts: time or revisions."),
        Flag(
            "auto-compaction-retention", default: "0", .limits, .anyText,
            "History to keep: 0 = all, hours or a duration, or a number of revisions."),
        Flag(
            "compaction-batch-limit", default: "1000", .limits,
            former: ["experimental-compaction-batch-limit"],
            .integer(\.compactionBatchLimit, in: 1...1_000_000),
            "Most revisions that one step of a compaction removes."),
        Flag(
            "compaction-sleep-interval", default: "10ms", .limits,
            former: ["experimental-compaction-sleep-interval"],
            .duration(\.compactionSleepInterval), "Pause between two such steps."),
    ]

    static let service: [Flag] = [
        Flag(
            "watch-progress-notify-interval", default: "10m", .service,
            former: ["experimental-watch-progress-notify-interval"],
            .duration(\.watchProgressNotifyInterval, atLeast: .milliseconds(100)),
            "Time without events after which a watch hears of the revision."),
        Flag(
            "grpc-keepalive-min-time", default: "5s", .service, .duration(\.keepaliveMinTime),
            "Least time between two pings of a client."),
        Flag(
            "grpc-keepalive-interval", default: "2h", .service, .duration(\.keepaliveInterval),
            "Time without traffic after which the server pings; 0 = never."),
        Flag(
            "grpc-keepalive-timeout", default: "20s", .service, .duration(\.keepaliveTimeout),
            "How long the server waits for the answer; 0 = for ever."),
        Flag("cors", default: "*", .service, .words(\.corsOrigins), "Allowed origins of browsers."),
        Flag(
            "host-whitelist", default: "*", .service, .words(\.hostWhitelist),
            "Allowed Host headers of plain HTTP."),
        Flag(
            "enable-grpc-gateway", default: "true", .service,
            .boolean(\.enableGRPCGateway), "Serve JSON over /v3/."),
        Flag(
            "metrics", default: "basic", .service, .choice(\.metricsLevel),
            "\"extensive\" adds the histogram of each RPC's time."),
        Flag(
            "enable-pprof", default: "false", .service,
            .withoutEffect("profiles in Go's format exist in Go programs only"), .anyBoolean,
            "Serve Go's profiles."),
    ]

    static let logging: [Flag] = [
        Flag(
            "log-level", default: "info", .logging, .choice(\.logLevel),
            "Least level: debug, info, warn, error, panic or fatal."),
        Flag("log-format", default: "json", .logging, .choice(\.logFormat), "json or console."),
        Flag(
            "log-outputs", default: "default", .logging, former: ["log-output"],
            .custom("list") { text, configuration throws(ValueProblem) in
                configuration.logOutputs = try LogOutput.list(text)
            }, "Where logs go: stderr (default), stdout or files."),
        Flag(
            "warning-apply-duration", default: "100ms", .logging,
            former: ["experimental-warning-apply-duration"], .duration(\.warningApplyDuration),
            "Carrying out what is queued for longer than this is logged; 0 = never."),
        Flag(
            "warning-unary-request-duration", default: "300ms", .logging,
            former: ["experimental-warning-unary-request-duration"],
            .duration(\.warningUnaryRequestDuration),
            "A call longer than this is logged, with its key; 0 = never."),
        Flag(
            "logger", default: "zap", .logging,
            .withoutEffect("there is one kind of log; see --log-format"), .anyText,
            "etcd's choice of logging library."),
        Flag(
            "debug", default: "false", .logging,
            .custom("") { text, configuration throws(ValueProblem) in
                if try FlagValue.requireBoolean(text) { configuration.logLevel = .debug }
            }, "etcd 3.4's name of --log-level=debug."),
        Flag(
            "log-package-levels", default: "", .logging, .withoutEffect("use --log-level"),
            .anyText,
            "etcd 3.4's levels of single packages."),
        Flag(
            "enable-log-rotation", default: "false", .logging,
            .boolean(\.rotatesLogs),
            "Rotate log files by size; without it, SIGHUP opens them anew for logrotate."),
        Flag(
            "log-rotation-config-json",
            default:
                #"{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}"#,
            .logging,
            .custom("json") { text, configuration throws(ValueProblem) in
                configuration.logRotation = try Rotation.reading(json: text)
            }, "maxsize in MiB and maxbackups (0 = 100) of --enable-log-rotation."),
        Flag(
            "martlet-audit-log", default: "", .logging,
            .custom("place") { text, configuration throws(ValueProblem) in
                configuration.auditOutput =
                    switch text {
                    case "": nil
                    case "stderr": .standardError
                    case "stdout": .standardOutput
                    default: .file(path: text)
                    }
            },
            "Write down every call as a line of JSON: who, from where, which keys, at what cost; "
                + "stderr, stdout or a file."),
        Flag(
            "martlet-audit-log-max-bytes", default: "104857600", .logging,
            .custom("bytes") { text, configuration throws(ValueProblem) in
                let bytes = try FlagValue.requireInteger(text, in: 0...Int.max)
                configuration.auditRotation.bytesMax = bytes == 0 ? nil : bytes
            }, "Size at which that file makes way for a new one; 0 = never."),
        Flag(
            "martlet-audit-log-backups", default: "5", .logging,
            .integer(\.auditRotation.backups, in: 0...1000),
            "Old files of the audit log that stay, as PATH.1 (the newest), PATH.2 and so on."),
    ]

    static let integrity: [Flag] = [
        Flag(
            "feature-gates", default: "", .integrity, .withoutEffect(noGates),
            .custom("list") { text, configuration throws(ValueProblem) in
                try configuration.featureGates.apply(text)
            }, "Switches as Name=true,Other=false."),
        gate("experimental-initial-corrupt-check", .initialCorruptCheck),
        gate("experimental-compact-hash-check-enabled", .compactHashCheck),
        gate("experimental-enable-lease-checkpoint", .leaseCheckpoint),
        gate("experimental-enable-lease-checkpoint-persist", .leaseCheckpointPersist),
        gate("experimental-stop-grpc-service-on-defrag", .stopGRPCServiceOnDefrag),
        gate(
            "experimental-txn-mode-write-with-shared-buffer", .txnModeWriteWithSharedBuffer,
            default: "true"),
        ignored("compact-hash-check-time", "1m", checkedOnRead, .anyDuration),
        ignored("corrupt-check-time", "0s", checkedOnRead, .anyDuration),
        ignored(
            "memory-mlock", "false", "the database is not mapped into memory", .anyBoolean),
        ignored(
            "bootstrap-defrag-threshold-megabytes", "0", "free space is given back while running",
            .anyNumber),
        ignored("downgrade-check-time", "5s", noDowngrade, .anyDuration),
        ignored("enable-distributed-tracing", "false", noTracing, .anyBoolean),
        ignored("distributed-tracing-address", "localhost:4317", noTracing, .anyText),
        ignored("distributed-tracing-instance-id", "", noTracing, .anyText),
        ignored("distributed-tracing-sampling-rate", "0", noTracing, .anyNumber),
        ignored("distributed-tracing-service-name", "etcd", noTracing, .anyText),
    ]

    /// A flag that became a feature gate in etcd 3.6; at its default it leaves the gate alone.
    private static func gate(
        _ name: String, _ gate: FeatureGates.Gate, default defaultText: String = "false"
    ) -> Flag {
        Flag(
            name, default: defaultText, .integrity, .withoutEffect(noGates),
            .custom("") { text, configuration throws(ValueProblem) in
                let isOn = try FlagValue.requireBoolean(text)
                guard isOn != FlagValue.boolean(defaultText) else { return }
                configuration.featureGates.set(gate, to: isOn)
            }, "Older form of --feature-gates=\(gate.rawValue)=….")
    }

    /// A flag without effect that was experimental once.
    private static func ignored(
        _ name: String, _ defaultText: String, _ reason: String, _ value: FlagValue
    ) -> Flag {
        Flag(
            name, default: defaultText, .integrity, .withoutEffect(reason),
            former: ["experimental-\(name)"], value, "See etcd.")
    }
}

extension LogOutput {
    fileprivate static func list(_ text: String) throws(ValueProblem) -> [LogOutput] {
        var outputs: [LogOutput] = []
        for word in text.split(separator: ",") {
            let output: LogOutput =
                switch word {
                case "default", "stderr": .standardError
                case "stdout": .standardOutput
                default: .file(path: String(word))
                }
            if !outputs.contains(output) { outputs.append(output) }
        }
        guard !outputs.isEmpty else {
            throw ValueProblem(expected: "stderr, stdout or paths of files")
        }
        return outputs
    }
}
