// BackupWriter.swift: one full backup: the pages of one committed state in a file, read back and checked.
// Belongs here: the copy, its pace, what becomes of the file. Never here: when (BackupScheduler).
// Source: wishes.md 28; the file is what Maintenance.Snapshot would send (etcd semantics M8).

internal import Glibc
internal import Storage

/// Why a backup was not made.
enum BackupError: Error, CustomStringConvertible {
    case storage(StorageError)
    case output(OfflineError)
    case noSpace(directory: String, needed: UInt64, free: UInt64)
    /// The pages it pins take too much memory: the disk is too slow for how much is written.
    case tooSlow
    /// The member stops.
    case stopped

    var description: String {
        switch self {
        case .storage(let error): "\(error)"
        case .output(let error): "\(error)"
        case .noSpace(let directory, let needed, let free):
            "\(directory) has \(free) bytes free, \(needed) are needed"
        case .tooSlow:
            "it was written too slowly for how fast the database changes: raise "
                + "--martlet-backup-bytes-per-second, or use a faster disk"
        case .stopped: "the member stops"
        }
    }
}

/// Writes backups into a directory; confined to the scheduler's thread.
struct BackupWriter {
    let pages: PageStore
    let directory: String
    let clusterID: UInt64
    let bytesPerSecond: Int64?
    let disk = PosixDisk()
    /// Waits until a moment of the monotonic clock; false if the member stops.
    let pause: (UInt64) -> Bool

    private static let pagesPerPart = 256
    private static let spareBytes: UInt64 = 16 << 20
    /// Page versions in memory above which a slow backup is given up.
    private static let overlayBytesMax = 256 << 20

    /// What was written.
    struct Report {
        let name: String
        let revision: Int64
        let byteCount: UInt64
    }

    /// Makes one backup, durable and verified when it returns.
    func write() throws(BackupError) -> Report {
        let source = try storing { () throws(StorageError) in try pages.openSnapshot() }
        try checkSpace(for: source.totalBytes)
        let revision = source.state.header.revision
        let name = BackupName(clusterID: clusterID, at: .now(), revision: revision)
        let output = try outputting { () throws(OfflineError) in
            try OutputFile("\(directory)/\(name.text)", disk: disk)
        }
        let size = try copy(source, to: output)
        try outputting { () throws(OfflineError) in
            try output.finish(byteCount: size) { (path) throws(OfflineError) in
                let file = try SnapshotFile(path: path)
                try file.checkIntegrity(isQuiet: true)
                try MartletImage(file.file).verify()
            }
        }
        return Report(name: name.text, revision: revision, byteCount: size + 32)
    }

    private func checkSpace(for bytes: UInt64) throws(BackupError) {
        let free = try storing { () throws(StorageError) in
            do throws(DiskError) {
                return try disk.freeBytes(directory)
            } catch {
                throw .disk(error)
            }
        }
        guard free >= bytes + Self.spareBytes else {
            throw .noSpace(directory: directory, needed: bytes + Self.spareBytes, free: free)
        }
    }

    private func copy(_ source: SnapshotReader, to output: OutputFile) throws(BackupError) -> UInt64
    {
        var offset: UInt64 = 0
        var due = MonotonicClock.nanoseconds
        while true {
            guard pause(due) else { throw .stopped }
            guard
                pages.overlayBytes <= Self.overlayBytesMax
                    || pages.checkpointState.index <= source.state.index
            else { throw .tooSlow }
            var part: [UInt8] = []
            part.reserveCapacity(Self.pagesPerPart * PageLimits.pageBytes)
            let count = try storing { () throws(StorageError) in
                try source.read(pages: Self.pagesPerPart, into: &part)
            }
            guard count > 0 else { return offset }
            try outputting { () throws(OfflineError) in
                try reading(output.path) { () throws(BoltError) in
                    try output.write(part, at: offset)
                }
            }
            offset += UInt64(part.count)
            if let bytesPerSecond {
                due += UInt64(part.count) * 1_000_000_000 / UInt64(bytesPerSecond)
            }
        }
    }

    /// The backups of this cluster, oldest first.
    func existing() throws(BackupError) -> [BackupName] {
        try storing { () throws(StorageError) in
            do throws(DiskError) {
                return try disk.list(directory).compactMap { BackupName($0) }
                    .filter { $0.clusterID == clusterID }.sorted()
            } catch {
                throw .disk(error)
            }
        }
    }

    /// Makes the directory, and takes away what an interrupted backup left.
    func prepare() throws(BackupError) {
        try storing { () throws(StorageError) in
            do throws(DiskError) {
                try disk.createDirectory(directory)
                for name in try disk.list(directory)
                where name.hasSuffix(OutputFile.unfinishedSuffix) {
                    let whole = String(name.dropLast(OutputFile.unfinishedSuffix.count))
                    guard BackupName(whole)?.clusterID == clusterID else { continue }
                    try disk.remove("\(directory)/\(name)")
                }
            } catch {
                throw .disk(error)
            }
        }
    }

    /// Removes the oldest beyond `keep`; returns their names.
    func removeOld(keep: Int) throws(BackupError) -> [String] {
        let names = try existing().dropLast(keep).map(\.text)
        try storing { () throws(StorageError) in
            do throws(DiskError) {
                for name in names { try disk.remove("\(directory)/\(name)") }
            } catch {
                throw .disk(error)
            }
        }
        return names
    }

    private func storing<Result>(
        _ body: () throws(StorageError) -> Result
    ) throws(BackupError) -> Result {
        do throws(StorageError) { return try body() } catch { throw .storage(error) }
    }

    private func outputting<Result>(
        _ body: () throws(OfflineError) -> Result
    ) throws(BackupError) -> Result {
        do throws(OfflineError) { return try body() } catch { throw .output(error) }
    }
}
