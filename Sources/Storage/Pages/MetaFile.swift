// MetaFile.swift: which state the database file stands at, in two slots written by turns.
// Belongs here: the slots. Never here: when they are written (Checkpoint.swift).
// Source of the layout: Docs.docc/Pages.md, "db.meta". A crash while one slot is written leaves the
// other.

internal import CChecksum

/// The file `db.meta`; its owner calls it from one thread at a time.
final class MetaFile: @unchecked Sendable {
    // @unchecked Sendable: only the one running checkpoint, or opening, writes; see
    // PageStore.isCheckpointing.
    static let slotStride: UInt64 = 4096
    static let magic: UInt64 = 0x3154_454C_5452_414D
    static let formatVersion: UInt32 = 1
    private static let slotBytes = 24 + StoreState.bytes + 4

    private let file: any DiskFile
    private var sequence: UInt64 = 0
    /// The slot that `load` found to be the newest.
    private var newest: [UInt8] = []

    init(file: any DiskFile) {
        self.file = file
    }

    /// The newest state, or nil if neither slot holds one.
    ///
    /// - Throws: `incompatible` if a newer version of this program wrote it.
    func load() throws(StorageError) -> StoreState? {
        var result: StoreState?
        for slot in 0..<UInt64(2) {
            var bytes = [UInt8](repeating: 0, count: Self.slotBytes)
            do {
                try file.read(into: &bytes, at: slot * Self.slotStride)
            } catch {
                throw .disk(error)
            }
            guard let (found, state) = try parse(bytes), found > sequence else { continue }
            sequence = found
            newest = bytes
            result = state
        }
        return result
    }

    /// Makes what was loaded durable, whatever the last process left in memory; nothing may be built on it before.
    ///
    /// It may have died between writing the slot and its sync, or on that sync, after which the system holds the
    /// slot as clean although the disk never got it: so it is written once more, over itself. The other slot is
    /// still whole if a crash tears this one.
    func settle() throws(StorageError) {
        guard !newest.isEmpty else { return }
        do {
            try file.write(newest, at: sequence % 2 * Self.slotStride)
            try file.sync()
        } catch {
            throw .disk(error)
        }
    }

    private func parse(_ bytes: [UInt8]) throws(StorageError) -> (UInt64, StoreState)? {
        guard bytes.count == Self.slotBytes else { return nil }
        return try bytes.withUnsafeBufferPointer {
            (all) throws(StorageError) -> (UInt64, StoreState)? in
            guard let start = all.baseAddress else { return nil }
            var reader = ByteReader(start, count: all.count)
            let sum = martlet_crc32c(0, start, Self.slotBytes - 4)
            guard reader.integer(UInt64.self) == Self.magic,
                let version = reader.integer(UInt32.self),
                let pageBytes = reader.integer(UInt32.self),
                let sequence = reader.integer(UInt64.self), let state = StoreState(&reader),
                let stored = reader.integer(UInt32.self), stored == sum
            else { return nil }
            guard version == Self.formatVersion, pageBytes == PageLimits.pageBytes else {
                throw .incompatible(
                    file: file.path, found: "format \(version) with pages of \(pageBytes) bytes")
            }
            return (sequence, state)
        }
    }

    /// Writes a state into the slot of the older one and makes it durable.
    func store(_ state: StoreState) throws(StorageError) {
        var bytes: [UInt8] = []
        bytes.append(Self.magic)
        bytes.append(Self.formatVersion)
        bytes.append(UInt32(PageLimits.pageBytes))
        bytes.append(sequence + 1)
        state.append(to: &bytes)
        let sum = bytes.withUnsafeBytes { martlet_crc32c(0, $0.baseAddress, $0.count) }
        bytes.append(sum)
        do {
            try file.write(bytes, at: (sequence + 1) % 2 * Self.slotStride)
            try file.sync()
        } catch {
            throw .disk(error)
        }
        sequence += 1
    }
}
