// PosixDisk.swift: the real file system behind the Disk seam.
// Belongs here: system calls and what their errors mean. Never here: retries beyond EINTR, formats.
// Source: POSIX.1-2017 pread, pwrite, fdatasync, rename; Linux flock(2), statvfs(3).

import Glibc

/// The file system of the operating system.
///
/// Files get mode 0600, directories 0700, and no descriptor is inherited by a child process.
public final class PosixDisk: Disk {
    private let skipsSync: Bool

    /// Creates the disk; paths are those of the process.
    ///
    /// - Parameter skipsSync: leaves out every sync, as `--unsafe-no-fsync` asks: what a crash of the
    ///   machine then loses may have been acknowledged.
    public init(skipsSync: Bool = false) {
        self.skipsSync = skipsSync
    }

    /// Opens a file for reading and writing; its mode is 0600 if it is new.
    public func open(_ path: String, create: Bool) throws(DiskError) -> any DiskFile {
        try PosixFile(
            path: path, flags: O_RDWR | (create ? O_CREAT : 0), skipsSync: skipsSync)
    }

    /// Whether access(2) finds it.
    public func exists(_ path: String) throws(DiskError) -> Bool {
        guard access(path, F_OK) != 0 else { return true }
        guard errno == ENOENT else { throw DiskError(errno, path: path, operation: "access") }
        return false
    }

    /// The names readdir(3) gives, sorted.
    public func list(_ directory: String) throws(DiskError) -> [String] {
        guard let stream = opendir(directory) else {
            throw DiskError(errno, path: directory, operation: "opendir")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else {
                    throw DiskError(errno, path: directory, operation: "readdir")
                }
                return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    /// Creates a directory with mkdir(2), mode 0700.
    public func createDirectory(_ path: String) throws(DiskError) {
        guard mkdir(path, 0o700) != 0, errno != EEXIST else { return }
        throw DiskError(errno, path: path, operation: "mkdir")
    }

    /// Removes a file with unlink(2).
    public func remove(_ path: String) throws(DiskError) {
        guard unlink(path) != 0, errno != ENOENT else { return }
        throw DiskError(errno, path: path, operation: "unlink")
    }

    /// Renames with rename(2).
    public func rename(_ from: String, to: String) throws(DiskError) {
        guard Glibc.rename(from, to) != 0 else { return }
        throw DiskError(errno, path: from, operation: "rename")
    }

    /// Syncs a directory with fsync(2).
    public func syncDirectory(_ path: String) throws(DiskError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw DiskError(errno, path: path, operation: "open") }
        defer { close(descriptor) }
        guard fsync(descriptor) != 0 else { return }
        throw DiskError(errno, path: path, operation: "fsync")
    }

    /// The blocks statvfs(3) calls available.
    public func freeBytes(_ path: String) throws(DiskError) -> UInt64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else {
            throw DiskError(errno, path: path, operation: "statvfs")
        }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }

    /// Takes an exclusive flock(2), which conflicts with one in this process too, and writes our
    /// process number.
    public func lock(_ path: String) throws(DiskError) -> any DiskLock {
        let file = try PosixFile(path: path, flags: O_RDWR | O_CREAT, skipsSync: skipsSync)
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            guard errno != EWOULDBLOCK else { throw .locked(path: path) }
            throw DiskError(errno, path: path, operation: "flock")
        }
        // The number is for people who wonder who holds it; the lock itself is the kernel's.
        try file.truncate(to: 0)
        try file.write(Array("\(getpid())\n".utf8), at: 0)
        return PosixLock(file: file)
    }
}

/// A descriptor that is closed with its last reference.
private final class PosixFile: DiskFile {
    let path: String
    let descriptor: Int32
    private let skipsSync: Bool

    init(path: String, flags: Int32, skipsSync: Bool) throws(DiskError) {
        self.path = path
        self.skipsSync = skipsSync
        var opened: Int32
        repeat {
            opened = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        } while opened < 0 && errno == EINTR
        guard opened >= 0 else { throw DiskError(errno, path: path, operation: "open") }
        descriptor = opened
    }

    deinit {
        close(descriptor)
    }

    func size() throws(DiskError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw DiskError(errno, path: path, operation: "fstat")
        }
        return UInt64(status.st_size)
    }

    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(DiskError) -> Int {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + done)
            if count == 0 { break }
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw DiskError(errno, path: path, operation: "pread")
            }
        }
        return done
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset) + done)
            if count >= 0 {
                done += count
            } else if errno != EINTR {
                throw DiskError(errno, path: path, operation: "pwrite")
            }
        }
    }

    func truncate(to size: UInt64) throws(DiskError) {
        while ftruncate(descriptor, off_t(size)) != 0 {
            guard errno == EINTR else {
                throw DiskError(errno, path: path, operation: "ftruncate")
            }
        }
    }

    func forgetCached() {
        // What a kernel keeps in large pieces it also writes in large pieces: a frame of 512 bytes in a
        // segment that was read or zeroed as a whole would cost a write of up to 2 MiB.
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
    }

    func sync() throws(DiskError) {
        guard !skipsSync else { return }
        // Not even EINTR is tried again: what a failed fdatasync left behind is unknown.
        guard fdatasync(descriptor) != 0 else { return }
        throw DiskError(errno, path: path, operation: "fdatasync")
    }
}

/// The lock lives as long as its descriptor.
private final class PosixLock: DiskLock {
    private let file: PosixFile

    init(file: PosixFile) {
        self.file = file
    }
}

extension DiskError {
    /// Sorts an errno into the cases that callers treat apart.
    fileprivate init(_ code: Int32, path: String, operation: String) {
        switch code {
        case ENOENT: self = .notFound(path: path)
        case ENOSPC, EDQUOT: self = .full(path: path)
        case EACCES, EPERM: self = .denied(path: path, operation: operation)
        case EROFS: self = .readOnly(path: path)
        default: self = .failed(path: path, operation: operation, code: code)
        }
    }
}
