// SimulatedFile.swift: the contents of a file: what programs read, and what a loss of power leaves.
// Belongs here: bytes, sectors, durability. Never here: names and faults (SimulatedDisk.swift).
// Model: a sector survives a loss of power old or new; only a sync decides for new. What is not synced is
// kept as an undo list, so that a sync costs nothing and a loss of power the sectors that it takes.

/// The contents behind a name.
final class SimulatedInode {
    static let sectorBytes = 512

    private var bytes: UnsafeMutableRawPointer
    private var capacity: Int
    /// The length that programs see.
    private(set) var size = 0
    /// The length that a loss of power leaves at least one of.
    private var durableSize = 0
    /// Sectors written since the last sync, with what the medium holds of them.
    private var undoSectors: [Int] = []
    private var undoBytes: [UInt8] = []
    /// Sectors written since the last sync that the medium never held.
    private var freshSectors: [Int] = []
    /// The round of syncs in which a sector was noted last.
    private var notedIn: [UInt32] = []
    private var round: UInt32 = 1

    init() {
        capacity = 4096
        bytes = .allocate(byteCount: capacity, alignment: 16)
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
    }

    deinit {
        bytes.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        let from = min(offset, size)
        let count = min(buffer.count, size - from)
        buffer.copyMemory(from: UnsafeRawBufferPointer(start: bytes + from, count: count))
        return count
    }

    func write(_ source: UnsafeRawBufferPointer, at offset: Int) {
        guard !source.isEmpty, let base = source.baseAddress else { return }
        let end = offset + source.count
        reserve(end)
        note(offset..<end)
        (bytes + offset).copyMemory(from: base, byteCount: source.count)
        size = max(size, end)
    }

    func truncate(to newSize: Int) {
        reserve(newSize)
        if newSize < size {
            note(newSize..<size)
            (bytes + newSize).initializeMemory(
                as: UInt8.self, repeating: 0, count: size - newSize)
        }
        size = newSize
    }

    func sync() {
        undoSectors.removeAll(keepingCapacity: true)
        undoBytes.removeAll(keepingCapacity: true)
        freshSectors.removeAll(keepingCapacity: true)
        durableSize = size
        round += 1
    }

    /// The power goes: every sector that was not synced is as before, or as written.
    func losePower(_ survives: () -> Bool) {
        let keepsSize = size == durableSize || survives()
        if !keepsSize {
            reserve(durableSize)
            size = durableSize
        }
        for (place, sector) in undoSectors.enumerated() {
            guard sector * Self.sectorBytes < size else { continue }
            if survives(), keepsSize || sector * Self.sectorBytes < durableSize { continue }
            restore(sector, from: place)
        }
        for sector in freshSectors where !survives() {
            let from = sector * Self.sectorBytes
            guard from < capacity else { continue }
            (bytes + from).initializeMemory(
                as: UInt8.self, repeating: 0, count: min(Self.sectorBytes, capacity - from))
        }
        clearBeyondSize()
        sync()
    }

    /// Turns a bit over, in memory and on the medium.
    func flip(_ offset: Int, mask: UInt8) {
        precondition(offset < size, "no byte \(offset) in \(size)")
        bytes.storeBytes(
            of: bytes.load(fromByteOffset: offset, as: UInt8.self) ^ mask, toByteOffset: offset,
            as: UInt8.self)
    }

    private func restore(_ sector: Int, from place: Int) {
        undoBytes.withUnsafeBytes { undo in
            guard let base = undo.baseAddress else { return }
            (bytes + sector * Self.sectorBytes).copyMemory(
                from: base + place * Self.sectorBytes, byteCount: Self.sectorBytes)
        }
    }

    private func clearBeyondSize() {
        guard size < capacity else { return }
        (bytes + size).initializeMemory(as: UInt8.self, repeating: 0, count: capacity - size)
    }

    private func note(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let first = range.lowerBound / Self.sectorBytes
        let last = (range.upperBound - 1) / Self.sectorBytes
        if notedIn.count <= last {
            notedIn.append(contentsOf: repeatElement(0, count: last + 1 - notedIn.count))
        }
        for sector in first...last where notedIn[sector] != round {
            notedIn[sector] = round
            guard sector * Self.sectorBytes < durableSize else {
                freshSectors.append(sector)
                continue
            }
            undoSectors.append(sector)
            undoBytes.append(
                contentsOf: UnsafeRawBufferPointer(
                    start: bytes + sector * Self.sectorBytes, count: Self.sectorBytes))
        }
    }

    private func reserve(_ count: Int) {
        guard count > capacity else { return }
        let sectors = (count + Self.sectorBytes - 1) / Self.sectorBytes
        let grown = max(2 * capacity, sectors * Self.sectorBytes)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 16)
        larger.copyMemory(from: bytes, byteCount: capacity)
        (larger + capacity).initializeMemory(as: UInt8.self, repeating: 0, count: grown - capacity)
        bytes.deallocate()
        bytes = larger
        capacity = grown
    }
}
