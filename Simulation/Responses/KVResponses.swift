// KVResponses.swift: the answers of the KV service, read as a client reads them.
// Belongs here: plain copies of the messages. Never here: what they should say (the simulator's checkers, tests).
// Source: etcd rpc.proto and kv.proto; the server itself never reads answers. What a proto3 message may
// lack is optional where that tells answers apart.

@testable import Server

/// ResponseHeader.
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

/// An answer with a header.
protocol DecodedResponse: WireDecodable {
    var header: DecodedHeader? { get }
}

extension DecodedResponse {
    /// The store's revision that the header names; 0 without one.
    var revision: Int64 { header?.value.revision ?? 0 }
}

/// An answer of which only the header counts: CompactionResponse, LeaseRevokeResponse.
struct DecodedPlain: DecodedResponse {
    var header: DecodedHeader?

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            default: try reader.skip(field)
            }
        }
    }
}

/// mvccpb.KeyValue.
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
struct DecodedRange: DecodedResponse {
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
struct DecodedPut: DecodedResponse {
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
struct DecodedDeleteRange: DecodedResponse {
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
struct DecodedTxn: DecodedResponse {
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

extension ProtoReader {
    /// Reads a message field that may be absent; one that comes twice is merged, as proto3 has it.
    mutating func message<Message: WireDecodable>(
        _ field: FieldTag, intoOptional message: inout Message?
    ) throws(WireError) {
        var value = message ?? Message()
        try self.message(field, into: &value)
        message = value
    }

    /// Reads a message field as a value of its own.
    mutating func fresh<Message: WireDecodable>(
        _ field: FieldTag
    ) throws(WireError) -> Message {
        var value = Message()
        try message(field, into: &value)
        return value
    }
}
