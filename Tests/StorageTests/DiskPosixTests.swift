// DiskPosixTests.swift: the real file system keeps the promises of the seam.
// Belongs here: PosixDisk, in a directory that is removed afterwards. Elsewhere: FaultyDisk.

import Glibc
import Storage
import Testing

/// A fresh directory on the real disk, removed with everything in it when the last reference goes.
final class TemporaryDirectory {
    let path: String
    private let disk = PosixDisk()

    init() throws {
        var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
        let made = try template.withUnsafeMutableBufferPointer { buffer in
            let start = try #require(buffer.baseAddress)
            return mkdtemp(start) != nil
        }
        try #require(made, "mkdtemp: \(errno)")
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit {
        do throws(DiskError) {
            try removeAll(path)
        } catch {
            Issue.record("\(error)")
        }
    }

    private func removeAll(_ directory: String) throws(DiskError) {
        for name in try disk.list(directory) {
            let path = directory + "/" + name
            if rmdir(path) == 0 { continue }
            if errno == ENOTDIR { try disk.remove(path) } else { try removeAll(path) }
        }
        rmdir(directory)
    }
}

@Suite("disk: the real one")
struct DiskPosixTests {
    let disk = PosixDisk()

    static func write(_ text: String, to file: any DiskFile, at offset: UInt64) throws(DiskError) {
        let bytes = Array(text.utf8)
        try bytes.withUnsafeBufferPointer { (all) throws(DiskError) in
            try file.write(UnsafeRawBufferPointer(all), at: offset)
        }
    }

    static func read(_ count: Int, from file: any DiskFile, at offset: UInt64) throws -> String {
        var bytes = [UInt8](repeating: 0, count: count)
        let done = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
        return String(decoding: bytes[..<done], as: UTF8.self)
    }

    @Test("bytes are read where they were written, and fewer at the end of the file")
    func readAndWrite() throws {
        let directory = try TemporaryDirectory()
        let file = try disk.open(directory.path + "/a", create: true)
        #expect(file.path == directory.path + "/a")
        try Self.write("hello", to: file, at: 3)
        try file.sync()
        #expect(try file.size() == 8)
        #expect(try Self.read(10, from: file, at: 3) == "hello")
        #expect(try Self.read(2, from: file, at: 4) == "el")
        #expect(try Self.read(4, from: file, at: 8) == "")
        try file.truncate(to: 5)
        #expect(try Self.read(10, from: file, at: 3) == "he")
        try file.truncate(to: 7)
        #expect(try Self.read(10, from: file, at: 3) == "he\0\0")
    }

    @Test("names: create, list in order, rename over, remove, and what is missing")
    func names() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        #expect(throws: DiskError.notFound(path: path + "/a")) {
            try disk.open(path + "/a", create: false)
        }
        #expect(try !disk.exists(path + "/a"))
        for name in ["b", "a", "C", "a0"] { _ = try disk.open(path + "/" + name, create: true) }
        #expect(try disk.list(path) == ["C", "a", "a0", "b"])
        let file = try disk.open(path + "/a", create: false)
        try Self.write("new", to: file, at: 0)
        try disk.rename(path + "/a", to: path + "/b")
        try disk.syncDirectory(path)
        #expect(try disk.list(path) == ["C", "a0", "b"])
        #expect(try Self.read(9, from: disk.open(path + "/b", create: false), at: 0) == "new")
        try disk.remove(path + "/b")
        try disk.remove(path + "/b")
        #expect(try !disk.exists(path + "/b"))
        #expect(throws: DiskError.notFound(path: path + "/b")) {
            try disk.rename(path + "/b", to: path + "/d")
        }
    }

    @Test("files are 0600, directories 0700, and making one twice is no error")
    func modes() throws {
        let directory = try TemporaryDirectory()
        let inner = directory.path + "/inner"
        try disk.createDirectory(inner)
        try disk.createDirectory(inner)
        _ = try disk.open(inner + "/file", create: true)
        var status = stat()
        #expect(stat(inner, &status) == 0 && status.st_mode & 0o777 == 0o700)
        #expect(stat(inner + "/file", &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(try disk.freeBytes(inner) > 0)
    }

    @Test("errors name the path and the operation")
    func errors() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        #expect(
            throws: DiskError.failed(path: path, operation: "open", code: EISDIR)
        ) { try disk.open(path, create: false) }
        #expect(throws: DiskError.notFound(path: path + "/x/y")) {
            try disk.createDirectory(path + "/x/y")
        }
        #expect(throws: DiskError.notFound(path: path + "/x")) { try disk.list(path + "/x") }
        #expect(throws: DiskError.notFound(path: path + "/x")) {
            try disk.syncDirectory(path + "/x")
        }
        #expect(throws: DiskError.notFound(path: path + "/x")) { try disk.freeBytes(path + "/x") }
        // A device that is always full.
        let full = try disk.open("/dev/full", create: false)
        #expect(throws: DiskError.full(path: "/dev/full")) { try Self.write("a", to: full, at: 0) }
    }

    @Test("the lock is refused while it is held, here and in another process, and free afterwards")
    func lock() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/LOCK"
        var held: (any DiskLock)? = try disk.lock(path)
        #expect(throws: DiskError.locked(path: path)) { try disk.lock(path) }
        #expect(try Self.otherProcessTakes(path) == false)
        let file = try disk.open(path, create: false)
        #expect(try Self.read(20, from: file, at: 0) == "\(getpid())\n")
        withExtendedLifetime(held) {}
        held = nil
        #expect(try Self.otherProcessTakes(path) == true)
        _ = try disk.lock(path)
    }

    /// Lets flock(1) try to take the lock.
    static func otherProcessTakes(_ path: String) throws -> Bool {
        let arguments = ["flock", "--nonblock", path, "true"]
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var child = pid_t()
        let code = try pointers.withUnsafeMutableBufferPointer { buffer in
            let start = try #require(buffer.baseAddress)
            return posix_spawnp(&child, "flock", nil, nil, start, environ)
        }
        try #require(code == 0, "posix_spawnp: \(code)")
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 { try #require(errno == EINTR) }
        return status == 0
    }

    @Test("a log on the real disk survives being closed, with threads and roll-over")
    func logOnRealDisk() throws {
        let directory = try TemporaryDirectory()
        let options = LogOptions(salt: 5, segmentBytes: 64 << 10)
        let path = directory.path + "/wal"
        let entries = (1...300).map { WALRun.entry($0, term: 1, bytes: 900) }
        let opened = try LogStore.open(disk: disk, directory: path, options: options)
        let writer = LogWriter(store: opened.store) { _ in }
        for entry in entries {
            _ = try opened.store.append(
                [entry], hardState: LogHardState(term: 1, vote: 1, commit: entry.index - 1))
        }
        writer.stop()
        let (store, recovered) = try LogStore.open(disk: disk, directory: path, options: options)
        #expect(recovered.lastIndex == 300)
        #expect(recovered.hardState == LogHardState(term: 1, vote: 1, commit: 299))
        #expect(recovered.tornTail == nil)
        #expect(try WALFound.readAll(store, recovered) == entries)
    }
}
