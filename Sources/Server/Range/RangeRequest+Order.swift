// RangeRequest+Order.swift: what a request's order, limit and filters mean.
// Belongs here: the rules that need no store. Never here: reading.
// Source: etcd semantics R4, R9-R11, R13.

internal import Storage

extension RangeRequest {
    /// Whether any of the four revision filters is set.
    var hasFilters: Bool {
        minModRevision != 0 || maxModRevision != 0 || minCreateRevision != 0
            || maxCreateRevision != 0
    }

    /// Whether keys come in their own order, unfiltered, so that rows can be answered as they are read.
    var isPlain: Bool {
        sortTarget == .key && sortOrder != .descend && !hasFilters
    }

    /// How many rows are fetched before sorting; nil for all (R10: an order or a filter wants all).
    var fetchLimit: Int64? {
        guard limit > 0, sortOrder == .none, !hasFilters else { return nil }
        return limit == .max ? nil : limit + 1
    }

    /// Whether the filters let a key pass (R9, R13).
    func keeps(_ record: KeyRecord) -> Bool {
        let modified = record.revision.main
        if maxModRevision != 0, modified > maxModRevision { return false }
        if minModRevision != 0, modified < minModRevision { return false }
        if maxCreateRevision != 0, record.createRevision > maxCreateRevision { return false }
        if minCreateRevision != 0, record.createRevision < minCreateRevision { return false }
        return true
    }

    /// What a key is sorted by, where that is a number.
    func sortKey(of record: KeyRecord) -> Int64 {
        switch sortTarget {
        case .version: record.version
        case .create: record.createRevision
        case .mod: record.revision.main
        default: 0
        }
    }
}

extension KeyValueView {
    /// A key as a row of the store shows it.
    @inline(__always)
    init(_ key: UnsafeRawBufferPointer, _ record: KeyRecord, _ value: UnsafeRawBufferPointer) {
        self.init(
            key: key, createRevision: record.createRevision, modRevision: record.revision.main,
            version: record.version, value: value, lease: record.lease)
    }
}
