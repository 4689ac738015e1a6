// DataDirectory.swift: what lies where, and who the member is that owns it.
// Belongs here: names, the identity file. Never here: the formats of the log and the database (Storage).

internal import Storage

/// A data directory, locked for this process.
///
///     DIR/LOCK       held while a process uses the directory
///     DIR/identity   member id, cluster id and the members at the start, as text
///     DIR/db         the database, an SQLite file; db.pages its checksums, db.meta where it stands
///     DIR/log/       the Raft log
///     DIR/UNFINISHED there while a restore or an import makes the directory: nobody may use it
struct DataDirectory {
    let path: String
    let disk: any Disk
    private let lock: any DiskLock

    /// Creates the directory if need be and locks it.
    ///
    /// - Throws: `unfinished` if a restore that makes it did not come to its end.
    init(path: String, disk: any Disk) throws(StorageError) {
        self.path = path
        self.disk = disk
        do throws(DiskError) {
            try Self.make(path, disk)
            lock = try disk.lock("\(path)/LOCK")
            try disk.createDirectory("\(path)/log")
            try disk.syncDirectory(path)
            guard try disk.exists(Self.marker(path)) else { return }
        } catch {
            throw .disk(error)
        }
        throw .unfinished(directory: path)
    }

    /// Takes a directory for a store that is about to be made: one that is not there, empty, or what an
    /// attempt left that did not come to its end.
    ///
    /// - Throws: `occupied` if it holds anything else.
    init(unfinished path: String, disk: any Disk) throws(StorageError) {
        self.path = path
        self.disk = disk
        let isFree: Bool
        do throws(DiskError) {
            try Self.make(path, disk)
            isFree = try Self.isFree(path, disk)
        } catch {
            throw .disk(error)
        }
        guard isFree else { throw .occupied(directory: path) }
        do throws(DiskError) {
            lock = try disk.lock("\(path)/LOCK")
            let marker = try disk.open(Self.marker(path), create: true)
            try marker.sync()
            try disk.syncDirectory(path)
            try disk.createDirectory("\(path)/log")
            for name in ["identity", "identity.new", "db", "db.pages", "db.meta"] {
                try disk.remove("\(path)/\(name)")
            }
            for name in try disk.list(logPath) { try disk.remove("\(logPath)/\(name)") }
            try disk.syncDirectory(logPath)
            try disk.syncDirectory(path)
        } catch {
            throw .disk(error)
        }
    }

    private static let markerName = "UNFINISHED"

    /// The file that says so.
    static func marker(_ path: String) -> String { "\(path)/\(markerName)" }

    /// Whether nothing in a directory belongs to anybody.
    private static func isFree(_ path: String, _ disk: any Disk) throws(DiskError) -> Bool {
        let names = try disk.list(path)
        guard !names.contains(markerName) else { return true }
        // A server that was refused leaves a lock and an empty folder; every new file system has the other.
        guard names.allSatisfy({ ["LOCK", "log", "lost+found"].contains($0) }) else { return false }
        guard names.contains("log") else { return true }
        return try disk.list("\(path)/log").isEmpty
    }

    private static func make(_ path: String, _ disk: any Disk) throws(DiskError) {
        try disk.createDirectory(path)
        // The directory's own name lasts only once its parent does.
        try disk.syncDirectory(parent(of: path))
    }

    /// The store in it is whole: from now on the directory is its member's.
    func finished() throws(StorageError) {
        do throws(DiskError) {
            try disk.remove(Self.marker(path))
            try disk.syncDirectory(path)
        } catch {
            throw .disk(error)
        }
    }

    /// The directory that a name lies in.
    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Where the log's segments are.
    var logPath: String { "\(path)/log" }

    /// Whether an etcd member has its data in a directory that no member of ours owns; nothing is made in it.
    static func isEtcds(_ path: String, disk: any Disk) throws(StorageError) -> Bool {
        do throws(DiskError) {
            guard try disk.exists("\(path)/member") else { return false }
            return try !disk.exists(identity(path))
        } catch {
            throw .disk(error)
        }
    }

    private static func identity(_ path: String) -> String { "\(path)/identity" }

    private var identityPath: String { Self.identity(path) }

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
