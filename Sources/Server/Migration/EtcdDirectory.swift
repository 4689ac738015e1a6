// EtcdDirectory.swift: where etcd's data directory has its database and its log.
// Belongs here: names, that nobody uses them, and which log files follow on the database. Never here: their
// formats.
// Source: etcd's data directory: member/snap/db, member/snap/*.snap.db, member/wal/*.wal.

internal import Storage

/// The data directory of a stopped etcd member.
struct EtcdDirectory {
    let database: String
    let logFolder: String

    /// Finds both.
    ///
    /// - Parameter given: where the log lies, if not beside the database.
    init(_ path: String, logFolder given: String, disk: any Disk) throws(OfflineError) {
        var found: String?
        for place in [path, "\(path)/member"] where try InputFile.exists("\(place)/snap/db", disk) {
            found = place
        }
        guard let member = found else {
            throw .refused("\(path) is no data directory of etcd: it has no member/snap/db")
        }
        database = "\(member)/snap/db"
        logFolder = given.isEmpty ? "\(member)/wal" : given
        guard try InputFile.exists(logFolder, disk) else {
            throw .refused(
                "\(logFolder) does not exist: give --source-wal-dir, or import the file "
                    + "\(database) by itself, without what only the log has")
        }
    }

    /// What the log has after the database's last entry.
    func replay(after store: EtcdStore, disk: any Disk) throws(OfflineError) -> EtcdReplay {
        guard !store.file.isLocked() else {
            throw .refused(
                "\(database) is in use: stop etcd first, or import what \"etcdctl snapshot save\" "
                    + "makes")
        }
        let index = store.consistentIndex
        let log = try EtcdLog(try files(from: index + 1, disk: disk), after: index)
        if log.entries.isEmpty, log.committed > index {
            throw .refused(
                "\(logFolder): entries through \(log.committed) are committed, the database ends "
                    + "with entry \(index), and none of the log lies between: import a snapshot")
        }
        return try EtcdReplay(log, after: index, path: logFolder)
    }

    /// The log's files from the one that has an entry.
    private func files(
        from index: UInt64, disk: any Disk
    ) throws(OfflineError) -> [EtcdLogFile] {
        let names: [String]
        do throws(DiskError) {
            names = try disk.list(logFolder)
        } catch {
            throw .refused("\(error)")
        }
        let found = names.compactMap { name in
            EtcdLogFile.numbers(ofName: name).map { (name: name, numbers: $0) }
        }
        guard let start = found.lastIndex(where: { $0.numbers.index <= index }) else {
            throw .refused(
                "\(logFolder) has no file with entry \(index), which follows on the database")
        }
        var files: [EtcdLogFile] = []
        for (name, numbers) in found[start...] {
            if let last = files.last, numbers.sequence != last.sequence + 1 {
                throw .damaged(
                    file: "\(logFolder)/\(name)", reason: "the file before it is missing")
            }
            let file = try InputFile("\(logFolder)/\(name)")
            var bytes: [UInt8] = []
            try file.forEachPart(upTo: file.byteCount) { part, _ in bytes.append(contentsOf: part) }
            files.append(
                EtcdLogFile(
                    path: file.path, sequence: numbers.sequence, firstIndex: numbers.index,
                    bytes: bytes))
        }
        return files
    }
}
