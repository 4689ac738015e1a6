// SimulatedDisk.swift: one member's file system in memory, which forgets, tears and fails as real ones do.
// Belongs here: names, loss of power, faults. Never here: contents (SimulatedFile.swift), when (Faults/).
// Source: POSIX.1-2017 and ext4: names become durable with their directory, contents with their file.

import Glibc
import Storage

/// A disk of the world.
///
/// It outlives processes: `powerLost` or `processEnded` takes the open files of the one before away.
final class SimulatedDisk: Disk, @unchecked Sendable {
    // @unchecked Sendable: the world runs on one thread, and nothing else has the disk.
    fileprivate enum Node {
        case file(SimulatedInode)
        case directory
    }

    private struct NameChange {
        var directory: String
        var removed: String?
        var added: (name: String, node: Node)?

        func apply(to names: inout [String: Node]) {
            if let removed { names[removed] = nil }
            if let added { names[added.name] = added.node }
        }
    }

    var faults = DiskFaults()
    /// Changing operations until the power is gone, with what is under way left half done; nil for never.
    var operationsLeft: Int?
    /// Bytes on it were changed that were durable: its member may forget what it promised, or refuse to start.
    var isSpoiled = false
    /// Pages of the database file with a turned bit that nobody has written again.
    private(set) var rottenPages: [UInt32] = []
    /// Faults that happened, by kind.
    var counter: FaultCounter
    private var dice: Dice
    private var names: [String: Node] = [:]
    private var durableNames: [String: Node] = [:]
    private var unsynced: [NameChange] = []
    private var locks: [String] = []
    /// Which process the open files belong to.
    fileprivate private(set) var generation = 0

    init(dice: Dice, counter: FaultCounter) {
        self.dice = dice
        self.counter = counter
    }

    // MARK: the world's side

    /// The process is gone; what it wrote is in the system's memory.
    func processEnded() {
        generation += 1
        locks.removeAll()
        operationsLeft = nil
    }

    /// The machine is gone.
    func powerLost(_ loss: PowerLoss) {
        processEnded()
        var survivors = durableNames
        for change in unsynced where survives(loss) { change.apply(to: &survivors) }
        unsynced.removeAll()
        for name in survivors.keys.sorted() {
            guard case .file(let inode)? = survivors[name] else { continue }
            inode.losePower { survives(loss) }
        }
        names = survivors
        durableNames = survivors
    }

    /// Everything is gone.
    func wipe() {
        processEnded()
        names.removeAll()
        durableNames.removeAll()
        unsynced.removeAll()
    }

    private func survives(_ loss: PowerLoss) -> Bool {
        switch loss {
        case .nothing: false
        case .everything: true
        case .some: dice.chance(percent: 50)
        }
    }

    /// Turns a bit of one of these files over; false if there is none.
    func flipBit(in files: [String]) -> Bool {
        guard let name = dice.pick(files), case .file(let inode)? = names[name], inode.size > 0
        else { return false }
        inode.flip(dice.below(inode.size), mask: 1 << UInt8(dice.below(8)))
        isSpoiled = true
        return true
    }

    /// Pages of the database file.
    var databasePages: Int { database.map { $0.size / PageLimits.pageBytes } ?? 0 }

    /// Turns a bit of a page of the database file over; it counts from 1.
    func flipBit(inPage page: UInt32) {
        let start = (Int(page) - 1) * PageLimits.pageBytes
        guard let database, start + PageLimits.pageBytes <= database.size else { return }
        let offset = start + dice.below(PageLimits.pageBytes)
        database.flip(offset, mask: 1 << UInt8(dice.below(8)))
        rottenPages.append(page)
        isSpoiled = true
    }

    private var database: SimulatedInode? {
        guard let name = files(where: { $0.hasSuffix("/db") }).first,
            case .file(let inode)? = names[name]
        else { return nil }
        return inode
    }

    /// The files whose names pass a test, in order.
    func files(where matches: (String) -> Bool) -> [String] {
        names.keys.filter(matches).sorted()
    }

    /// Bytes of all files.
    var usedBytes: UInt64 {
        var sum: UInt64 = 0
        for name in names.keys.sorted() {
            if case .file(let inode)? = names[name] { sum += UInt64(inode.size) }
        }
        return sum
    }

    // MARK: the seam

    func open(_ path: String, create: Bool) throws(DiskError) -> any DiskFile {
        if let node = names[path] {
            guard case .file(let inode) = node else {
                throw .failed(path: path, operation: "open", code: EISDIR)
            }
            return SimulatedFile(path: path, disk: self, inode: inode)
        }
        guard create else { throw .notFound(path: path) }
        try spend(path)
        let inode = SimulatedInode()
        change(path, removed: nil, added: (path, .file(inode)))
        return SimulatedFile(path: path, disk: self, inode: inode)
    }

    func exists(_ path: String) throws(DiskError) -> Bool { names[path] != nil }

    func list(_ directory: String) throws(DiskError) -> [String] {
        let prefix = directory + "/"
        return names.keys.filter { $0.hasPrefix(prefix) }
            .map { String($0.dropFirst(prefix.utf8.count)) }
            .filter { !$0.utf8.contains(UInt8(ascii: "/")) }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    func createDirectory(_ path: String) throws(DiskError) {
        guard names[path] == nil else { return }
        try spend(path)
        change(path, removed: nil, added: (path, .directory))
    }

    func remove(_ path: String) throws(DiskError) {
        guard names[path] != nil else { return }
        try spend(path)
        change(path, removed: path, added: nil)
    }

    func rename(_ from: String, to: String) throws(DiskError) {
        guard let node = names[from] else { throw .notFound(path: from) }
        try spend(from)
        change(to, removed: from, added: (to, node))
    }

    func syncDirectory(_ path: String) throws(DiskError) {
        try spend(path)
        for change in unsynced where change.directory == path { change.apply(to: &durableNames) }
        unsynced.removeAll { $0.directory == path }
    }

    func freeBytes(_ path: String) throws(DiskError) -> UInt64 {
        guard faults.capacityBytes < 1 << 40 else { return faults.capacityBytes }
        return faults.capacityBytes - min(faults.capacityBytes, usedBytes)
    }

    func lock(_ path: String) throws(DiskError) -> any DiskLock {
        guard !locks.contains(path) else { throw .locked(path: path) }
        locks.append(path)
        return SimulatedLock(disk: self, path: path, generation: generation)
    }

    fileprivate func release(_ path: String, _ generation: Int) {
        if generation == self.generation { locks.removeAll { $0 == path } }
    }

    private func change(_ path: String, removed: String?, added: (name: String, node: Node)?) {
        let change = NameChange(directory: Self.parent(of: path), removed: removed, added: added)
        change.apply(to: &names)
        unsynced.append(change)
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return String(path[..<slash])
    }

    // MARK: for files

    /// Counts an operation that changes something; throws once the power is gone.
    fileprivate func spend(_ path: String) throws(DiskError) {
        guard let left = operationsLeft else { return }
        guard left > 0 else { throw .failed(path: path, operation: "power", code: EIO) }
        operationsLeft = left - 1
    }

    fileprivate func read(
        _ path: String, _ inode: SimulatedInode, _ buffer: UnsafeMutableRawBufferPointer,
        at offset: Int
    ) throws(DiskError) -> Int {
        if dice.chance(perMillion: faults.readErrors) {
            counter.count(.readError)
            throw .failed(path: path, operation: "read", code: EIO)
        }
        return inode.read(into: buffer, at: offset)
    }

    fileprivate func write(
        _ path: String, _ inode: SimulatedInode, _ bytes: UnsafeRawBufferPointer, at offset: Int
    ) throws(DiskError) {
        try spend(path)
        if dice.chance(perMillion: faults.writeErrors) {
            counter.count(.writeError)
            throw .failed(path: path, operation: "write", code: EIO)
        }
        if faults.capacityBytes < 1 << 40 {
            let grown = UInt64(max(0, offset + bytes.count - inode.size))
            guard grown == 0 || usedBytes + grown <= faults.capacityBytes else {
                counter.count(.diskFull)
                throw .full(path: path)
            }
        }
        let place = misdirected(path, inode, bytes.count, offset)
        inode.write(bytes, at: place)
        if !rottenPages.isEmpty, path.hasSuffix("/db") {
            let whole = place / PageLimits.pageBytes..<(place + bytes.count) / PageLimits.pageBytes
            rottenPages.removeAll { whole.contains(Int($0) - 1) }
        }
    }

    /// Where a write lands: now and then on another page of the database file.
    private func misdirected(
        _ path: String, _ inode: SimulatedInode, _ count: Int, _ offset: Int
    ) -> Int {
        guard faults.misdirects > 0, path.hasSuffix("/db") else { return offset }
        let places = (inode.size - count) / PageLimits.pageBytes
        guard places > 0, dice.chance(perMillion: faults.misdirects) else { return offset }
        let other = dice.below(places + 1) * PageLimits.pageBytes
        guard other != offset else { return offset }
        counter.count(.misdirectedWrite)
        isSpoiled = true
        return other
    }

    fileprivate func sync(_ path: String, _ inode: SimulatedInode) throws(DiskError) {
        try spend(path)
        if dice.chance(perMillion: faults.syncErrors) {
            counter.count(.syncError)
            throw .failed(path: path, operation: "fdatasync", code: EIO)
        }
        inode.sync()
    }
}

private final class SimulatedLock: DiskLock {
    private let disk: SimulatedDisk
    private let path: String
    private let generation: Int

    init(disk: SimulatedDisk, path: String, generation: Int) {
        self.disk = disk
        self.path = path
        self.generation = generation
    }

    deinit {
        disk.release(path, generation)
    }
}

/// An open file.
private final class SimulatedFile: DiskFile, @unchecked Sendable {
    // @unchecked Sendable: the world runs on one thread, and nothing else has the disk.
    let path: String
    private let disk: SimulatedDisk
    private let inode: SimulatedInode
    private let generation: Int

    init(path: String, disk: SimulatedDisk, inode: SimulatedInode) {
        self.path = path
        self.disk = disk
        self.inode = inode
        generation = disk.generation
    }

    private func alive() throws(DiskError) {
        guard generation == disk.generation else {
            throw .failed(path: path, operation: "use of a dead process's file", code: EBADF)
        }
    }

    func size() throws(DiskError) -> UInt64 {
        try alive()
        return UInt64(inode.size)
    }

    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(DiskError) -> Int {
        try alive()
        return try disk.read(path, inode, buffer, at: Int(offset))
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) {
        try alive()
        try disk.write(path, inode, bytes, at: Int(offset))
    }

    func truncate(to size: UInt64) throws(DiskError) {
        try alive()
        try disk.spend(path)
        inode.truncate(to: Int(size))
    }

    func sync() throws(DiskError) {
        try alive()
        try disk.sync(path, inode)
    }
}
