// FaultyDisk.swift: a file system in memory that forgets, tears and fails as real ones do.
// Belongs here: names, crash, faults, the counter. Never here: contents (FaultyFile.swift).
// Model: a sector (512 bytes) survives a crash old or new; only a sync decides for new.

import Glibc
package import Storage

/// A disk in memory with the worst behaviour its seam allows, all of it under the test's control.
///
/// Operations that change something are counted from 1, so that a test can crash after, or fail,
/// every single one. Reading, opening and listing are not counted.
package final class FaultyDisk: Disk, @unchecked Sendable {
    // @unchecked Sendable: every var is guarded by `monitor`.
    private let monitor = Monitor()
    private var names: [String: Node] = [:]
    private var durableNames: [String: Node] = [:]
    /// Changes of names that no `syncDirectory` has made durable, in order.
    private var unsyncedNames: [NameChange] = []
    private var heldLocks: Set<String> = []
    private var counted: [DiskOperation] = []
    private var crashPoint: Int?
    private var isDead = false
    private var plannedFaults: [Int: Fault] = [:]
    private var nextFaults: [OperationKind: Fault] = [:]
    private var capacity: UInt64 = .max

    fileprivate enum Node {
        case file(FaultyInode)
        case directory
    }

    fileprivate struct NameChange {
        var directory: String
        var removed: String?
        var added: (name: String, node: Node)?
    }

    /// Creates an empty disk; the directories "." and "/" exist.
    package init() {}

    // MARK: the test's side

    /// The operations that were counted so far, failed ones included.
    package var operations: [DiskOperation] { guarded { counted } }

    /// Lets `count` operations happen, after which the machine is off: everything fails.
    package func crash(afterOperation count: Int) {
        guarded { crashPoint = count }
    }

    /// Whether the machine has stopped.
    package var isCrashed: Bool { guarded { isDead } }

    /// Makes the operation of that number fail.
    package func inject(_ fault: Fault, atOperation number: Int) {
        guarded { plannedFaults[number] = fault }
    }

    /// Makes the next operation of that kind fail.
    package func inject(_ fault: Fault, onNext kind: OperationKind) {
        guarded { nextFaults[kind] = fault }
    }

    /// Sets how many bytes all files together may have.
    package func setCapacity(_ bytes: UInt64) {
        guarded { capacity = bytes }
    }

    /// The bytes all files together have now.
    package var usedBytes: UInt64 { guarded { used } }

    /// Turns one bit of a file over, in memory and on the medium.
    package func flipBit(_ path: String, offset: Int, bit: Int = 0) {
        precondition(offset < contents(path).count, "\(path) has no byte \(offset)")
        guarded { if case .file(let inode)? = names[path] { inode.flip(offset, 1 << UInt8(bit)) } }
    }

    /// Replaces a file as if it had always been so; creates it if need be.
    package func plant(_ path: String, _ bytes: [UInt8]) {
        guarded {
            let inode = FaultyInode(bytes)
            names[path] = .file(inode)
            durableNames[path] = .file(inode)
        }
    }

    /// The bytes a program would read now; empty if there is no such file.
    package func contents(_ path: String) -> [UInt8] {
        guarded { if case .file(let inode)? = names[path] { inode.current } else { [] } }
    }

    /// Cuts the power and returns the disk as it is found afterwards.
    ///
    /// This disk is dead from then on.
    package func afterCrash(_ survival: Survival) -> FaultyDisk {
        monitor.lock()
        defer { monitor.unlock() }
        isDead = true
        var coin = SurvivalCoin(survival)
        var survivors = durableNames
        for change in unsyncedNames where coin.survives() { change.apply(to: &survivors) }
        let next = FaultyDisk()
        next.capacity = capacity
        // In the order of names, so that the same seed tears the same sectors. An inode has one
        // name at most, unless a change of names was lost; then both show the same torn contents.
        var torn: [ObjectIdentifier: FaultyInode] = [:]
        for name in survivors.keys.sorted() {
            guard let node = survivors[name], parentExists(of: name, in: survivors) else {
                continue
            }
            guard case .file(let inode) = node else {
                next.adopt(name, node)
                continue
            }
            let survivor = torn[ObjectIdentifier(inode)] ?? inode.afterCrash(&coin)
            torn[ObjectIdentifier(inode)] = survivor
            next.adopt(name, .file(survivor))
        }
        return next
    }

    private func adopt(_ name: String, _ node: Node) {
        names[name] = node
        durableNames[name] = node
    }

    // MARK: the seam

    package func open(_ path: String, create: Bool) throws(DiskError) -> any DiskFile {
        try alive(path)
        if let node = guarded({ names[path] }) {
            guard case .file(let inode) = node else {
                throw .failed(path: path, operation: "open", code: EISDIR)
            }
            return FaultyFile(path: path, disk: self, inode: inode)
        }
        guard create, guarded({ parentExists(of: path, in: names) }) else {
            throw .notFound(path: path)
        }
        try count(.create, path)
        let inode = FaultyInode([])
        change(path, removed: nil, added: (path, .file(inode)))
        return FaultyFile(path: path, disk: self, inode: inode)
    }

    package func exists(_ path: String) throws(DiskError) -> Bool {
        try alive(path)
        return guarded { names[path] != nil }
    }

    package func list(_ directory: String) throws(DiskError) -> [String] {
        try alive(directory)
        return guarded {
            names.keys.filter { parent(of: $0) == directory }
                .map { String($0.dropFirst(directory == "." ? 0 : directory.utf8.count + 1)) }
                .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
    }

    package func createDirectory(_ path: String) throws(DiskError) {
        try alive(path)
        guard guarded({ names[path] == nil }) else { return }
        try count(.create, path)
        change(path, removed: nil, added: (path, .directory))
    }

    package func remove(_ path: String) throws(DiskError) {
        try alive(path)
        guard guarded({ names[path] != nil }) else { return }
        try count(.remove, path)
        change(path, removed: path, added: nil)
    }

    package func rename(_ from: String, to: String) throws(DiskError) {
        try alive(from)
        guard let node = guarded({ names[from] }) else { throw .notFound(path: from) }
        try count(.rename, from)
        change(to, removed: from, added: (to, node))
    }

    package func syncDirectory(_ path: String) throws(DiskError) {
        try alive(path)
        try count(.syncDirectory, path)
        guarded {
            for change in unsyncedNames where change.directory == path {
                change.apply(to: &durableNames)
            }
            unsyncedNames.removeAll { $0.directory == path }
        }
    }

    package func freeBytes(_ path: String) throws(DiskError) -> UInt64 {
        try alive(path)
        return guarded { capacity - min(capacity, used) }
    }

    package func lock(_ path: String) throws(DiskError) -> any DiskLock {
        try alive(path)
        guard guarded({ heldLocks.insert(path).inserted }) else { throw .locked(path: path) }
        return FaultyLock(disk: self, path: path)
    }

    fileprivate func release(_ path: String) {
        guarded { _ = heldLocks.remove(path) }
    }

    // MARK: for FaultyFile

    /// Counts an operation that changes something; throws if it is to fail, or the machine is off.
    func count(_ kind: OperationKind, _ path: String) throws(DiskError) {
        monitor.lock()
        defer { monitor.unlock() }
        if let crashPoint, counted.count >= crashPoint { isDead = true }
        guard !isDead else { throw .failed(path: path, operation: "power", code: EIO) }
        counted.append(DiskOperation(kind: kind, path: path))
        guard let fault = takeFault(kind) else { return }
        throw fault.error(path, kind)
    }

    /// As `count`, for a write, which may happen in part before it fails.
    func countWrite(
        _ path: String, _ inode: FaultyInode, _ bytes: UnsafeRawBufferPointer, at offset: Int
    ) throws(DiskError) {
        monitor.lock()
        defer { monitor.unlock() }
        if let crashPoint, counted.count >= crashPoint { isDead = true }
        guard !isDead else { throw .failed(path: path, operation: "power", code: EIO) }
        counted.append(DiskOperation(kind: .write, path: path))
        let grown = UInt64(max(0, offset + bytes.count - inode.current.count))
        let free = capacity - min(capacity, used)
        let fault = takeFault(.write) ?? (grown > free ? .full(written: 0) : nil)
        guard let fault else {
            inode.write(bytes, at: offset)
            return
        }
        if case .full(let written) = fault {
            inode.write(.init(rebasing: bytes[..<min(written, bytes.count)]), at: offset)
        }
        throw fault.error(path, .write)
    }

    /// Runs memory work under the disk's lock.
    func guarded<R>(_ body: () -> R) -> R {
        monitor.lock()
        defer { monitor.unlock() }
        return body()
    }

    /// Throws if the machine is off, or the next read is to fail and this is one.
    func alive(_ path: String, reading: Bool = false) throws(DiskError) {
        monitor.lock()
        defer { monitor.unlock() }
        guard !isDead else { throw .failed(path: path, operation: "power", code: EIO) }
        guard reading, let fault = nextFaults.removeValue(forKey: .read) else { return }
        throw fault.error(path, .read)
    }

    private func takeFault(_ kind: OperationKind) -> Fault? {
        plannedFaults.removeValue(forKey: counted.count) ?? nextFaults.removeValue(forKey: kind)
    }

    private func change(_ path: String, removed: String?, added: (name: String, node: Node)?) {
        guarded {
            let change = NameChange(directory: parent(of: path), removed: removed, added: added)
            change.apply(to: &names)
            unsyncedNames.append(change)
        }
    }

    private var used: UInt64 {
        names.values.reduce(0) { sum, node in
            if case .file(let inode) = node { sum + UInt64(inode.current.count) } else { sum }
        }
    }
}

extension FaultyDisk.NameChange {
    fileprivate func apply(to names: inout [String: FaultyDisk.Node]) {
        if let removed { names[removed] = nil }
        if let added { names[added.name] = added.node }
    }
}

private func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

private func parentExists(of path: String, in names: [String: FaultyDisk.Node]) -> Bool {
    let parent = parent(of: path)
    guard parent != "." && parent != "/" else { return true }
    guard case .directory? = names[parent] else { return false }
    return parentExists(of: parent, in: names)
}

private final class FaultyLock: DiskLock {
    private let disk: FaultyDisk
    private let path: String

    init(disk: FaultyDisk, path: String) {
        self.disk = disk
        self.path = path
    }

    deinit {
        disk.release(path)
    }
}
