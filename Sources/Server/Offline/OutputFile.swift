// OutputFile.swift: a file that is there whole or not at all.
// Belongs here: writing beside the name, the checksum, the rename. Never here: contents.
// Source: etcd semantics M8 (the SHA-256 at the end of a snapshot).

internal import Glibc
internal import Storage

/// A file under construction; what is not `finish`ed goes with the object.
final class OutputFile: BoltSink {
    let path: String
    private let disk: any Disk
    private let file: any DiskFile
    private var isFinished = false

    /// What a name ends with until the file is whole.
    static let unfinishedSuffix = ".part"

    private var scratch: String { path + Self.unfinishedSuffix }

    /// Begins a file; one of that name must not exist.
    init(_ path: String, disk: any Disk) throws(OfflineError) {
        self.path = path
        self.disk = disk
        do throws(DiskError) {
            guard try !disk.exists(path) else {
                throw DiskError.failed(path: path, operation: "create", code: EEXIST)
            }
            try disk.remove(path + Self.unfinishedSuffix)
            file = try disk.open(path + Self.unfinishedSuffix, create: true)
        } catch {
            if case .failed(_, _, EEXIST) = error {
                throw .refused(
                    "\(path) exists: nothing was changed. Give another name, or move it away")
            }
            throw .refused("\(error)")
        }
    }

    deinit {
        guard !isFinished else { return }
        // Nobody is told: the name says that it is a part.
        _ = unlink(scratch)
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(BoltError) {
        do throws(DiskError) {
            try file.write(bytes, at: offset)
        } catch {
            throw .unreadable(reason: "\(error)")
        }
    }

    /// Adds the checksum of everything, and gives the file its name; durable when it returns.
    ///
    /// - Parameter check: looks at the whole file before it gets its name.
    func finish(
        byteCount: UInt64, check: (_ path: String) throws(OfflineError) -> Void = { _ in }
    ) throws(OfflineError) {
        let written = try InputFile(scratch)
        let digest = SHA256()
        try written.forEachPart(upTo: byteCount) { part, _ in digest.update(part) }
        try reading(path) { () throws(BoltError) in try write(digest.finish(), at: byteCount) }
        do throws(DiskError) {
            try file.sync()
        } catch {
            throw .refused("\(error)")
        }
        try check(scratch)
        do throws(DiskError) {
            try disk.rename(scratch, to: path)
            isFinished = true
            try disk.syncDirectory(DataDirectory.parent(of: path))
        } catch {
            throw .refused("\(error)")
        }
    }
}
