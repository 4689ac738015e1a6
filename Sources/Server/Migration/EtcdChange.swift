// EtcdChange.swift: one record of etcd's bucket `key`, compared with everything that has to hold of it.
// Belongs here: what a record may say. Never here: walking the bucket (EtcdStore), tables (EtcdImporter).
// Source: etcdctl.md part 4; etcd semantics S1, S2.

internal import Storage

/// A change as etcd stored it.
enum EtcdChange {
    case put(WireKeyValue, at: PackedRevision)
    case deletion(key: Bytes, at: PackedRevision)
    /// A record without a key: a restore wrote it to raise the revision.
    case floor(main: Int64)

    /// The greatest main revision that can be kept.
    static let mainMax: Int64 = 1 << 42
    /// Far above what any key reaches, and far below where a stored number would overflow.
    static let versionMax: Int64 = 1 << 40

    /// Reads the record under a cursor.
    init(_ cursor: BoltCursor) throws(BoltError) {
        let page = cursor.pageNumber
        func damaged(_ reason: String) -> BoltError { .damaged(page: page, reason: reason) }
        guard !cursor.isBucket, let place = EtcdPlace(cursor.key) else {
            throw damaged("a key of \(cursor.key.count) bytes is not a revision")
        }
        guard place.main < Self.mainMax, place.sub < Int64(PackedRevision.changesPerRequestMax)
        else {
            throw damaged("revision \(place.main).\(place.sub) is too large")
        }
        let packed = PackedRevision(main: place.main, sub: place.sub)
        guard !cursor.value.isEmpty else {
            self = .floor(main: place.main)
            return
        }
        let record: WireKeyValue
        do throws(WireError) {
            record = try WireKeyValue(decoding: Array(cursor.value))
        } catch {
            throw damaged("the record of revision \(place.main).\(place.sub): \(error)")
        }
        guard !record.key.isEmpty else {
            throw damaged("the record of revision \(place.main).\(place.sub) has no key")
        }
        if place.isTombstone {
            self = .deletion(key: record.key, at: packed)
            return
        }
        guard record.modRevision == place.main, record.createRevision > 0,
            record.createRevision <= place.main, record.version > 0,
            record.version <= Self.versionMax
        else {
            throw damaged(
                "the record of revision \(place.main).\(place.sub) says that it was created at "
                    + "\(record.createRevision), changed at \(record.modRevision), version "
                    + "\(record.version)")
        }
        self = .put(record, at: packed)
    }

    var main: Int64 {
        switch self {
        case .put(_, let place), .deletion(_, let place): place.main
        case .floor(let main): main
        }
    }
}
