// Responses.swift: reads the answers of members as a client does.
// Belongs here: the response messages of etcd. Never here: what they should say (Checkers/).
// Source: etcd rpc.proto and kv.proto; the server itself never reads answers.

@testable import Server

/// A key with its value and revisions (kv.proto, KeyValue).
struct ReadKeyValue: WireDecodable {
    var key: [UInt8] = []
    var createRevision: Int64 = 0
    var modRevision: Int64 = 0
    var version: Int64 = 0
    var value: [UInt8] = []
    var lease: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: key = try reader.bytes(field).array
            case 2: createRevision = try reader.int64(field)
            case 3: modRevision = try reader.int64(field)
            case 4: version = try reader.int64(field)
            case 5: value = try reader.bytes(field).array
            case 6: lease = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// The head of every answer (rpc.proto, ResponseHeader).
struct ReadHeader: WireDecodable {
    var memberID: UInt64 = 0
    var revision: Int64 = 0
    var term: UInt64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 2: memberID = try reader.uint64(field)
            case 3: revision = try reader.int64(field)
            case 4: term = try reader.uint64(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// RangeResponse.
struct ReadRange: WireDecodable {
    var header = ReadHeader()
    var kvs: [ReadKeyValue] = []
    var more = false
    var count: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: try reader.messages(field, into: &kvs)
            case 3: more = try reader.bool(field)
            case 4: count = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// PutResponse.
struct ReadPut: WireDecodable {
    var header = ReadHeader()
    var previous: ReadKeyValue?

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: previous = try reader.fresh(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// DeleteRangeResponse.
struct ReadDelete: WireDecodable {
    var header = ReadHeader()
    var deleted: Int64 = 0
    var previous: [ReadKeyValue] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: deleted = try reader.int64(field)
            case 3: try reader.messages(field, into: &previous)
            default: try reader.skip(field)
            }
        }
    }
}

/// One result of a transaction (rpc.proto, ResponseOp).
enum ReadOperation: WireDecodable {
    case none
    case range(ReadRange)
    case put(ReadPut)
    case delete(ReadDelete)

    init() {
        self = .none
    }

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: self = .range(try reader.fresh(field))
            case 2: self = .put(try reader.fresh(field))
            case 3: self = .delete(try reader.fresh(field))
            default: try reader.skip(field)
            }
        }
    }
}

/// TxnResponse.
struct ReadTxn: WireDecodable {
    var header = ReadHeader()
    var succeeded = false
    var results: [ReadOperation] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: succeeded = try reader.bool(field)
            case 3: try reader.messages(field, into: &results)
            default: try reader.skip(field)
            }
        }
    }
}

/// An answer of which only the head counts: CompactionResponse, LeaseRevokeResponse.
struct ReadPlain: WireDecodable {
    var header = ReadHeader()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            default: try reader.skip(field)
            }
        }
    }
}

/// LeaseGrantResponse and LeaseKeepAliveResponse, which have the same fields.
struct ReadLease: WireDecodable {
    var header = ReadHeader()
    var id: Int64 = 0
    var ttl: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: id = try reader.int64(field)
            case 3: ttl = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// LeaseTimeToLiveResponse.
struct ReadTimeToLive: WireDecodable {
    var header = ReadHeader()
    var ttl: Int64 = 0
    var granted: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 3: ttl = try reader.int64(field)
            case 4: granted = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// A change of a key (kv.proto, Event).
struct ReadEvent: WireDecodable {
    var isDelete = false
    var kv = ReadKeyValue()
    var previous: ReadKeyValue?

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: isDelete = try reader.int32(field) == 1
            case 2: try reader.message(field, into: &kv)
            case 3: previous = try reader.fresh(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// WatchResponse.
struct ReadWatch: WireDecodable {
    var header = ReadHeader()
    var watchID: Int64 = 0
    var isCreated = false
    var isCanceled = false
    var compactRevision: Int64 = 0
    var reason = ""
    var isFragment = false
    var events: [ReadEvent] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: watchID = try reader.int64(field)
            case 3: isCreated = try reader.bool(field)
            case 4: isCanceled = try reader.bool(field)
            case 5: compactRevision = try reader.int64(field)
            case 6: reason = try reader.string(field)
            case 7: isFragment = try reader.bool(field)
            case 11: try reader.messages(field, into: &events)
            default: try reader.skip(field)
            }
        }
    }
}

/// A member in answers of the Cluster service (rpc.proto, Member).
struct ReadMember: WireDecodable {
    var id: UInt64 = 0
    var urls: [String] = []
    var isLearner = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: id = try reader.uint64(field)
            case 3: urls.append(try reader.string(field))
            case 5: isLearner = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// MemberAddResponse, and MemberListResponse with its members in another field.
struct ReadMembers: WireDecodable {
    var header = ReadHeader()
    /// The member that was added.
    var added = ReadMember()
    var members: [ReadMember] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2:
                let member: ReadMember = try reader.fresh(field)
                added = member
                listed.append(member)
            case 3: try reader.messages(field, into: &members)
            default: try reader.skip(field)
            }
        }
    }

    /// What stands in the field of MemberListResponse.
    var listed: [ReadMember] = []
}

extension ProtoReader {
    fileprivate mutating func fresh<Message: WireDecodable>(
        _ field: FieldTag
    ) throws(WireError) -> Message {
        var value = Message()
        try message(field, into: &value)
        return value
    }
}
