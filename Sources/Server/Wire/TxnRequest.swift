// TxnRequest.swift: the request of KV.Txn with its compares and operations.
// Belongs here: fields and their numbers. Never here: what a compare decides (rules T8 to T10).
// Source: messages.tsv, etcdserverpb.TxnRequest and inside it. Depth: WireLimits.nestedTxnsMax.

/// Runs one of two lists of operations, chosen by compares (etcd rpc.proto, TxnRequest).
struct TxnRequest: WireMessage, Hashable {
    var compare: [Compare] = []
    var success: [RequestOp] = []
    var failure: [RequestOp] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.messages(field, into: &compare)
            case 2: try reader.messages(field, into: &success)
            case 3: try reader.messages(field, into: &failure)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        for item in compare { writer.message(1, item) }
        for item in success { writer.message(2, item) }
        for item in failure { writer.message(3, item) }
    }
}

/// One condition of a transaction (etcd rpc.proto, Compare).
struct Compare: WireMessage, Hashable {
    /// How the stored value must relate to the given one; unknown numbers are kept (rule T9).
    struct Result: RawRepresentable, Hashable, Sendable {
        let rawValue: Int32
        static let equal = Result(rawValue: 0)
        static let greater = Result(rawValue: 1)
        static let less = Result(rawValue: 2)
        static let notEqual = Result(rawValue: 3)
    }

    /// Which attribute of the key is compared; unknown numbers are kept (rule T9).
    struct Target: RawRepresentable, Hashable, Sendable {
        let rawValue: Int32
        static let version = Target(rawValue: 0)
        static let create = Target(rawValue: 1)
        static let mod = Target(rawValue: 2)
        static let value = Target(rawValue: 3)
        static let lease = Target(rawValue: 4)
    }

    /// The value to compare with: which member of `target_union` came, if any.
    ///
    /// It need not be the one `target` names; then the compare is against 0 or empty (rule T9).
    enum Operand: Hashable, Sendable {
        case none
        case version(Int64)
        case createRevision(Int64)
        case modRevision(Int64)
        case value(Bytes)
        case lease(Int64)
    }

    var result = Result.equal
    var target = Target.version
    var key = Bytes()
    var operand = Operand.none
    var rangeEnd = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: result = Result(rawValue: try reader.int32(field))
            case 2: target = Target(rawValue: try reader.int32(field))
            case 3: key = try reader.bytes(field)
            case 4: operand = .version(try reader.int64(field))
            case 5: operand = .createRevision(try reader.int64(field))
            case 6: operand = .modRevision(try reader.int64(field))
            case 7: operand = .value(try reader.bytes(field))
            case 8: operand = .lease(try reader.int64(field))
            case 64: rangeEnd = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int32(1, result.rawValue)
        writer.int32(2, target.rawValue)
        writer.bytes(3, key)
        switch operand {
        case .none: break
        case .version(let number): writer.int64(4, number, keepsDefault: true)
        case .createRevision(let number): writer.int64(5, number, keepsDefault: true)
        case .modRevision(let number): writer.int64(6, number, keepsDefault: true)
        case .value(let bytes): writer.bytes(7, bytes, keepsDefault: true)
        case .lease(let number): writer.int64(8, number, keepsDefault: true)
        }
        writer.bytes(64, rangeEnd)
    }
}

/// One operation of a transaction (etcd rpc.proto, RequestOp).
enum RequestOp: WireMessage, Hashable {
    /// No member was set: rule T7 answers it with "key not found".
    case none
    case range(RangeRequest)
    case put(PutRequest)
    case deleteRange(DeleteRangeRequest)
    case txn(TxnRequest)

    init() {
        self = .none
    }

    /// A member that comes again is merged with the former one; another member replaces it.
    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1:
                var request = RangeRequest()
                if case .range(let former) = self { request = former }
                try reader.message(field, into: &request)
                self = .range(consume request)
            case 2:
                var request = PutRequest()
                if case .put(let former) = self { request = former }
                try reader.message(field, into: &request)
                self = .put(consume request)
            case 3:
                var request = DeleteRangeRequest()
                if case .deleteRange(let former) = self { request = former }
                try reader.message(field, into: &request)
                self = .deleteRange(consume request)
            case 4:
                var request = TxnRequest()
                if case .txn(let former) = self { request = former }
                self = .none  // so that the lists inside are extended in place, not copied
                try reader.message(field, into: &request)
                self = .txn(consume request)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        switch self {
        case .none: break
        case .range(let request): writer.message(1, request)
        case .put(let request): writer.message(2, request)
        case .deleteRange(let request): writer.message(3, request)
        case .txn(let request): writer.message(4, request)
        }
    }
}
