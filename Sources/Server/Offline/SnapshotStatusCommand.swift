// SnapshotStatusCommand.swift: what a snapshot file holds, after all of it was looked at.
// Belongs here: which figures. Never here: how they are counted (MartletImage, EtcdStore).
// Source: etcdctl.md part 3, snapshot status.

/// `martlet snapshot status FILE`.
enum SnapshotStatusCommand {
    static let command = Command(
        words: ["snapshot", "status"],
        form: CommandForm(
            usage: "snapshot status FILE",
            summary: """
                Shows checksum, revision, live keys, size and version of a snapshot, of Martlet's or of \
                etcd's.
                The whole file is checked: its pages, its order, and the checksum at its end if it has \
                one.
                """,
            fileCount: 1,
            flags: [
                CommandFlag("write-out", default: "simple", "-w: simple, table or json.")
            ], shared: []),
        run: run)

    private static func run(_ flags: CommandFlags) throws(OfflineError) {
        guard let form = OutputForm(rawValue: flags.text("write-out")) else {
            throw .usage("--write-out: expected simple, table or json")
        }
        let snapshot = try SnapshotFile(path: flags.files[0])
        if snapshot.checksum != nil { try snapshot.checkIntegrity(isQuiet: true) }
        let summary: MartletImage.Summary
        switch snapshot.kind {
        case .martlet:
            let image = try MartletImage(snapshot.file)
            try image.verify()
            summary = try image.summary()
        case .etcd:
            summary = try EtcdStore(snapshot.file).verify(isQuiet: true)
        }
        let row = OutputRow(fields: [
            .init(key: "hash", title: "HASH", value: .hash(summary.hash)),
            .init(key: "revision", title: "REVISION", value: .number(summary.revision)),
            .init(key: "totalKey", title: "TOTAL KEYS", value: .number(summary.totalKeys)),
            .init(key: "totalSize", title: "TOTAL SIZE", value: .size(summary.totalSize)),
            .init(key: "version", title: "VERSION", value: .text(summary.version)),
        ])
        Console.say(row.rendered(form))
    }
}
