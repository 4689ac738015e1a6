// ReadAnswers.swift: the answers of services that this server itself reads.
// Belongs here: as many fields as it looks at. Never here: writing them (the Responses files).
// Source: messages.tsv, packages etcdserverpb and mvccpb.

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
    var kvs: [WireKeyValue] = []
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
        var kvs: [WireKeyValue] = []

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
        var kv = WireKeyValue()

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
