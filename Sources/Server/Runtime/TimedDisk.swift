// TimedDisk.swift: a disk that is measured: how long syncs take, how much the log writes.
// Belongs here: observing. Never here: any effect on what is read or written.

internal import Storage

/// Passes everything on to another disk and times what operators watch.
final class TimedDisk: Disk {
    private let disk: any Disk
    private let logDirectory: String
    private let metrics: DiskMetrics

    /// - Parameter logDirectory: files below are the log's; all others the database's.
    init(_ disk: any Disk, logDirectory: String, metrics: DiskMetrics) {
        self.disk = disk
        self.logDirectory = logDirectory + "/"
        self.metrics = metrics
    }

    func open(_ path: String, create: Bool) throws(DiskError) -> any DiskFile {
        let file = try disk.open(path, create: create)
        return TimedFile(file, isLog: path.hasPrefix(logDirectory), metrics: metrics)
    }

    func exists(_ path: String) throws(DiskError) -> Bool { try disk.exists(path) }
    func list(_ directory: String) throws(DiskError) -> [String] { try disk.list(directory) }
    func createDirectory(_ path: String) throws(DiskError) { try disk.createDirectory(path) }
    func remove(_ path: String) throws(DiskError) { try disk.remove(path) }
    func rename(_ from: String, to: String) throws(DiskError) { try disk.rename(from, to: to) }
    func syncDirectory(_ path: String) throws(DiskError) { try disk.syncDirectory(path) }
    func freeBytes(_ path: String) throws(DiskError) -> UInt64 { try disk.freeBytes(path) }
    func lock(_ path: String) throws(DiskError) -> any DiskLock { try disk.lock(path) }
}

private final class TimedFile: DiskFile {
    private let file: any DiskFile
    private let isLog: Bool
    private let metrics: DiskMetrics

    init(_ file: any DiskFile, isLog: Bool, metrics: DiskMetrics) {
        self.file = file
        self.isLog = isLog
        self.metrics = metrics
    }

    var path: String { file.path }

    func size() throws(DiskError) -> UInt64 { try file.size() }

    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(DiskError) -> Int {
        try file.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) {
        guard isLog else { return try file.write(bytes, at: offset) }
        let start = MonotonicClock.nanoseconds
        try file.write(bytes, at: offset)
        metrics.walWriteSeconds.observe(nanoseconds: MonotonicClock.nanoseconds - start)
        metrics.walWriteBytes.add(Int64(bytes.count))
    }

    func truncate(to size: UInt64) throws(DiskError) { try file.truncate(to: size) }

    func forgetCached() { file.forgetCached() }

    func sync() throws(DiskError) {
        let start = MonotonicClock.nanoseconds
        try file.sync()
        let taken = MonotonicClock.nanoseconds - start
        (isLog ? metrics.walFsyncSeconds : metrics.backendCommitSeconds).observe(nanoseconds: taken)
    }
}
