// RestoreCommand.swift: a new cluster's data directory from a snapshot.
// Belongs here: the order of checks, the report. Never here: files (StoreBuilder), etcd's records
// (Migration/).
// Source: etcdctl.md part 3, snapshot restore.

internal import Storage

/// `martlet snapshot restore FILE`.
enum RestoreCommand {
    static let command = Command(
        words: ["snapshot", "restore"],
        form: CommandForm(
            usage: "snapshot restore FILE",
            summary: """
                Makes the data directory of a new cluster from a snapshot that "etcdctl snapshot save" \
                or a
                scheduled backup made, of Martlet or of etcd 3.4 to 3.6. For a cluster of several, run \
                it for
                each member with the same file and the same --initial-cluster, and with its own --name \
                and
                --initial-advertise-peer-urls. The file is checked before anything is written.
                """,
            fileCount: 1,
            flags: [
                CommandFlag(
                    "skip-hash-check", default: "false",
                    "Takes a file without a checksum at its end, or with a wrong one.")
            ] + CommandFlags.bumpFlags,
            shared: CommandForm.clusterFlags),
        run: run)

    private static func run(_ flags: CommandFlags) throws(OfflineError) {
        let plan = try StorePlan(flags)
        let snapshot = try SnapshotFile(path: flags.files[0])
        if try !flags.boolean("skip-hash-check") { try snapshot.checkIntegrity(isQuiet: false) }
        switch snapshot.kind {
        case .martlet:
            let image = try MartletImage(snapshot.file)
            let progress = Progress("checking the database", total: 1)
            try image.verify()
            progress.finish()
            let builder = try plan.begin()
            try builder.adopt(image)
            try plan.finish(builder)
        case .etcd:
            let store = try EtcdStore(snapshot.file)
            _ = try store.verify(isQuiet: false)
            let builder = try plan.begin()
            try EtcdImporter(store, into: builder, cluster: plan.cluster).run()
            try plan.finish(builder)
        }
    }
}

/// Where a new store goes and whose it will be: what restore and import have in common.
struct StorePlan {
    let cluster: NewCluster
    let directory: String
    let bump: RevisionBump

    init(_ flags: CommandFlags) throws(OfflineError) {
        let configuration = try flags.configuration()
        cluster = try NewCluster(configuration)
        directory = configuration.dataDirectory
        bump = try flags.bump()
    }

    func begin() throws(OfflineError) -> StoreBuilder {
        try StoreBuilder(path: directory, disk: PosixDisk())
    }

    /// Gives the store its cluster and makes the directory a member's.
    func finish(_ builder: StoreBuilder) throws(OfflineError) {
        var revision: Int64 = 0
        try builder.write { (connection) throws(StorageError) in
            try cluster.write(on: connection)
            try bump.write(on: connection)
            revision = try KeyReader(connection: connection).currentRevision()
        }
        var generator = SystemRandomNumberGenerator()
        try builder.finish(cluster.stored, seed: generator.next())
        let identity = cluster.identity
        Console.say(
            "made \(directory): member \(identity.memberID.idText) of cluster "
                + "\(identity.clusterID.idText) with \(cluster.members.count) member"
                + "\(cluster.members.count == 1 ? "" : "s"), revision \(revision)")
    }
}
