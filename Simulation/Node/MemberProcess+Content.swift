// MemberProcess+Content.swift: all keys and all pages that a member holds, read from its store.
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

    /// Whether the database file has no bad page; the member is told of those there are.
    var isFileWhole: Bool {
        do throws(StorageError) {
            let count = Int(store.pages.checkpointState.pageCount)
            guard count > 0 else { return true }
            let result = try store.pages.scrub(from: 1, count: count)
            for page in result.badPages {
                add(
                    .damaged(.corruptPage(page: page, reason: "its bytes in the file have changed"))
                )
            }
            // What a checkpoint is about to write can't be judged before it has ended.
            return result.badPages.isEmpty && result.postponedPages == 0 && replica.damage == nil
        } catch {
            return false
        }
    }

    /// A sum over each page as published, independent of those that the store keeps.
    func pageSums() throws(StorageError) -> [UInt64] {
        var sums: [UInt64] = []
        for page in 0..<store.pages.committedState.pageCount {
            guard let image = try store.pages.image(of: page + 1) else {
                throw .corruptPage(page: page + 1, reason: "it is not there")
            }
            sums.append(
                image.bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
        }
        return sums
    }
}
