// FlagTable+Backup.swift: flags of scheduled backups; etcd has none.
// Belongs here: their lines. Never here: what follows (Runtime/BackupScheduler.swift).

extension FlagTable {
    static let backup: [Flag] = [
        Flag(
            "martlet-backup-dir", default: "", .backup, .text(\.backup.directory),
            "Makes full backups into this directory, on the schedule below; empty = none."),
        Flag(
            "martlet-backup-interval", default: "1h", .backup,
            .duration(\.backup.interval, atLeast: .seconds(1)), "Time between two backups."),
        Flag(
            "martlet-backup-keep", default: "24", .backup,
            .integer(\.backup.keep, in: 1...100_000),
            "Backups of this cluster that are kept; the oldest go."),
        Flag(
            "martlet-backup-from", default: "leader", .backup, .choice(\.backup.source),
            "\"leader\": whoever leads makes them; \"member\": this member does."),
        Flag(
            "martlet-backup-bytes-per-second", default: "67108864", .backup,
            .custom("number") { text, configuration throws(ValueProblem) in
                let rate = try FlagValue.requireInteger(text, in: 0...Int64.max)
                configuration.backup.bytesPerSecond = rate == 0 ? nil : rate
            }, "How fast a backup is written; 0 = as fast as the disk takes it."),
    ]
}
