// ExportCommand.swift: the way back to etcd: a snapshot file that etcdutl restores.
// Belongs here: finding the store. Never here: etcd's records (Migration/EtcdExporter).

internal import Storage

/// `martlet export SOURCE`.
enum ExportCommand {
    static let command = Command(
        words: ["export"],
        form: CommandForm(
            usage: "export SOURCE --output FILE",
            summary: """
                Writes a snapshot for etcd: "etcdutl snapshot restore FILE" makes a data directory of \
                it.
                SOURCE is the data directory of a stopped member, or a snapshot of Martlet; of a member \
                that
                runs take one with "etcdctl snapshot save" first. All revisions, leases, users, roles \
                and
                alarms are kept.
                """,
            fileCount: 1,
            flags: [CommandFlag("output", default: "", "The file to make; it must not exist.")],
            shared: []),
        run: run)

    private static func run(_ flags: CommandFlags) throws(OfflineError) {
        let target = flags.text("output")
        guard !target.isEmpty else { throw .usage("--output is required") }
        let source = flags.files[0]
        guard InputFile.isDirectory(source) else {
            let snapshot = try SnapshotFile(path: source)
            guard snapshot.kind == .martlet else {
                throw .refused("\(source) is of etcd already")
            }
            if snapshot.checksum != nil { try snapshot.checkIntegrity(isQuiet: false) }
            let image = try MartletImage(snapshot.file)
            try image.verify()
            return try export(image.connection, from: source, to: target)
        }
        let store = try StoppedStore(source)
        _ = try store.applyRest()
        try store.checkPages()
        let reader = try storing(in: source) { () throws(StorageError) in
            try store.opened.pages.openReader()
        }
        try export(reader.connection, from: source, to: target)
    }

    private static func export(
        _ connection: Connection, from source: String, to target: String
    ) throws(OfflineError) {
        let output = try OutputFile(target, disk: PosixDisk())
        let size: UInt64
        let changes: Int
        do throws(EtcdExporter.ExportFailure) {
            (size, changes) = try EtcdExporter(connection, to: output).run()
        } catch {
            switch error {
            case .source(let failure): throw .store(failure, directory: source)
            case .target(let failure): throw .refused("\(target): \(failure)")
            }
        }
        try output.finish(byteCount: size)
        Console.say("wrote \(target): \(changes) revisions, \(size) bytes and their checksum")
    }
}
