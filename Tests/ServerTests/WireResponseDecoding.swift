// WireResponseDecoding.swift: reads the answers that the server writes, as a client would.
// Belongs here: plain copies of the main response messages. Never here: expectations.
// Source: messages.tsv, packages etcdserverpb and mvccpb; the server itself never reads answers.

@testable import Server

struct DecodedHeader: WireDecodable {
    var value = ResponseHeader()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: value.clusterID = try reader.uint64(field)
            case 2: value.memberID = try reader.uint64(field)
            case 3: value.revision = try reader.int64(field)
            case 4: value.raftTerm = try reader.uint64(field)
            default: try reader.skip(field)
            }
        }
    }
}

struct DecodedKeyValue: WireDecodable {
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

    /// Lends the key as the server's encoders take it.
    func withView<Result>(_ body: (KeyValueView) -> Result) -> Result {
        key.withUnsafeBytes { keyBytes in
            value.withUnsafeBytes { valueBytes in
                body(
                    KeyValueView(
                        key: keyBytes, createRevision: createRevision, modRevision: modRevision,
                        version: version, value: valueBytes, lease: lease))
            }
        }
    }
}

/// RangeResponse.
struct DecodedRange: WireDecodable {
    var header: DecodedHeader?
    var kvs: [DecodedKeyValue] = []
    var more = false
    var count: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 2: try reader.messages(field, into: &kvs)
            case 3: more = try reader.bool(field)
            case 4: count = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// PutResponse.
struct DecodedPut: WireDecodable {
    var header: DecodedHeader?
    var prevKV: DecodedKeyValue?

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 2: try reader.message(field, intoOptional: &prevKV)
            default: try reader.skip(field)
            }
        }
    }
}

/// DeleteRangeResponse.
struct DecodedDeleteRange: WireDecodable {
    var header: DecodedHeader?
    var deleted: Int64 = 0
    var prevKVs: [DecodedKeyValue] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 2: deleted = try reader.int64(field)
            case 3: try reader.messages(field, into: &prevKVs)
            default: try reader.skip(field)
            }
        }
    }
}

/// TxnResponse.
struct DecodedTxn: WireDecodable {
    var header: DecodedHeader?
    var succeeded = false
    var responses: [DecodedResponseOp] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 2: succeeded = try reader.bool(field)
            case 3: try reader.messages(field, into: &responses)
            default: try reader.skip(field)
            }
        }
    }
}

/// ResponseOp.
enum DecodedResponseOp: WireDecodable {
    case none
    case range(DecodedRange)
    case put(DecodedPut)
    case deleteRange(DecodedDeleteRange)
    case txn(DecodedTxn)

    init() {
        self = .none
    }

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: self = .range(try reader.fresh(field))
            case 2: self = .put(try reader.fresh(field))
            case 3: self = .deleteRange(try reader.fresh(field))
            case 4: self = .txn(try reader.fresh(field))
            default: try reader.skip(field)
            }
        }
    }
}

/// mvccpb.Event.
struct DecodedEvent: WireDecodable {
    var type: Int32 = 0
    var kv: DecodedKeyValue?
    var prevKV: DecodedKeyValue?

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: type = try reader.int32(field)
            case 2: try reader.message(field, intoOptional: &kv)
            case 3: try reader.message(field, intoOptional: &prevKV)
            default: try reader.skip(field)
            }
        }
    }
}

/// WatchResponse.
struct DecodedWatch: WireDecodable {
    var header: DecodedHeader?
    var watchID: Int64 = 0
    var created = false
    var canceled = false
    var compactRevision: Int64 = 0
    var cancelReason = ""
    var fragment = false
    var events: [DecodedEvent] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 2: watchID = try reader.int64(field)
            case 3: created = try reader.bool(field)
            case 4: canceled = try reader.bool(field)
            case 5: compactRevision = try reader.int64(field)
            case 6: cancelReason = try reader.string(field)
            case 7: fragment = try reader.bool(field)
            case 11: try reader.messages(field, into: &events)
            default: try reader.skip(field)
            }
        }
    }
}

/// LeaseGrantResponse and LeaseKeepAliveResponse, which have the same fields.
struct DecodedLease: WireDecodable {
    var header: DecodedHeader?
    var id: Int64 = 0
    var ttl: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 2: id = try reader.int64(field)
            case 3: ttl = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension ProtoReader {
    fileprivate mutating func message<Message: WireDecodable>(
        _ field: FieldTag, intoOptional message: inout Message?
    ) throws(WireError) {
        var value = message ?? Message()
        try self.message(field, into: &value)
        message = value
    }

    fileprivate mutating func fresh<Message: WireDecodable>(
        _ field: FieldTag
    ) throws(WireError) -> Message {
        var value = Message()
        try message(field, into: &value)
        return value
    }
}
