// BackupSettings.swift: what the --martlet-backup-… flags say.
// Belongs here: values. Never here: making a backup (Runtime/BackupScheduler.swift).

/// When and where full backups are made by themselves.
struct BackupSettings: Sendable, Equatable {
    /// Which member makes them.
    enum Source: String, Sendable, CaseIterable {
        /// Whoever leads when one is due: all members can have the same flags.
        case leader
        /// This member, whether it leads or not.
        case member
    }

    /// Where they go; empty for none.
    var directory = ""
    var interval = Duration.zero
    /// How many of this cluster's are kept.
    var keep = 0
    var source = Source.leader
    /// How fast one is written; nil for as fast as the disk takes it.
    var bytesPerSecond: Int64?
}
