// EtcdRecords.swift: what etcd keeps in its buckets, as messages.
// Belongs here: fields and their numbers. Never here: where records lie (EtcdStore), what becomes of them.
// Source: messages.tsv, packages leasepb, etcdserverpb; etcdctl.md part 4. Keys are Wire's (WireKeyValue).

/// A lease (leasepb.Lease).
struct EtcdLease: FieldMessage {
    var id: Int64 = 0
    var ttl: Int64 = 0
    var remaining: Int64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &id)
        try fields.field(2, &ttl)
        try fields.field(3, &remaining)
    }
}

/// A raised alarm (etcdserverpb.AlarmMember).
struct EtcdAlarm: FieldMessage {
    var memberID: UInt64 = 0
    var kind: Int32 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &memberID)
        try fields.field(2, &kind)
    }
}

/// The place of a change as etcd's bucket `key` has it: 8 bytes main, "_", 8 bytes sub, big endian, and "t" of
/// a tombstone.
struct EtcdPlace: Equatable {
    static let bytesCount = 17
    static let tombstoneMark = UInt8(ascii: "t")

    var main: Int64
    var sub: Int64
    var isTombstone = false

    init(main: Int64, sub: Int64 = 0, isTombstone: Bool = false) {
        self.main = main
        self.sub = sub
        self.isTombstone = isTombstone
    }

    /// Reads a key of the bucket; nil if it is none.
    init?(_ key: UnsafeRawBufferPointer) {
        guard key.count == Self.bytesCount || key.count == Self.bytesCount + 1,
            key[8] == UInt8(ascii: "_")
        else { return nil }
        main = Int64(bigEndian: key.loadUnaligned(fromByteOffset: 0, as: Int64.self))
        sub = Int64(bigEndian: key.loadUnaligned(fromByteOffset: 9, as: Int64.self))
        isTombstone = key.count == Self.bytesCount + 1
        guard main >= 0, sub >= 0, !isTombstone || key[Self.bytesCount] == Self.tombstoneMark else {
            return nil
        }
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.bytesCount + 1)
        withUnsafeBytes(of: main.bigEndian) { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "_"))
        withUnsafeBytes(of: sub.bigEndian) { bytes.append(contentsOf: $0) }
        if isTombstone { bytes.append(Self.tombstoneMark) }
        return bytes
    }
}

/// Big-endian numbers in values of the buckets `meta` and `auth`.
enum EtcdNumber {
    static func read(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard bytes.count == 8 else { return nil }
        return UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    }

    static func bytes(_ value: UInt64) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}
