// MemberProcess+Content.swift: all keys that a member holds, read from its store.
// Belongs here: reading. Never here: judging (Checkers/).

import Storage

@testable import Server

extension MemberProcess {
    /// Every live key as published, in key order.
    func content() throws(StorageError) -> FinalContent {
        var found: [KeyValue] = []
        let member = node.identity.memberID
        let revision = try LoopStore(pages: store.pages) { _ in }.read {
            (reader, view) throws(StorageError) in
            let cursor = try RangeCursor.make(
                reader: reader, bounds: KeyBounds(start: Bytes([0]), end: .unbounded), at: nil,
                values: .full)
            defer { cursor.close() }
            while try cursor.next() {
                let record = cursor.record
                found.append(
                    KeyValue(
                        key: Array(cursor.key), value: cursor.withValue { Array($0) },
                        createRevision: record.createRevision,
                        modRevision: record.revision.main, version: record.version,
                        lease: record.lease))
            }
            return view.revision
        }
        return FinalContent(member: member, revision: revision, keyValues: found)
    }
}
