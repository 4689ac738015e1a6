// MVCCSupport.swift: the key tables on a plain database in memory, and a slow model of them.
// Belongs here: what the MVCC tests share. Never here: expectations.

import Storage

/// A connection with the tables, and everything that works on them.
struct MVCCStore {
    let connection: Connection
    let writer: KeyWriter
    let compactor: Compactor

    init() throws(StorageError) {
        connection = try Connection(path: ":memory:")
        try connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        try Schema.create(on: connection)
        writer = try KeyWriter(connection: connection)
        compactor = try Compactor(connection: connection)
    }

    var reader: KeyReader { writer.reader }

    /// Stores a value; the request goes on.
    @discardableResult
    func put(_ key: [UInt8], _ value: [UInt8], lease: Int64 = 0) throws(StorageError) -> KeyRecord {
        try key.withBytes { (key) throws(StorageError) in
            try value.withBytes { (value) throws(StorageError) in
                let expected = try reader.record(of: key)
                let (record, former) = try writer.put(key, value: value, lease: lease)
                precondition(former == expected, "was \(expected as Any), noted \(former as Any)")
                return record
            }
        }
    }

    /// Deletes a key if it is there; the request goes on.
    @discardableResult
    func delete(_ key: [UInt8]) throws(StorageError) -> Bool {
        try key.withBytes { (key) throws(StorageError) in
            guard let current = try reader.record(of: key), current.isLive else { return false }
            _ = try writer.delete(key, replacing: current)
            return true
        }
    }

    /// What a pass over a range finds.
    func range(
        from key: [UInt8], to end: ModelEnd, at revision: Int64?, values: ValueNeed
    ) throws(StorageError) -> [RangeRow] {
        try key.withBytes { (key) throws(StorageError) in
            try end.withEnd { (end) throws(StorageError) in
                let cursor = try RangeCursor(
                    reader: reader, from: key, to: end, at: revision, values: values)
                var rows: [RangeRow] = []
                while try cursor.next() {
                    rows.append(
                        RangeRow(
                            key: Array(cursor.key), record: cursor.record,
                            value: cursor.withValue { Array($0) }, valueCount: cursor.valueCount))
                }
                return rows
            }
        }
    }
}

/// One key as a pass shows it.
struct RangeRow: Equatable {
    var key: [UInt8]
    var record: KeyRecord
    var value: [UInt8]
    var valueCount: Int
}

/// The end of a range that owns its bytes.
enum ModelEnd: Equatable {
    case single
    case unbounded
    case before([UInt8])

    func contains(_ key: [UInt8], from start: [UInt8]) -> Bool {
        switch self {
        case .single: key == start
        case .unbounded: !key.lexicographicallyPrecedes(start)
        case .before(let end):
            !key.lexicographicallyPrecedes(start) && key.lexicographicallyPrecedes(end)
        }
    }

    func withEnd<Result>(
        _ body: (RangeEnd) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        switch self {
        case .single: try body(.single)
        case .unbounded: try body(.unbounded)
        case .before(let bytes):
            try bytes.withBytes { (end) throws(StorageError) in try body(.before(end)) }
        }
    }
}

extension [UInt8] {
    /// Lends the bytes under the module's typed errors.
    func withBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        try withUnsafeBufferPointer { (bytes) throws(StorageError) in
            try body(UnsafeRawBufferPointer(bytes))
        }
    }
}

/// One change of the model's history.
struct ModelChange: Equatable {
    var key: [UInt8]
    var value: [UInt8]
    var record: KeyRecord
}

/// The slow and obvious history: every change ever made, in order.
struct ModelHistory {
    private(set) var changes: [ModelChange] = []
    var revision: Int64 = 1
    private var sub: Int64 = 0

    /// The newest change of a key up to a place.
    func newest(_ key: [UInt8], asOf place: PackedRevision) -> ModelChange? {
        changes.last { $0.key == key && $0.record.revision <= place }
    }

    func current(_ key: [UInt8]) -> ModelChange? { changes.last { $0.key == key } }

    mutating func put(_ key: [UInt8], _ value: [UInt8], lease: Int64) {
        let former = current(key).flatMap { $0.record.isLive ? $0.record : nil }
        append(
            key, value,
            place(
                created: former?.createRevision ?? revision + 1,
                version: (former?.version ?? 0) + 1, lease: lease))
    }

    mutating func delete(_ key: [UInt8]) {
        guard let former = current(key), former.record.isLive else { return }
        append(
            key, [],
            place(created: former.record.createRevision, version: 0, lease: 0))
    }

    private func place(created: Int64, version: Int64, lease: Int64) -> KeyRecord {
        var record = KeyRecord.missing
        record.revision = PackedRevision(main: revision + 1, sub: sub)
        record.createRevision = created
        record.version = version
        record.lease = lease
        return record
    }

    private mutating func append(_ key: [UInt8], _ value: [UInt8], _ record: KeyRecord) {
        changes.append(ModelChange(key: key, value: value, record: record))
        sub += 1
    }

    mutating func finishRequest() {
        if sub > 0 { revision += 1 }
        sub = 0
    }

    /// The live keys of a range after a main revision, in order.
    func range(
        from start: [UInt8], to end: ModelEnd, at revision: Int64?
    ) -> [ModelChange] {
        let place = PackedRevision.last(of: revision ?? self.revision)
        var keys: [[UInt8]] = []
        for change in changes where !keys.contains(change.key) { keys.append(change.key) }
        return keys.sorted { $0.lexicographicallyPrecedes($1) }
            .filter { end.contains($0, from: start) }
            .compactMap { newest($0, asOf: place) }.filter(\.record.isLive)
    }

    /// The changes that a finished compaction leaves (etcd semantics C3).
    func kept(after compacted: Int64) -> [ModelChange] {
        changes.filter { change in
            let place = change.record.revision
            guard place.main <= compacted else { return true }
            guard newest(change.key, asOf: .last(of: compacted)) == change else { return false }
            return change.record.isLive || place.main == compacted
        }
    }
}
