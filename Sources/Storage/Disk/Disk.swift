// Disk.swift: the seam through which Storage reaches a disk, and nothing else does.
// Belongs here: what a file system must promise. Never here: formats (WAL/, Pages/), retries.
// Source: POSIX.1-2017 pread, pwrite, fdatasync, rename; a failed fsync is never retried.

/// A file system as Storage sees it: flat paths, positional reads and writes, explicit durability.
///
/// Implementations: `PosixDisk` for real disks; tests and the simulator bring their own.
/// A method may be called from any thread. Nothing written is durable before `DiskFile.sync()`
/// (contents) and `syncDirectory` (names) have returned.
public protocol Disk: AnyObject, Sendable {
    /// Opens a file for reading and writing.
    ///
    /// - Throws: `DiskError.notFound` if it does not exist and `create` is false.
    func open(_ path: String, create: Bool) throws(DiskError) -> any DiskFile
    /// Whether a file or directory of that name exists.
    func exists(_ path: String) throws(DiskError) -> Bool
    /// The names in a directory, in ascending byte order, without "." and "..".
    func list(_ directory: String) throws(DiskError) -> [String]
    /// Creates a directory with mode 0700; existing is no error.
    func createDirectory(_ path: String) throws(DiskError)
    /// Removes a file; missing is no error.
    func remove(_ path: String) throws(DiskError)
    /// Replaces `to` with `from`, atomically.
    func rename(_ from: String, to: String) throws(DiskError)
    /// Makes the names in a directory durable.
    func syncDirectory(_ path: String) throws(DiskError)
    /// Bytes that unprivileged users may still allocate on the file system of `path`.
    func freeBytes(_ path: String) throws(DiskError) -> UInt64
    /// Takes the exclusive lock file that marks a data directory as in use; it goes with the
    /// process.
    ///
    /// - Throws: `DiskError.locked` if another process holds it.
    func lock(_ path: String) throws(DiskError) -> any DiskLock
}

/// An open file, closed when the last reference goes.
public protocol DiskFile: AnyObject, Sendable {
    /// The path it was opened by, for messages.
    var path: String { get }
    /// The length in bytes.
    func size() throws(DiskError) -> UInt64
    /// Reads at `offset`; returns the bytes read, fewer than asked only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskError)
        -> Int
    /// Writes all of `bytes` at `offset`, extending the file if need be.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError)
    /// Cuts or extends (with zeroes) the file to `size` bytes.
    func truncate(to size: UInt64) throws(DiskError)
    /// Says that the contents will not be read soon: memory that only mirrors the disk may go.
    ///
    /// A hint without effect on contents or durability.
    func forgetCached()
    /// Makes the contents durable (fdatasync). After an error the contents are unknown: stop.
    func sync() throws(DiskError)
}

extension DiskFile {
    /// Does nothing: for disks without memory that mirrors them.
    public func forgetCached() {}
}

/// Held while a data directory is in use; released when the last reference goes.
public protocol DiskLock: AnyObject, Sendable {}

/// What a disk operation can end with, with the path and the system's own words.
public enum DiskError: Error, Equatable, Sendable {
    /// No such file or directory.
    case notFound(path: String)
    /// The file system or the quota is full (ENOSPC, EDQUOT).
    case full(path: String)
    /// The path may not be written (EACCES, EPERM).
    case denied(path: String, operation: String)
    /// The file system is mounted read-only (EROFS).
    case readOnly(path: String)
    /// Another process holds the lock.
    case locked(path: String)
    /// Any other failure; `code` is the errno.
    case failed(path: String, operation: String, code: Int32)
}
