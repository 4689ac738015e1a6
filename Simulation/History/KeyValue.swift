// KeyValue.swift: keys, values and ranges of keys as clients see them.
// Belongs here: plain values. Never here: what a store makes of them (Checkers/Model).
// Source: etcd kv.proto, KeyValue; semantics R1.

/// A key with what the store holds for it (etcd kv.proto, KeyValue).
package struct KeyValue: Hashable, Sendable {
    package var key: [UInt8]
    package var value: [UInt8]
    /// The revision at which the key last came into being.
    package var createRevision: Int64
    /// The revision of the newest change.
    package var modRevision: Int64
    /// The number of changes since the key came into being; the first is 1.
    package var version: Int64
    /// The lease the key hangs on; 0 for none.
    package var lease: Int64

    package init(
        key: [UInt8], value: [UInt8], createRevision: Int64, modRevision: Int64, version: Int64,
        lease: Int64 = 0
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }
}

/// A key or a range of keys, written as etcd writes it (R1, R2).
package struct KeySpan: Hashable, Sendable {
    /// The first key.
    package var key: [UInt8]
    /// Empty: that one key; one zero byte: every key from the first on; else the first key beyond.
    package var end: [UInt8]

    package init(_ key: [UInt8], end: [UInt8] = []) {
        self.key = key
        self.end = end
    }

    /// Every key there is.
    package static let everything = KeySpan([0], end: [0])

    /// Whether a key lies inside.
    package func contains(_ other: [UInt8]) -> Bool {
        if end.isEmpty { return other == key }
        if other.lexicographicallyPrecedes(key) { return false }
        return end == [0] || other.lexicographicallyPrecedes(end)
    }
}
