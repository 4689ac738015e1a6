// ImportCommand.swift: a store from what an etcd server left: a snapshot, or its data directory.
// Belongs here: finding the database and its log. Never here: reading either (Migration/).
// Source: etcd's data directory: member/snap/db, member/wal/*.wal.

internal import Storage

/// `martlet import SOURCE`.
enum ImportCommand {
    static let command = Command(
        words: ["import"],
        form: CommandForm(
            usage: "import SOURCE",
            summary: """
                Makes the data directory of a new cluster from etcd 3.4 to 3.6: SOURCE is a snapshot \
                file, a
                file db, or the data directory of a stopped member. Of a directory the log is read too: \
                what the
                member had written there and not yet in its database is carried out.
                All revisions, leases, users, roles and alarms are kept.
                """,
            fileCount: 1,
            flags: [
                CommandFlag(
                    "source-wal-dir", default: "",
                    "Where the source has its log, if not in member/wal.")
            ] + CommandFlags.bumpFlags,
            shared: CommandForm.clusterFlags),
        run: run)

    private static func run(_ flags: CommandFlags) throws(OfflineError) {
        let plan = try StorePlan(flags)
        let disk = PosixDisk()
        let source = flags.files[0]
        guard InputFile.isDirectory(source) else {
            let snapshot = try SnapshotFile(path: source)
            guard snapshot.kind == .etcd else {
                throw .refused(
                    "\(source) is a snapshot of Martlet: use martlet snapshot restore")
            }
            if snapshot.checksum != nil { try snapshot.checkIntegrity(isQuiet: false) }
            return try fill(plan, EtcdStore(snapshot.file), replay: nil)
        }
        let layout = try EtcdDirectory(
            source, logFolder: flags.text("source-wal-dir"), disk: disk)
        let store = try EtcdStore(InputFile(layout.database))
        try fill(plan, store, replay: try layout.replay(after: store, disk: disk))
    }

    private static func fill(
        _ plan: StorePlan, _ store: EtcdStore, replay: EtcdReplay?
    ) throws(OfflineError) {
        _ = try store.verify(isQuiet: false)
        let builder = try plan.begin()
        try EtcdImporter(store, into: builder, cluster: plan.cluster).run()
        try replay?.run(on: builder, cluster: plan.cluster)
        try plan.finish(builder)
    }
}
