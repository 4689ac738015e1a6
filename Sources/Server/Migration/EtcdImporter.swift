// EtcdImporter.swift: an etcd database becomes the tables of a new store.
// Belongs here: what goes where, the pace. Never here: reading bbolt (Bolt/), the directory (StoreBuilder).
// Source: etcdctl.md part 4; design section 5. Kept: all revisions, compacted revision, leases, users, roles,
// auth state, alarms. Dropped: members, cluster version, Raft's numbers, which a new cluster makes anew.

internal import Storage

/// One import, from a verified store into an empty directory.
final class EtcdImporter {
    private let source: EtcdStore
    private let builder: StoreBuilder
    private let cluster: NewCluster

    /// One transaction ends at this many changes or bytes.
    private static let changesPerBatch = 4000
    private static let bytesPerBatch = 8 << 20

    init(_ source: EtcdStore, into builder: StoreBuilder, cluster: NewCluster) {
        self.source = source
        self.builder = builder
        self.cluster = cluster
    }

    func run() throws(OfflineError) {
        try builder.write { (connection) throws(StorageError) in
            try Schema.create(on: connection)
            try cluster.write(on: connection)
        }
        let floor = try copyHistory()
        let leases = try this { () throws(BoltError) in try readLeases() }
        let alarms = try this { () throws(BoltError) in try readAlarms() }
        let auth = try this { () throws(BoltError) in try EtcdAuth(source.bolt) }
        try builder.write { (connection) throws(StorageError) in
            let leaseTable = try LeaseTable(connection: connection)
            for lease in leases { try leaseTable.set(lease) }
            let alarmTable = try AlarmTable(connection: connection)
            for alarm in alarms { try alarmTable.raise(alarm) }
            try auth.write(on: connection)
            try writeRevisions(floor, on: connection)
        }
        if !alarms.isEmpty {
            Console.warn(
                "martlet: the source has \(alarms.count) alarms, which are kept: see \"etcdctl alarm "
                    + "list\"")
        }
    }

    private func this<Result>(
        _ body: () throws(BoltError) -> Result
    ) throws(OfflineError) -> Result {
        try reading(source.file.path, body)
    }

    /// Copies all changes; returns the revision that a record without a change raised the store to.
    private func copyHistory() throws(OfflineError) -> Int64? {
        guard let cursor = try this({ () throws(BoltError) in try source.bolt.bucket("key") })
        else { return nil }
        let progress = Progress("importing", total: source.bolt.pageCount)
        let writer = try storing(in: builder.path) { [builder] () throws(StorageError) in
            try HistoryWriter(connection: builder.openConnection())
        }
        var floor: Int64?
        var count = 0
        var isMore = true
        while isMore {
            try builder.begin()
            var (changes, bytes) = (0, 0)
            while changes < Self.changesPerBatch, bytes < Self.bytesPerBatch {
                isMore = try this { () throws(BoltError) in try cursor.next() }
                guard isMore else { break }
                let change = try this { () throws(BoltError) in try EtcdChange(cursor) }
                if case .floor(let main) = change { floor = main }
                bytes += cursor.value.count
                changes += 1
                try storing(in: builder.path) { () throws(StorageError) in
                    try writer.add(change)
                }
            }
            try builder.commit()
            count += changes
            progress.update(cursor.pagesRead, "\(count) revisions")
        }
        progress.finish("\(count) revisions")
        return floor
    }

    private func writeRevisions(
        _ floor: Int64?, on connection: Connection
    ) throws(StorageError) {
        let meta = try MetaTable(connection: connection)
        if let floor { try meta.set(.revisionFloor, to: floor) }
        guard let compacted = source.compacted else { return }
        // A store whose last rows a compaction removed stands at the compacted revision.
        if try KeyReader(connection: connection).currentRevision() < compacted {
            try meta.set(.revisionFloor, to: compacted)
        }
        if source.isCompacting {
            try Compactor(connection: connection).begin(at: compacted)
        } else {
            try meta.set(.compacted, to: compacted)
        }
    }

    private func readLeases() throws(BoltError) -> [LeaseRow] {
        var rows: [LeaseRow] = []
        guard let cursor = try source.bolt.bucket("lease") else { return [] }
        while try cursor.next() {
            let lease: EtcdLease = try cursor.message("a lease")
            guard lease.id != 0, lease.ttl > 0 else {
                throw .damaged(
                    page: cursor.pageNumber, reason: "lease \(lease.id) has \(lease.ttl) seconds")
            }
            rows.append(
                LeaseRow(
                    id: lease.id, timeToLive: lease.ttl,
                    remaining: lease.remaining > 0 ? lease.remaining : lease.ttl))
        }
        return rows
    }

    private func readAlarms() throws(BoltError) -> [AlarmRow] {
        var rows: [AlarmRow] = []
        guard let cursor = try source.bolt.bucket("alarm") else { return [] }
        while try cursor.next() {
            let alarm: EtcdAlarm
            do throws(WireError) {
                alarm = try EtcdAlarm(decoding: Array(cursor.key))
            } catch {
                throw .damaged(page: cursor.pageNumber, reason: "an alarm: \(error)")
            }
            rows.append(AlarmRow(member: alarm.memberID, kind: alarm.kind))
        }
        return rows
    }
}

extension HistoryWriter {
    fileprivate func add(_ change: EtcdChange) throws(StorageError) {
        switch change {
        case .floor: break
        case .deletion(let key, let place):
            try key.withUnsafeBytes { (key) throws(StorageError) in try delete(key, at: place) }
        case .put(let put, let place):
            let record = KeyRecord(
                revision: place, createRevision: put.createRevision, version: put.version,
                lease: put.lease)
            try put.key.withUnsafeBytes { (key) throws(StorageError) in
                try put.value.withUnsafeBytes { (value) throws(StorageError) in
                    try self.put(key, record, value: value)
                }
            }
        }
    }
}

extension BoltCursor {
    /// Decodes the value under the cursor.
    func message<Message: WireDecodable>(_ what: String) throws(BoltError) -> Message {
        do throws(WireError) {
            return try Message(decoding: Array(value))
        } catch {
            throw .damaged(page: pageNumber, reason: "\(what): \(error)")
        }
    }
}
