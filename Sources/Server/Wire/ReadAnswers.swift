// ReadAnswers.swift: the answers of services that this server itself reads.
// Belongs here: as many fields as it looks at. Never here: writing them (the Responses files).
// Source: messages.tsv, packages etcdserverpb and mvccpb.

/// One key as an answer shows it (etcd kv.proto, KeyValue).
struct StoredKey: WireDecodable {
    var key = Bytes()
    var createRevision: Int64 = 0
    var modRevision: Int64 = 0
    var version: Int64 = 0
    var value = Bytes()
    var lease: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: key = try reader.bytes(field)
            case 2: createRevision = try reader.int64(field)
            case 3: modRevision = try reader.int64(field)
            case 4: version = try reader.int64(field)
            case 5: value = try reader.bytes(field)
            case 6: lease = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }

    /// Lends the key as it is written.
    func withView(_ body: (KeyValueView) -> Void) {
        key.withUnsafeBytes { key in
            value.withUnsafeBytes { value in
                body(
                    KeyValueView(
                        key: key, createRevision: createRevision, modRevision: modRevision,
                        version: version, value: value, lease: lease))
            }
        }
    }
}

/// An answer of which only the header counts.
struct HeaderAnswer: WireDecodable {
    var header = ResponseHeader()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            default: try reader.skip(field)
            }
        }
    }
}

/// The answer of Range.
struct RangeAnswer: WireDecodable {
    var header = ResponseHeader()
    var kvs: [StoredKey] = []
    var count: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: try reader.messages(field, into: &kvs)
            case 4: count = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// The answer of LeaseGrant.
struct LeaseAnswer: WireDecodable {
    var id: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 2: id = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// The answer of Txn.
struct TxnAnswer: WireDecodable {
    var header = ResponseHeader()
    var succeeded = false
    var operations: [Operation] = []

    /// The answer of one operation; `kvs` is empty unless it was a range.
    struct Operation: WireDecodable {
        var kvs: [StoredKey] = []

        mutating func merge(from reader: inout ProtoReader) throws(WireError) {
            while let field = try reader.nextField() {
                switch field.number {
                case 1:
                    var range = RangeAnswer()
                    try reader.message(field, into: &range)
                    kvs = range.kvs
                default: try reader.skip(field)
                }
            }
        }
    }

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: succeeded = try reader.bool(field)
            case 3: try reader.messages(field, into: &operations)
            default: try reader.skip(field)
            }
        }
    }
}

/// One message of a watch.
struct WatchAnswer: WireDecodable {
    var header = ResponseHeader()
    var isCanceled = false
    var compactRevision: Int64 = 0
    var cancelReason = ""
    var events: [Event] = []

    /// A change of one key.
    struct Event: WireDecodable {
        var isDelete = false
        var kv = StoredKey()

        mutating func merge(from reader: inout ProtoReader) throws(WireError) {
            while let field = try reader.nextField() {
                switch field.number {
                case 1: isDelete = try reader.int32(field) == EventType.delete.rawValue
                case 2: try reader.message(field, into: &kv)
                default: try reader.skip(field)
                }
            }
        }
    }

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 4: isCanceled = try reader.bool(field)
            case 5: compactRevision = try reader.int64(field)
            case 6: cancelReason = try reader.string(field)
            case 11: try reader.messages(field, into: &events)
            default: try reader.skip(field)
            }
        }
    }
}
