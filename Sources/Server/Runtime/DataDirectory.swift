// DataDirectory.swift: what lies where, and who the member is that owns it.
// Belongs here: names, the identity file. Never here: the formats of the log and the database (Storage).

internal import Storage

/// A data directory, locked for this process.
///
///     DIR/LOCK       held while a process uses the directory
///     DIR/identity   member id, cluster id and the members at the start, as text
///     DIR/db         the database, an SQLite file; db.pages its checksums, db.meta where it stands
///     DIR/log/       the Raft log
struct DataDirectory {
    let path: String
    let disk: any Disk
    private let lock: any DiskLock

    /// Creates the directory if need be and locks it.
    init(path: String, disk: any Disk) throws(StorageError) {
        self.path = path
        self.disk = disk
        do throws(DiskError) {
            try disk.createDirectory(path)
            // The directory's own name lasts only once its parent does.
            try disk.syncDirectory(Self.parent(of: path))
            lock = try disk.lock("\(path)/LOCK")
            try disk.createDirectory("\(path)/log")
            try disk.syncDirectory(path)
        } catch {
            throw .disk(error)
        }
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Where the log's segments are.
    var logPath: String { "\(path)/log" }

    private var identityPath: String { "\(path)/identity" }

    /// Who owns the directory; nil if nobody does yet.
    func identity() throws(StorageError) -> StoredIdentity? {
        var bytes: [UInt8]
        do throws(DiskError) {
            guard try disk.exists(identityPath) else { return nil }
            let file = try disk.open(identityPath, create: false)
            bytes = [UInt8](
                repeating: 0, count: Int(min(try file.size(), StoredIdentity.bytesMax)))
            try file.read(into: &bytes, at: 0)
        } catch {
            throw .disk(error)
        }
        guard let identity = StoredIdentity(text: String(decoding: bytes, as: UTF8.self)) else {
            throw .corrupt(
                file: identityPath, offset: 0, reason: "it does not name a member and a cluster")
        }
        return identity
    }

    /// Makes the directory nobody's again: its member has not begun anything.
    func disown() throws(StorageError) {
        do throws(DiskError) {
            try disk.remove(identityPath)
            try disk.syncDirectory(path)
        } catch {
            throw .disk(error)
        }
    }

    /// Makes the directory this member's; durable when it returns.
    func found(_ identity: StoredIdentity) throws(StorageError) {
        let scratch = "\(identityPath).new"
        do throws(DiskError) {
            try disk.remove(scratch)
            let file = try disk.open(scratch, create: true)
            try file.write(Array(identity.text.utf8), at: 0)
            try file.sync()
            try disk.rename(scratch, to: identityPath)
            try disk.syncDirectory(path)
        } catch {
            throw .disk(error)
        }
    }
}
