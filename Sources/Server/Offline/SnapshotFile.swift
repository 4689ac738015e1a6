// SnapshotFile.swift: a file that a snapshot came in: whose it is, and whether it is what was sent.
// Belongs here: telling Martlet's from etcd's, the checksum at the end. Never here: contents.
// Source: etcd semantics M8: the length mod 512 is 32, and the last 32 bytes are the SHA-256 of the rest.

/// A snapshot file, opened and identified.
struct SnapshotFile {
    /// Who made it.
    enum Kind: Equatable {
        /// An SQLite database.
        case martlet
        /// A bbolt database.
        case etcd
    }

    let file: InputFile
    let kind: Kind
    /// The checksum at the end; nil on a database file that was copied out of a data directory.
    let checksum: [UInt8]?

    private static let sqliteMagic = Array("SQLite format 3\0".utf8)
    private static let checksumBytes = 32
    private static let sectorBytes: UInt64 = 512

    init(path: String) throws(OfflineError) {
        file = try InputFile(path)
        var trailer: [UInt8]?
        if file.byteCount % Self.sectorBytes == UInt64(Self.checksumBytes) {
            let end = file.byteCount - UInt64(Self.checksumBytes)
            trailer = try Self.bytes(file, at: end, count: Self.checksumBytes)
            file.cut(at: end)
        }
        checksum = trailer
        guard file.byteCount >= Self.sectorBytes else {
            throw .damaged(file: path, reason: "it is too short for a snapshot")
        }
        if try Self.bytes(file, at: 0, count: Self.sqliteMagic.count) == Self.sqliteMagic {
            kind = .martlet
        } else {
            // Whether it is one is for the reader to say, page by page.
            kind = .etcd
        }
    }

    var path: String { file.path }

    private static func bytes(
        _ file: InputFile, at offset: UInt64, count: Int
    ) throws(OfflineError) -> [UInt8] {
        let room = BoltRoom(byteCount: count)
        try reading(file.path) { () throws(BoltError) in
            try file.read(into: room.prefix(count), at: offset)
        }
        return Array(room.prefix(count))
    }

    /// Compares the checksum, as is due before anything is made of the file.
    func checkIntegrity(isQuiet: Bool) throws(OfflineError) {
        guard let checksum else {
            throw .refused(
                "\(path) has no checksum at its end: it was not made by \"snapshot save\", or it is "
                    + "cut. A database file that was copied out of a data directory is taken with "
                    + "--skip-hash-check")
        }
        let digest = SHA256()
        let progress = Progress("comparing checksums", total: file.byteCount, isQuiet: isQuiet)
        try file.forEachPart(upTo: file.byteCount) { part, offset in
            digest.update(part)
            progress.update(offset)
        }
        guard digest.finish() == checksum else {
            throw .damaged(
                file: path,
                reason: "expected sha256 \(hex(checksum)), but its bytes have another: it is "
                    + "damaged. Take another backup")
        }
        progress.finish()
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
