// WireKeyValue.swift: a key with its value as a message that owns its bytes.
// Belongs here: mvccpb.KeyValue, read and written. Never here: rows on their way to a client, which are lent
// (KeyValueView.swift).
// Source: messages.tsv, package mvccpb.

/// One version of a key (etcd kv.proto, KeyValue).
struct WireKeyValue: WireMessage {
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

    func encode(into writer: inout ProtoWriter) {
        withView { writer.keyValueRecord($0) }
    }

    /// Lends it in the form that encoders take, without a copy.
    func withView<Result>(_ body: (KeyValueView) -> Result) -> Result {
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
