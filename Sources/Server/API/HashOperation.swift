// HashOperation.swift: HashKV, in steps: a checksum over the history that equals etcd's for the same history.
// Belongs here: which records count, and their bytes. Never here: reading them (ChangeCursor).
// Source: etcd semantics M6; the record layout of etcd's snapshot files (key: 8 bytes main, "_", 8 bytes sub).

internal import CChecksum
internal import Storage

/// A HashKV under way on one reader, inside its transaction.
final class HashOperation {
    private static let changesPerStep = 5_000

    private let reader: KeyReader
    private let state: StoreView
    private let revision: Int64
    private let cursor: ChangeCursor
    private let hasLiveKeys: Bool
    private var checksum: UInt32
    private var record = ProtoWriter(capacity: 4096)

    /// Begins at the oldest change.
    ///
    /// - Parameter revision: the last one that counts; 0 or less for the current one.
    init(reader: KeyReader, state: StoreView, revision: Int64) throws(StorageError) {
        self.reader = reader
        self.state = state
        self.revision = revision > 0 ? revision : state.revision
        let all = KeyBounds(start: Bytes([0]), end: .unbounded)
        let live = try RangeCursor.make(
            reader: reader, bounds: all, at: self.revision, values: .none)
        hasLiveKeys = try live.next()
        live.close()
        cursor = try ChangeCursor(reader: reader, from: PackedRevision(main: 0))
        checksum = Array("key".utf8).withUnsafeBytes {
            martlet_crc32c(0, $0.baseAddress, $0.count)
        }
    }

    /// Hashes a bounded number of changes; true when all are done.
    func step() throws(StorageError) -> Bool {
        for _ in 0..<Self.changesPerStep {
            guard try cursor.next() else { return true }
            let place = cursor.revision
            guard place.main <= revision else {
                cursor.close()
                return true
            }
            if try counts(place) { add(place) }
        }
        return false
    }

    /// Frees the statement of a hash that is given up.
    func close() {
        cursor.close()
    }

    // What a finished compaction would have removed does not count, whether it is gone yet or not.
    private func counts(_ place: PackedRevision) throws(StorageError) -> Bool {
        guard place.main <= state.compacted else { return true }
        guard cursor.record.isLive else { return false }
        // etcd keeps what is alive at the asked revision; where nothing is, what was at the compacted one.
        let kept = hasLiveKeys ? revision : state.compacted
        return try reader.newestChange(of: cursor.key, asOf: PackedRevision.last(of: kept)) == place
    }

    private func add(_ place: PackedRevision) {
        let change = cursor.record
        record.removeAll()
        if change.isLive {
            record.keyValueRecord(KeyValueView(cursor.key, change, cursor.value))
        } else {
            record.tombstoneRecord(key: cursor.key)
        }
        var key: [UInt8] = []
        key.reserveCapacity(18)
        withUnsafeBytes(of: place.main.bigEndian) { key.append(contentsOf: $0) }
        key.append(UInt8(ascii: "_"))
        withUnsafeBytes(of: place.sub.bigEndian) { key.append(contentsOf: $0) }
        if !change.isLive { key.append(UInt8(ascii: "t")) }
        key.withUnsafeBytes { checksum = martlet_crc32c(checksum, $0.baseAddress, $0.count) }
        record.bytes.withUnsafeBytes {
            checksum = martlet_crc32c(checksum, $0.baseAddress, $0.count)
        }
    }

    /// The whole answer.
    func answer(_ context: LoopContext) -> [UInt8] {
        var writer = ProtoWriter()
        writer.hashKVResponse(
            context.header(revision: state.revision), hash: checksum,
            compactRevision: state.compacted, hashRevision: revision)
        return writer.take()
    }
}
