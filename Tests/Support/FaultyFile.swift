// FaultyFile.swift: the contents of a file on a FaultyDisk: what is read, and what a crash leaves.
// Belongs here: bytes, sectors, durability. Never here: names and faults (FaultyDisk.swift).
// Invariant: outside the unsynced sectors `durable` is `current`, unless a sync has failed.

import Storage

/// The contents behind a name; all access is under the lock of its disk.
final class FaultyInode {
    static let sectorBytes = 512

    /// What programs read.
    private(set) var current: [UInt8]
    /// What the medium is certain to hold.
    private var durable: [UInt8]
    /// Sectors of `current` written since the last sync, ascending, without repetition.
    private var unsynced: [Int] = []

    init(_ bytes: [UInt8]) {
        current = bytes
        durable = bytes
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        guard !bytes.isEmpty else { return }
        let end = offset + bytes.count
        if end > current.count {
            current += [UInt8](repeating: 0, count: end - current.count)
        }
        current.withUnsafeMutableBytes { all in
            UnsafeMutableRawBufferPointer(rebasing: all[offset..<end]).copyMemory(from: bytes)
        }
        touch(offset..<end)
    }

    func truncate(to size: Int) {
        let old = current.count
        if size < old {
            current.removeLast(old - size)
            unsynced.removeAll { $0 * Self.sectorBytes >= size }
            touch(max(0, size - 1)..<size)
        } else {
            current += [UInt8](repeating: 0, count: size - old)
            touch(old..<size)
        }
    }

    func sync() {
        if current.count < durable.count { durable.removeLast(durable.count - current.count) }
        for sector in unsynced { store(sector, in: &durable) }
        unsynced.removeAll()
        if durable.count < current.count {
            durable += [UInt8](repeating: 0, count: current.count - durable.count)
        }
    }

    /// What Linux makes of a failed sync: the pages count as clean, yet the medium never got them.
    func failSync() {
        unsynced.removeAll()
    }

    func flip(_ offset: Int, _ mask: UInt8) {
        current[offset] ^= mask
        if offset < durable.count { durable[offset] ^= mask }
    }

    func afterCrash(_ coin: inout SurvivalCoin) -> FaultyInode {
        var survivor = durable
        for sector in unsynced where coin.survives() { store(sector, in: &survivor) }
        if current.count < survivor.count && coin.survives() {
            survivor.removeLast(survivor.count - current.count)
        }
        return FaultyInode(survivor)
    }

    private func store(_ sector: Int, in target: inout [UInt8]) {
        let from = sector * Self.sectorBytes
        let to = min(from + Self.sectorBytes, current.count)
        guard from < to else { return }
        if target.count < to {
            target += [UInt8](repeating: 0, count: to - target.count)
        }
        target.replaceSubrange(from..<to, with: current[from..<to])
    }

    private func touch(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let first = range.lowerBound / Self.sectorBytes
        let last = (range.upperBound - 1) / Self.sectorBytes
        if let end = unsynced.last, first > end {
            unsynced.append(contentsOf: first...last)
            return
        }
        let touched = Array(first...last)
        unsynced = (unsynced.filter { $0 < first || $0 > last } + touched).sorted()
    }
}

/// An open file of a FaultyDisk.
// @unchecked Sendable: the inode is touched under the lock of `disk` only.
final class FaultyFile: DiskFile, @unchecked Sendable {
    let path: String
    private let disk: FaultyDisk
    private let inode: FaultyInode

    init(path: String, disk: FaultyDisk, inode: FaultyInode) {
        self.path = path
        self.disk = disk
        self.inode = inode
    }

    func size() throws(DiskError) -> UInt64 {
        try disk.alive(path)
        return disk.guarded { UInt64(inode.current.count) }
    }

    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(DiskError) -> Int {
        try disk.alive(path, reading: true)
        return disk.guarded {
            let from = min(Int(offset), inode.current.count)
            let count = min(buffer.count, inode.current.count - from)
            inode.current.withUnsafeBytes { all in
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: all[from..<from + count]))
            }
            return count
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) {
        try disk.countWrite(path, inode, bytes, at: Int(offset))
    }

    func truncate(to size: UInt64) throws(DiskError) {
        try disk.count(.truncate, path)
        disk.guarded { inode.truncate(to: Int(size)) }
    }

    func sync() throws(DiskError) {
        do throws(DiskError) {
            try disk.count(.sync, path)
        } catch {
            // A machine that is off fails everything; what that leaves is the crash's to decide.
            if !disk.isCrashed { disk.guarded { inode.failSync() } }
            throw error
        }
        disk.guarded { inode.sync() }
    }
}
