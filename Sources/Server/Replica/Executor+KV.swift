// Executor+KV.swift: puts and deletions, alone or inside a transaction.
// Belongs here: checks against the store, answers, events. Never here: revisions (KeyWriter).
// Source: etcd semantics P1-P6, D1-D4.

internal import Storage

extension Executor {
    func put(_ request: PutRequest) throws(RequestFailure) -> [UInt8] {
        try admit(cost: Executor.cost(of: request))
        // Again: where space is short the event loop leaves the form to be looked at second (P6).
        do throws(EtcdError) {
            try request.validate()
        } catch {
            throw .refused(error)
        }
        var writer = ProtoWriter(capacity: Executor.answerBytesExpected)
        try put(request, header: header(revision: keys.nextRevision), into: &writer)
        return writer.take()
    }

    func deleteRange(_ request: DeleteRangeRequest) throws(RequestFailure) -> [UInt8] {
        try refuseIfCorrupt()
        var writer = ProtoWriter()
        try deleteRange(request, into: &writer) { header(revision: $0) }
        return writer.take()
    }

    /// Stores a value and writes the whole PutResponse.
    func put(
        _ request: PutRequest, header: ResponseHeader, into writer: inout ProtoWriter
    ) throws(RequestFailure) {
        let live = try request.needsFormer ? liveRecord(of: request.key) : nil
        if request.lease != 0, leases[request.lease] == nil { throw .refused(.leaseNotFound) }
        if request.ignoreValue || request.ignoreLease, live == nil { throw .refused(.keyNotFound) }
        let lease = request.ignoreLease ? live?.lease ?? 0 : request.lease
        let value = try request.ignoreValue ? currentValue(live) : request.value
        try storing { () throws(StorageError) in
            if request.prevKV, let live {
                // Written before the put, while the old row's bytes are at hand.
                _ = try keys.reader.withChange(at: live.revision) { key, record, value in
                    writer.putResponse(header, previous: KeyValueView(key, record, value))
                }
            } else {
                writer.putResponse(header, previous: nil)
            }
            let (record, former) = try request.key.withUnsafeBytes { (key) throws(StorageError) in
                try value.withUnsafeBytes { (value) throws(StorageError) in
                    try keys.put(key, value: value, lease: lease)
                }
            }
            let previous = former.flatMap { $0.isLive ? $0.revision : nil }
            events?.append(
                ChangeEvent(
                    key: request.key, value: value, record: record,
                    previous: previous ?? PackedRevision(rawValue: 0)))
        }
    }

    private func liveRecord(of key: Bytes) throws(RequestFailure) -> KeyRecord? {
        let record = try storing { () throws(StorageError) in
            try key.withUnsafeBytes { (key) throws(StorageError) in
                try keys.reader.record(of: key)
            }
        }
        return record?.isLive == true ? record : nil
    }

    private func currentValue(_ live: KeyRecord?) throws(RequestFailure) -> Bytes {
        guard let live else { return Bytes() }
        return try storing { () throws(StorageError) in
            try keys.reader.withChange(at: live.revision) { _, _, value in Bytes(Array(value)) }
                ?? Bytes()
        }
    }

    /// Deletes a range and writes the whole DeleteRangeResponse.
    func deleteRange(
        _ request: DeleteRangeRequest, into writer: inout ProtoWriter,
        header: (_ revision: Int64) -> ResponseHeader
    ) throws(RequestFailure) {
        let doomed = try liveKeys(in: request.bounds)
        let start = writer.count
        try storing { () throws(StorageError) in
            for (_, record) in doomed where request.prevKV {
                _ = try keys.reader.withChange(at: record.revision) { key, record, value in
                    writer.appendDeletedKV(KeyValueView(key, record, value))
                }
            }
            for (key, record) in doomed { try delete(key, record) }
        }
        writer.endDeleteRangeResponse(
            from: start, header(visibleRevision), deleted: Int64(doomed.count))
    }

    private func liveKeys(in bounds: KeyBounds) throws(RequestFailure) -> [(Bytes, KeyRecord)] {
        let found = try storing { () throws(StorageError) -> [(Bytes, KeyRecord)] in
            let cursor = try RangeCursor.make(
                reader: keys.reader, bounds: bounds, at: nil, values: .none)
            defer { cursor.close() }
            var found: [(Bytes, KeyRecord)] = []
            while try cursor.next() {
                found.append((Bytes(Array(cursor.key)), cursor.record))
                if found.count > ReplicaLimits.changesPerRequestMax { break }
            }
            return found
        }
        guard found.count <= ReplicaLimits.changesPerRequestMax - keys.changeCount else {
            throw .refused(.requestTooLarge)
        }
        return found
    }

    /// Deletes a live key and notes the event.
    func delete(_ key: Bytes, _ record: KeyRecord) throws(StorageError) {
        let place = try key.withUnsafeBytes { (bytes) throws(StorageError) in
            try keys.delete(bytes, replacing: record)
        }
        var tombstone = record
        tombstone.revision = place
        tombstone.version = 0
        tombstone.lease = 0
        events?.append(
            ChangeEvent(key: key, value: Bytes(), record: tombstone, previous: record.revision))
    }

    /// A header and a few numbers.
    static let answerBytesExpected = 64
}

extension PutRequest {
    /// Whether what the key is now decides about the put or is shown in its answer.
    fileprivate var needsFormer: Bool { prevKV || ignoreValue || ignoreLease }
}
