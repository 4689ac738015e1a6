// KVRequests.swift: the requests of the KV service, but Txn.
// Belongs here: fields and their numbers. Never here: whether the values make sense (the services).
// Source: messages.tsv, package etcdserverpb.

/// Reads keys (etcd rpc.proto, RangeRequest).
struct RangeRequest: WireMessage, Hashable {
    /// Which way results are sorted; a number this version does not know is kept (rule R12).
    struct SortOrder: RawRepresentable, Hashable, Sendable {
        let rawValue: Int32
        static let none = SortOrder(rawValue: 0)
        static let ascend = SortOrder(rawValue: 1)
        static let descend = SortOrder(rawValue: 2)
    }

    /// What results are sorted by; a number this version does not know is kept (rule R12).
    struct SortTarget: RawRepresentable, Hashable, Sendable {
        let rawValue: Int32
        static let key = SortTarget(rawValue: 0)
        static let version = SortTarget(rawValue: 1)
        static let create = SortTarget(rawValue: 2)
        static let mod = SortTarget(rawValue: 3)
        static let value = SortTarget(rawValue: 4)
    }

    var key = Bytes()
    var rangeEnd = Bytes()
    var limit: Int64 = 0
    var revision: Int64 = 0
    var sortOrder = SortOrder.none
    var sortTarget = SortTarget.key
    var serializable = false
    var keysOnly = false
    var countOnly = false
    var minModRevision: Int64 = 0
    var maxModRevision: Int64 = 0
    var minCreateRevision: Int64 = 0
    var maxCreateRevision: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: key = try reader.bytes(field)
            case 2: rangeEnd = try reader.bytes(field)
            case 3: limit = try reader.int64(field)
            case 4: revision = try reader.int64(field)
            case 5: sortOrder = SortOrder(rawValue: try reader.int32(field))
            case 6: sortTarget = SortTarget(rawValue: try reader.int32(field))
            case 7: serializable = try reader.bool(field)
            case 8: keysOnly = try reader.bool(field)
            case 9: countOnly = try reader.bool(field)
            case 10: minModRevision = try reader.int64(field)
            case 11: maxModRevision = try reader.int64(field)
            case 12: minCreateRevision = try reader.int64(field)
            case 13: maxCreateRevision = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, key)
        writer.bytes(2, rangeEnd)
        writer.int64(3, limit)
        writer.int64(4, revision)
        writer.int32(5, sortOrder.rawValue)
        writer.int32(6, sortTarget.rawValue)
        writer.bool(7, serializable)
        writer.bool(8, keysOnly)
        writer.bool(9, countOnly)
        writer.int64(10, minModRevision)
        writer.int64(11, maxModRevision)
        writer.int64(12, minCreateRevision)
        writer.int64(13, maxCreateRevision)
    }
}

/// Writes one key (etcd rpc.proto, PutRequest).
struct PutRequest: WireMessage, Hashable {
    var key = Bytes()
    var value = Bytes()
    var lease: Int64 = 0
    var prevKV = false
    var ignoreValue = false
    var ignoreLease = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: key = try reader.bytes(field)
            case 2: value = try reader.bytes(field)
            case 3: lease = try reader.int64(field)
            case 4: prevKV = try reader.bool(field)
            case 5: ignoreValue = try reader.bool(field)
            case 6: ignoreLease = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, key)
        writer.bytes(2, value)
        writer.int64(3, lease)
        writer.bool(4, prevKV)
        writer.bool(5, ignoreValue)
        writer.bool(6, ignoreLease)
    }
}

/// Deletes keys (etcd rpc.proto, DeleteRangeRequest).
struct DeleteRangeRequest: WireMessage, Hashable {
    var key = Bytes()
    var rangeEnd = Bytes()
    var prevKV = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: key = try reader.bytes(field)
            case 2: rangeEnd = try reader.bytes(field)
            case 3: prevKV = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, key)
        writer.bytes(2, rangeEnd)
        writer.bool(3, prevKV)
    }
}

/// Gives up the history below a revision (etcd rpc.proto, CompactionRequest).
struct CompactionRequest: WireMessage, Hashable {
    var revision: Int64 = 0
    var physical = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: revision = try reader.int64(field)
            case 2: physical = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int64(1, revision)
        writer.bool(2, physical)
    }
}
