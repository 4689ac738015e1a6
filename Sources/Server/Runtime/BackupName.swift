// BackupName.swift: the names of backups, from which their age and cluster can be read.
// Belongs here: making and reading a name. Never here: files.
//
//   martlet-cdf818194e3a8c32-20260102T030405Z-1234.db     cluster, time in UTC, revision

/// The name of one backup.
struct BackupName: Equatable, Comparable {
    let clusterID: UInt64
    /// "20260102T030405Z": sorts by time.
    let time: String
    let revision: Int64

    private static let prefix = "martlet-"
    private static let suffix = ".db"
    private static let timeCount = 16

    init(clusterID: UInt64, at timestamp: LogTimestamp, revision: Int64) {
        self.clusterID = clusterID
        self.revision = revision
        var bytes: [UInt8] = []
        timestamp.write(to: &bytes)
        // "2026-01-02T03:04:05.678Z"
        let text = String(decoding: bytes, as: UTF8.self)
        time = text.prefix { $0 != "." }.filter { $0 != "-" && $0 != ":" } + "Z"
    }

    /// Reads a file's name; nil for any other file.
    init?(_ text: String) {
        guard text.hasPrefix(Self.prefix), text.hasSuffix(Self.suffix) else { return nil }
        let parts = text.dropFirst(Self.prefix.count).dropLast(Self.suffix.count)
            .split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let cluster = UInt64(parts[0], radix: 16),
            let revision = Int64(parts[2]), revision >= 0, parts[1].count == Self.timeCount,
            parts[1].last == "Z"
        else { return nil }
        clusterID = cluster
        time = String(parts[1])
        self.revision = revision
    }

    var text: String {
        "\(Self.prefix)\(clusterID.idText)-\(time)-\(revision)\(Self.suffix)"
    }

    static func < (left: BackupName, right: BackupName) -> Bool {
        (left.time, left.revision) < (right.time, right.revision)
    }
}
