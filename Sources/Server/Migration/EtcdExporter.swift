// EtcdExporter.swift: the tables of a store become a database file that etcd restores.
// Belongs here: what goes where. Never here: pages (Bolt/), where the store comes from (ExportCommand).
// Source: etcdctl.md part 4; etcdutl takes members and Raft's numbers from its own flags.

internal import Storage

/// One export, from a connection that nobody writes on.
struct EtcdExporter {
    private let connection: Connection
    private let writer: BoltWriter

    init(_ connection: Connection, to sink: any BoltSink) {
        self.connection = connection
        writer = BoltWriter(sink)
    }

    /// Writes the file; returns its length and the number of revisions in it.
    func run() throws(ExportFailure) -> (byteCount: UInt64, changes: Int) {
        let changes = try writeHistory()
        try writeSmallBuckets()
        return (try bolt { () throws(BoltError) in try writer.finish() }, changes)
    }

    /// A failure on either side.
    enum ExportFailure: Error {
        case source(StorageError)
        case target(BoltError)
    }

    private func store<Result>(
        _ body: () throws(StorageError) -> Result
    ) throws(ExportFailure) -> Result {
        do throws(StorageError) { return try body() } catch { throw .source(error) }
    }

    private func bolt<Result>(
        _ body: () throws(BoltError) -> Result
    ) throws(ExportFailure) -> Result {
        do throws(BoltError) { return try body() } catch { throw .target(error) }
    }

    private func writeHistory() throws(ExportFailure) -> Int {
        let reader = try store { () throws(StorageError) in try KeyReader(connection: connection) }
        let cursor = try store { () throws(StorageError) in
            try ChangeCursor(reader: reader, from: PackedRevision(main: 0))
        }
        let tree = writer.bucket("key")
        var record = ProtoWriter(capacity: 4096)
        var count = 0
        var last: Int64 = 1
        let progress = Progress(
            "exporting",
            total: UInt64(
                try store { () throws(StorageError) in
                    try connection.integer("SELECT count(*) FROM log") ?? 0
                }))
        while try store({ () throws(StorageError) in try cursor.next() }) {
            let change = cursor.record
            record.removeAll()
            if change.isLive {
                record.keyValueRecord(KeyValueView(cursor.key, change, cursor.value))
            } else {
                record.tombstoneRecord(key: cursor.key)
            }
            last = cursor.revision.main
            try add(
                EtcdPlace(
                    main: last, sub: cursor.revision.sub, isTombstone: !change.isLive
                ).bytes, record.bytes, to: tree)
            count += 1
            progress.update(UInt64(count), "\(count) revisions")
        }
        let current = try store { () throws(StorageError) in try reader.currentRevision() }
        // As etcdutl raises a revision: a record without content at the new one.
        if current > last { try add(EtcdPlace(main: current).bytes, [], to: tree) }
        try bolt { () throws(BoltError) in try tree.finish() }
        progress.finish("\(count) revisions")
        return count
    }

    private func writeSmallBuckets() throws(ExportFailure) {
        let (leases, alarms) = try store { () throws(StorageError) in
            (
                try LeaseTable(connection: connection).all(),
                try AlarmTable(connection: connection).all()
            )
        }
        // The file has them in the order of unsigned ids.
        try write(
            "lease",
            leases.map { row in
                let lease = EtcdLease(
                    id: row.id, ttl: row.timeToLive,
                    remaining: row.remaining < row.timeToLive ? row.remaining : 0)
                return (EtcdNumber.bytes(UInt64(bitPattern: row.id)), lease.encoded())
            })
        try write(
            "alarm",
            alarms.map { (EtcdAlarm(memberID: $0.member, kind: $0.kind).encoded(), []) })
        let auth = try store { () throws(StorageError) in try EtcdAuth(on: connection) }
        for bucket in auth.buckets { try write(bucket.name, bucket.entries) }
        for name in ["members", "members_removed"] { try write(name, []) }
        try write("cluster", [(Array("clusterVersion".utf8), Array(Self.clusterVersion.utf8))])
        try write("meta", try metaEntries())
    }

    /// What etcd 3.5 takes and later releases raise by themselves.
    private static let clusterVersion = "3.5.0"

    private func metaEntries() throws(ExportFailure) -> [([UInt8], [UInt8])] {
        let (compacted, isPending) = try store { () throws(StorageError) in
            let compactor = try Compactor(connection: connection)
            return (try compactor.compacted(), try compactor.isPending())
        }
        var entries = [(Array("consistent_index".utf8), EtcdNumber.bytes(1))]
        entries.append((Array("term".utf8), EtcdNumber.bytes(1)))
        guard let compacted else { return entries }
        let place = EtcdPlace(main: compacted).bytes
        entries.append((Array("scheduledCompactRev".utf8), place))
        // Without this etcd removes, when it starts, what a running compaction had left.
        if !isPending { entries.append((Array("finishedCompactRev".utf8), place)) }
        return entries
    }

    private func write(
        _ bucket: String, _ entries: [(key: [UInt8], value: [UInt8])]
    ) throws(ExportFailure) {
        let tree = writer.bucket(bucket)
        for (key, value) in entries.sorted(by: { $0.0.lexicographicallyPrecedes($1.0) }) {
            try add(key, value, to: tree)
        }
        try bolt { () throws(BoltError) in try tree.finish() }
    }

    private func add(
        _ key: [UInt8], _ value: [UInt8], to tree: BoltTreeWriter
    ) throws(ExportFailure) {
        try bolt { () throws(BoltError) in
            try key.withBoltBytes { (key) throws(BoltError) in
                try value.withBoltBytes { (value) throws(BoltError) in
                    try tree.add(key, value)
                }
            }
        }
    }
}
