// SnapshotOperation.swift: Maintenance.Snapshot: the database as of one moment, in chunks, with a checksum at the end.
// Belongs here: framing. Never here: reading pages (Storage), back-pressure (Front+LongRead.swift).
// Source: etcd semantics M8: chunks of 32 KiB, then the SHA-256 of all of them; length mod 512 = 32.

internal import Storage

/// A snapshot under way; confined to its event loop.
///
/// The state stays pinned as long as this exists.
final class SnapshotOperation {
    private static let pagesPerChunk = 8

    private var reader: SnapshotReader?
    private var digest: SHA256? = SHA256()

    init(pages: PageStore) throws(StorageError) {
        reader = try pages.openSnapshot()
    }

    /// The next message, or nil after the last.
    func next() throws(StorageError) -> [UInt8]? {
        guard let digest else { return nil }
        if let reader {
            var chunk: [UInt8] = []
            chunk.reserveCapacity(Self.pagesPerChunk * PageLimits.pageBytes)
            if try reader.read(pages: Self.pagesPerChunk, into: &chunk) > 0 {
                digest.update(chunk)
                return Self.message(chunk, remaining: reader.remainingBytes)
            }
        }
        close()
        self.digest = nil
        return Self.message(digest.finish(), remaining: 0)
    }

    /// Lets the state go.
    func close() {
        reader = nil
    }

    private static func message(_ blob: [UInt8], remaining: UInt64) -> [UInt8] {
        var writer = ProtoWriter(capacity: blob.count + 32)
        blob.withUnsafeBytes {
            writer.snapshotResponse(
                remainingBytes: remaining, blob: $0, version: Product.storageVersion)
        }
        return writer.take()
    }
}
