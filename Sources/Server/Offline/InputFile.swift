// InputFile.swift: a file that is read and never written.
// Belongs here: open(2), pread(2). Never here: formats. The disk of Storage opens for writing, which a
// backup on a read-only medium does not allow.

internal import Glibc
internal import Storage

/// An open file; closed when the last reference goes.
final class InputFile: BoltSource {
    let path: String
    private let descriptor: Int32
    /// The length in bytes, or where the part that counts ends.
    private(set) var byteCount: UInt64

    init(_ path: String) throws(OfflineError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .refused("cannot open \(path): \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .refused("cannot look at \(path): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .refused("\(path) is not a file")
        }
        byteCount = UInt64(status.st_size)
    }

    deinit {
        close(descriptor)
    }

    /// Whether a path names a directory.
    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether something of that name exists.
    static func exists(_ path: String, _ disk: any Disk) throws(OfflineError) -> Bool {
        do throws(DiskError) {
            return try disk.exists(path)
        } catch {
            throw .refused("\(error)")
        }
    }

    /// Whether another process holds a lock on the file, as a running etcd does on its database.
    func isLocked() -> Bool {
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return errno == EWOULDBLOCK }
        flock(descriptor, LOCK_UN)
        return false
    }

    /// Leaves out what lies behind `end`.
    func cut(at end: UInt64) {
        precondition(end <= byteCount, "\(end) is past \(byteCount)")
        byteCount = end
    }

    /// Fills `buffer`; whether all of it lies within the file is checked here too.
    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(BoltError) {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + done)
            if count > 0 {
                done += count
            } else if count == 0 {
                throw .unreadable(reason: "it ends at \(offset + UInt64(done))")
            } else if errno != EINTR {
                throw .unreadable(reason: String(cString: strerror(errno)))
            }
        }
    }

    /// Passes all bytes up to `end` to `body`, in order, with how many there were before.
    func forEachPart(
        upTo end: UInt64, _ body: (UnsafeRawBufferPointer, UInt64) -> Void
    ) throws(OfflineError) {
        let room = BoltRoom(byteCount: 1 << 20)
        var offset: UInt64 = 0
        while offset < end {
            let part = room.prefix(Int(min(UInt64(room.bytes.count), end - offset)))
            try reading(path) { () throws(BoltError) in try read(into: part, at: offset) }
            body(UnsafeRawBufferPointer(part), offset)
            offset += UInt64(part.count)
        }
    }
}
