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

/// RangeResponse.
struct DecodedRange: DecodedResponse {
    var header: DecodedHeader?
    var kvs: [WireKeyValue] = []
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
    var prevKV: WireKeyValue?

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
    var prevKVs: [WireKeyValue] = []

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
