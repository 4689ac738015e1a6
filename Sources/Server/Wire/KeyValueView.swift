// KeyValueView.swift: a stored key with its value, borrowed, and its encoding.
// Belongs here: mvccpb.KeyValue and mvccpb.Event. Never here: where the bytes are kept.
// Source: messages.tsv, package mvccpb; records under HashKV: etcdctl.md part 4.

/// One version of a key, whose bytes belong to someone else (etcd kv.proto, KeyValue).
///
/// Valid only as long as the memory behind the two pointers, usually one row of a query.
struct KeyValueView {
    var key: UnsafeRawBufferPointer
    var createRevision: Int64
    var modRevision: Int64
    var version: Int64
    var value: UnsafeRawBufferPointer
    var lease: Int64

    /// The size of the message's content.
    @inline(__always)
    var bodySize: Int {
        WireSize.bytes(1, key.count) + WireSize.int64(2, createRevision)
            + WireSize.int64(3, modRevision) + WireSize.int64(4, version)
            + WireSize.bytes(5, value.count) + WireSize.int64(6, lease)
    }

    /// The size of the message as field `field` of another one.
    @inline(__always)
    func fieldSize(_ field: Int) -> Int {
        WireSize.lengthDelimited(field, bodySize)
    }
}

/// What happened to a key (etcd kv.proto, Event.EventType).
enum EventType: Int32, Sendable {
    case put = 0
    case delete = 1
}

extension WireCursor {
    /// Writes the content of a KeyValue, `kv.bodySize` bytes.
    @inline(__always)
    mutating func keyValueBody(_ kv: KeyValueView) {
        bytes(1, kv.key)
        int64(2, kv.createRevision)
        int64(3, kv.modRevision)
        int64(4, kv.version)
        bytes(5, kv.value)
        int64(6, kv.lease)
    }

    /// Writes a KeyValue of `bodySize` bytes as field `field`.
    @inline(__always)
    mutating func keyValue(_ field: Int, _ kv: KeyValueView, bodySize: Int) {
        tag(field, .lengthDelimited)
        varint(UInt64(bodySize))
        keyValueBody(kv)
    }
}

extension ProtoWriter {
    /// Appends a KeyValue as field `field`.
    @inline(__always)
    mutating func keyValue(_ field: Int, _ kv: KeyValueView) {
        let bodySize = kv.bodySize
        append(exactly: WireSize.lengthDelimited(field, bodySize)) { cursor in
            cursor.keyValue(field, kv, bodySize: bodySize)
        }
    }

    /// Appends a KeyValue as a message of its own: the record that HashKV hashes.
    mutating func keyValueRecord(_ kv: KeyValueView) {
        append(exactly: kv.bodySize) { $0.keyValueBody(kv) }
    }

    /// Appends the record of a deletion, in which only the key is set.
    mutating func tombstoneRecord(key: UnsafeRawBufferPointer) {
        bytes(1, key)
    }
}
