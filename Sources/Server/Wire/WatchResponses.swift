// WatchResponses.swift: the answers of a watch stream; an event is encoded once for all watchers.
// Belongs here: fields and their order. Never here: which watcher gets what.
// Source: messages.tsv, etcdserverpb.WatchResponse and mvccpb.Event.

/// Everything of a WatchResponse but its events (etcd rpc.proto, WatchResponse).
struct WatchResponseHead: Hashable, Sendable {
    var header: ResponseHeader
    var watchID: Int64
    var created = false
    var canceled = false
    var compactRevision: Int64 = 0
    var cancelReason = ""
    var fragment = false

    /// The size of the response without events.
    var encodedSize: Int {
        header.fieldSize + WireSize.int64(2, watchID)
            + WireSize.uint64(3, created ? 1 : 0) + WireSize.uint64(4, canceled ? 1 : 0)
            + WireSize.int64(5, compactRevision) + WireSize.bytes(6, cancelReason.utf8.count)
            + WireSize.uint64(7, fragment ? 1 : 0)
    }
}

/// One event in wire format, as a field of a WatchResponse, ready to be copied for each watcher.
struct EncodedEvent: Hashable, Sendable {
    /// Tag, length and content of field 11.
    let field: [UInt8]

    /// Encodes an event.
    ///
    /// - Parameters:
    ///   - type: A put or a delete; of a deleted key `kv` has only key and mod_revision (rule W8).
    ///   - kv: The key as the event left it.
    ///   - previous: The key before the event, for watchers that asked for it.
    init(_ type: EventType, _ kv: KeyValueView, previous: KeyValueView?) {
        let kvSize = kv.bodySize
        let previousSize = previous?.bodySize ?? 0
        var body = WireSize.int64(1, Int64(type.rawValue)) + WireSize.lengthDelimited(2, kvSize)
        if previous != nil { body += WireSize.lengthDelimited(3, previousSize) }
        let size = WireSize.lengthDelimited(Self.fieldNumber, body)
        var writer = ProtoWriter(capacity: size)
        writer.append(exactly: size) { cursor in
            cursor.tag(Self.fieldNumber, .lengthDelimited)
            cursor.varint(UInt64(body))
            cursor.int64(1, Int64(type.rawValue))
            cursor.keyValue(2, kv, bodySize: kvSize)
            if let previous { cursor.keyValue(3, previous, bodySize: previousSize) }
        }
        field = writer.bytes
    }

    /// The number of the field `events` in a WatchResponse.
    private static let fieldNumber = 11
}

extension ProtoWriter {
    /// Begins a WatchResponse; events may follow, and nothing ends it.
    mutating func beginWatchResponse(_ head: WatchResponseHead) {
        header(head.header)
        int64(2, head.watchID)
        bool(3, head.created)
        bool(4, head.canceled)
        int64(5, head.compactRevision)
        string(6, head.cancelReason)
        bool(7, head.fragment)
    }

    /// Appends one event to a WatchResponse.
    mutating func appendEvent(_ event: EncodedEvent) {
        append(encoded: event.field)
    }
}
