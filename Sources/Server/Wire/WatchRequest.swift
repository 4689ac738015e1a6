// WatchRequest.swift: what a client says on a watch stream.
// Belongs here: fields and their numbers. Never here: the state of watches (the Watch service).
// Source: messages.tsv, etcdserverpb.WatchRequest and the messages inside it.

/// One message of a watch stream (etcd rpc.proto, WatchRequest).
enum WatchRequest: WireMessage, Hashable {
    /// No member was set; etcd passes over such a message.
    case none
    case create(WatchCreateRequest)
    case cancel(WatchCancelRequest)
    case progress

    init() {
        self = .none
    }

    /// A member that comes again is merged with the former one; another member replaces it.
    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1:
                var request = WatchCreateRequest()
                if case .create(let former) = self { request = former }
                self = .none  // so that the lists inside are extended in place, not copied
                try reader.message(field, into: &request)
                self = .create(request)
            case 2:
                var request = WatchCancelRequest()
                if case .cancel(let former) = self { request = former }
                try reader.message(field, into: &request)
                self = .cancel(request)
            case 3:
                var request = WatchProgressRequest()
                try reader.message(field, into: &request)
                self = .progress
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        switch self {
        case .none: break
        case .create(let request): writer.message(1, request)
        case .cancel(let request): writer.message(2, request)
        case .progress: writer.message(3, WatchProgressRequest())
        }
    }
}

/// Begins a watch (etcd rpc.proto, WatchCreateRequest).
struct WatchCreateRequest: WireMessage, Hashable {
    /// Numbers of `filters`; unknown ones are kept in the list, rule W9 ignores them later.
    static let filterNoPut: Int32 = 0
    /// See `filterNoPut`.
    static let filterNoDelete: Int32 = 1

    var key = Bytes()
    var rangeEnd = Bytes()
    var startRevision: Int64 = 0
    var progressNotify = false
    var filters: [Int32] = []
    var prevKV = false
    var watchID: Int64 = 0
    var fragment = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: key = try reader.bytes(field)
            case 2: rangeEnd = try reader.bytes(field)
            case 3: startRevision = try reader.int64(field)
            case 4: progressNotify = try reader.bool(field)
            case 5: try reader.int32s(field, into: &filters)
            case 6: prevKV = try reader.bool(field)
            case 7: watchID = try reader.int64(field)
            case 8: fragment = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, key)
        writer.bytes(2, rangeEnd)
        writer.int64(3, startRevision)
        writer.bool(4, progressNotify)
        writer.int32s(5, filters)
        writer.bool(6, prevKV)
        writer.int64(7, watchID)
        writer.bool(8, fragment)
    }
}

/// Ends a watch (etcd rpc.proto, WatchCancelRequest).
struct WatchCancelRequest: WireMessage, Hashable {
    var watchID: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: watchID = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int64(1, watchID)
    }
}

/// Asks how far the watches of the stream are (etcd rpc.proto, WatchProgressRequest).
struct WatchProgressRequest: EmptyWireMessage, Hashable {}
