// SideFile.swift: for each page of the database file the index that last changed it, and its hash.
// Belongs here: entries and their place. Never here: what is done about a wrong hash.
// Source of the layout: Docs.docc/Pages.md, "db.pages". 16 bytes a page; page n stands at (n - 1) *
// 16.

/// The file `db.pages`; its owner calls it from one thread at a time.
final class SideFile: @unchecked Sendable {
    // @unchecked Sendable: only the one running checkpoint, or opening, writes; see
    // PageStore.isCheckpointing.
    static let entryBytes = 16
    /// Ties the index into the hash, so that the sum over the hashes covers both.
    private static let indexFactor: UInt64 = 0x9FB2_1C65_1E98_DF25
    /// A hash with an index tied into it, or without it again.
    static func mix(_ hash: UInt64, _ index: UInt64) -> UInt64 { hash ^ index &* indexFactor }

    private static let chunkEntries = 1 << 16

    private let file: any DiskFile

    init(file: any DiskFile) {
        self.file = file
    }

    /// The length in bytes.
    func size() throws(StorageError) -> UInt64 {
        do { return try file.size() } catch { throw .disk(error) }
    }

    /// Reads the entries of pages 1 to `pageCount`; those past the end of the file are missing.
    func load(
        pageCount: UInt32, _ each: (_ page: UInt32, _ index: UInt64, _ hash: UInt64) -> Void
    ) throws(StorageError) {
        var page: UInt32 = 1
        while page <= pageCount {
            let count = min(Self.chunkEntries, Int(pageCount - page) + 1)
            var bytes = [UInt8](repeating: 0, count: count * Self.entryBytes)
            do {
                try file.read(into: &bytes, at: UInt64(page - 1) * UInt64(Self.entryBytes))
            } catch {
                throw .disk(error)
            }
            bytes.withUnsafeBytes { all in
                for place in 0..<(all.count / Self.entryBytes) {
                    let offset = place * Self.entryBytes
                    let index = UInt64(
                        littleEndian: all.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                    let mixed = UInt64(
                        littleEndian: all.loadUnaligned(
                            fromByteOffset: offset + 8, as: UInt64.self))
                    each(page + UInt32(place), index, Self.mix(mixed, index))
                }
            }
            page += UInt32(count)
        }
    }

    /// Writes the entries of neighbouring pages, the first of which is `page`.
    func write(
        _ entries: [(index: UInt64, hash: UInt64)], from page: UInt32
    ) throws(StorageError) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * Self.entryBytes)
        for (index, hash) in entries {
            bytes.append(index)
            bytes.append(Self.mix(hash, index))
        }
        do {
            try file.write(bytes, at: UInt64(page - 1) * UInt64(Self.entryBytes))
        } catch {
            throw .disk(error)
        }
    }

    /// Makes what was written durable.
    func sync() throws(StorageError) {
        do { try file.sync() } catch { throw .disk(error) }
    }

    /// Cuts entries past the last page.
    func truncate(pageCount: UInt32) throws(StorageError) {
        do {
            try file.truncate(to: UInt64(pageCount) * UInt64(Self.entryBytes))
        } catch {
            throw .disk(error)
        }
    }
}
