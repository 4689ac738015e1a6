// MartletImage.swift: a Martlet database in a plain file, checked before anything is made of it.
// Belongs here: what has to hold of it, and what it says of itself. Never here: copying (StoreBuilder).
// Source: sqlite.org/fileformat2.html 1.3 (header), sqlite.org/pragma.html#pragma_integrity_check.

internal import CChecksum
internal import Storage

/// An SQLite file of Martlet, open for reading; confined to its thread.
final class MartletImage {
    let file: InputFile
    let connection: Connection
    let pageCount: UInt32

    /// What `snapshot status` shows.
    struct Summary: Equatable {
        var hash: UInt32
        var revision: Int64
        var totalKeys: Int64
        var totalSize: UInt64
        var version: String
    }

    /// Opens it and compares its head with its length.
    init(_ file: InputFile) throws(OfflineError) {
        self.file = file
        let room = BoltRoom(byteCount: 100)
        let head = UnsafeRawBufferPointer(room.prefix(100))
        try reading(file.path) { () throws(BoltError) in
            try file.read(into: room.prefix(100), at: 0)
        }
        let pageBytes = UInt16(bigEndian: head.loadUnaligned(fromByteOffset: 16, as: UInt16.self))
        guard Int(pageBytes) == PageLimits.pageBytes else {
            throw .damaged(file: file.path, reason: "an SQLite file, but not one of Martlet")
        }
        let pages = UInt32(bigEndian: head.loadUnaligned(fromByteOffset: 28, as: UInt32.self))
        guard UInt64(pages) * UInt64(PageLimits.pageBytes) == file.byteCount, pages > 0,
            pages <= PageLimits.pagesMax
        else {
            throw .damaged(
                file: file.path,
                reason: "it has \(file.byteCount) bytes, but should have \(pages) pages of "
                    + "\(PageLimits.pageBytes): it is cut, or was copied while it was being written"
            )
        }
        pageCount = pages
        do throws(StorageError) {
            connection = try Connection(path: file.path, readOnly: true)
            try connection.execute("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON")
            try connection.execute("PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON")
        } catch {
            throw .damaged(file: file.path, reason: "\(error)")
        }
    }

    /// Has SQLite look at every page, and compares the tables with each other.
    func verify() throws(OfflineError) {
        try ask { () throws(StorageError) in
            let check = try self.connection.prepare("PRAGMA integrity_check(1)")
            guard try check.step(), check.text(0) == "ok" else {
                throw .corrupt(file: self.file.path, offset: 0, reason: check.text(0))
            }
            check.reset()
            guard try Schema.exists(on: self.connection) else {
                throw .incompatible(file: self.file.path, found: "no tables of Martlet")
            }
            // Neither is ever made here; either would run by itself on the first write.
            let foreign = try self.connection.integer(
                "SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')")
            guard foreign == 0 else {
                throw .incompatible(file: self.file.path, found: "triggers or views")
            }
            let lost = try self.connection.integer(
                """
                SELECT count(*) FROM cur LEFT JOIN log ON log.rev = cur.rev \
                WHERE log.rev IS NULL OR log.key <> cur.key
                """)
            guard lost == 0 else {
                throw .corrupt(
                    file: self.file.path, offset: 0,
                    reason: "\(lost ?? 0) keys have lost their newest change")
            }
        }
    }

    /// What the tables say of the state.
    func header() throws(OfflineError) -> StateHeader {
        try ask { () throws(StorageError) in try StateHeader(storedOn: self.connection) }
    }

    func summary() throws(OfflineError) -> Summary {
        var hash: UInt32 = 0
        try file.forEachPart(upTo: file.byteCount) { part, _ in
            hash = martlet_crc32c(hash, part.baseAddress, part.count)
        }
        let (revision, keys) = try ask { () throws(StorageError) in
            let reader = try KeyReader(connection: self.connection)
            let all = UnsafeRawBufferPointer(start: nil, count: 0)
            return (
                try reader.currentRevision(),
                try reader.countLive(from: all, to: .unbounded, limit: Int.max).count
            )
        }
        return Summary(
            hash: hash, revision: revision, totalKeys: Int64(keys), totalSize: file.byteCount,
            version: Product.storageVersion)
    }

    private func ask<Result>(
        _ body: () throws(StorageError) -> Result
    ) throws(OfflineError) -> Result {
        do throws(StorageError) {
            return try body()
        } catch {
            throw .damaged(file: file.path, reason: "\(error)")
        }
    }
}

extension StateHeader {
    /// The header of a store as its tables have it.
    init(storedOn connection: Connection) throws(StorageError) {
        let alarms = try AlarmTable(connection: connection).all()
        self.init(
            revision: try KeyReader(connection: connection).currentRevision(),
            compactedRevision: try MetaTable(connection: connection).value(.compacted) ?? -1,
            spare: alarms.reduce(0) { $0 | 1 << Int64(min(max($1.kind, 0), 7)) })
    }
}
