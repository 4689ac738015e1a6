// EtcdStore.swift: an etcd database: its buckets by name, its few numbers, and a look at all of it.
// Belongs here: reading. Never here: writing any of it into tables (EtcdImporter).
// Source: etcdctl.md part 4 and part 3 (the checksum of snapshot status).

internal import CChecksum
internal import Storage

/// An etcd database file of 3.4 to 3.6, open for reading; confined to its thread.
final class EtcdStore {
    let file: InputFile
    let bolt: BoltDatabase
    /// The last Raft entry whose effect is in the file; 0 if it does not say.
    let consistentIndex: UInt64
    /// Of 3.6 and later; nil of older releases.
    let storageVersion: String?
    /// The compacted revision, whether its rows are gone or not; nil if there was no compaction.
    let compacted: Int64?
    /// Whether rows up to it may still be there.
    let isCompacting: Bool

    private static let metaBucket = "meta"

    init(_ file: InputFile) throws(OfflineError) {
        self.file = file
        let bolt = try reading(file.path) { () throws(BoltError) in try BoltDatabase(file) }
        self.bolt = bolt
        var index: UInt64 = 0
        var version: String?
        var scheduled: Int64?
        var finished: Int64?
        try reading(file.path) { () throws(BoltError) in
            guard try bolt.bucket("key") != nil else {
                throw .foreign(reason: "a bbolt file without the bucket \"key\"")
            }
            guard let meta = try bolt.bucket(Self.metaBucket) else { return }
            while try meta.next() {
                switch String(decoding: meta.key, as: UTF8.self) {
                case "consistent_index": index = EtcdNumber.read(meta.value) ?? 0
                case "storageVersion": version = String(decoding: meta.value, as: UTF8.self)
                case "scheduledCompactRev": scheduled = try Self.revision(meta)
                case "finishedCompactRev": finished = try Self.revision(meta)
                default: continue
                }
            }
        }
        consistentIndex = index
        storageVersion = version
        compacted = [scheduled, finished].compactMap { $0 }.max()
        isCompacting = (scheduled ?? 0) > (finished ?? 0)
        try checkVersion()
        if let damage = bolt.damagedMeta {
            Console.warn(
                "martlet: \(file.path): one of its two meta pages is damaged (\(damage)); the other "
                    + "one names the state of transaction \(bolt.transaction), which is used")
        }
    }

    private static func revision(_ cursor: BoltCursor) throws(BoltError) -> Int64 {
        guard let place = EtcdPlace(cursor.value) else {
            throw .damaged(page: cursor.pageNumber, reason: "a compacted revision is not one")
        }
        return place.main
    }

    private func checkVersion() throws(OfflineError) {
        guard let storageVersion else { return }
        let parts = storageVersion.split(separator: ".").compactMap { Int($0) }
        guard parts.count == 3, parts[0] == 3, parts[1] <= 6 else {
            throw .refused(
                "\(file.path) is of etcd \(storageVersion); this version reads 3.4 to 3.6. In etcd, "
                    + "\"etcdutl migrate --target-version 3.6\" leads back")
        }
    }

    /// Looks at every page and record, and says what there is.
    func verify(isQuiet: Bool) throws(OfflineError) -> MartletImage.Summary {
        let progress = Progress("checking the database", total: bolt.pageCount, isQuiet: isQuiet)
        var census = EtcdCensus()
        try reading(file.path) { () throws(BoltError) in
            let buckets = try bolt.buckets()
            var pages: UInt64 = 0
            while try buckets.next() {
                let name = Array(buckets.key)
                census.begin(name)
                let entries = try buckets.openBucket()
                while try entries.next() {
                    try census.add(entries)
                    progress.update(pages + entries.pagesRead)
                }
                pages += entries.pagesRead
            }
        }
        progress.finish("\(census.records) records, revision \(census.revision)")
        return MartletImage.Summary(
            hash: census.hash, revision: census.revision, totalKeys: Int64(census.live.count),
            totalSize: bolt.pageCount * UInt64(bolt.meta.pageSize), version: storageVersion ?? "")
    }
}

/// Counts and hashes the entries of all buckets in order.
private struct EtcdCensus {
    private var checksum: UInt32 = 0
    private var isKeys = false
    var revision: Int64 = 1
    var records = 0
    /// Hashes of the keys that exist: 16 bytes a key, however long it is.
    var live: Set<Int> = []

    var hash: UInt32 { checksum }

    mutating func begin(_ name: [UInt8]) {
        name.withUnsafeBytes { feed($0) }
        isKeys = name.elementsEqual("key".utf8)
    }

    mutating func add(_ cursor: BoltCursor) throws(BoltError) {
        guard !cursor.isBucket else {
            throw .damaged(page: cursor.pageNumber, reason: "a bucket within a bucket")
        }
        feed(cursor.key)
        feed(cursor.value)
        guard isKeys else { return }
        records += 1
        let change = try EtcdChange(cursor)
        revision = change.main
        switch change {
        case .put(let record, _): live.insert(record.key.hashValue)
        case .deletion(let key, _): live.remove(key.hashValue)
        case .floor: break
        }
    }

    private mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        checksum = martlet_crc32c(checksum, bytes.baseAddress, bytes.count)
    }
}
