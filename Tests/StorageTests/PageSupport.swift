// PageSupport.swift: a page store on a disk in memory, with its writer and the log of what it
// sealed.
// Belongs here: what several page tests repeat. Never here: expectations.

import Storage
import TestSupport

/// One node: batches get the indexes 1, 2, 3 and so on in term 1.
final class PageRig {
    let disk: FaultyDisk
    let store: PageStore
    private(set) var writer: Connection
    /// What a log would hold: entries by index from 1; nil for entries without pages.
    private(set) var log: [[UInt8]?] = []
    var intent: [UInt8]?

    init(
        disk: FaultyDisk = FaultyDisk(),
        options: PageStoreOptions = PageStoreOptions(cacheBytes: 1 << 20)
    ) throws(StorageError) {
        self.disk = disk
        do {
            try disk.createDirectory("data")
            try disk.syncDirectory(".")
        } catch {
            throw .disk(error)
        }
        store = try PageStore.open(disk: disk, directory: "data", options: options)
        writer = try store.openWriter()
    }

    var lastIndex: UInt64 { UInt64(log.count) }

    /// Runs one transaction and seals it, without publishing.
    func seal(_ sql: String...) throws(StorageError) {
        try writer.execute("BEGIN")
        for statement in sql { try writer.execute(statement) }
        try writer.execute("COMMIT")
        let header = StateHeader(revision: store.tipState.header.revision + 1)
        let payload = try store.encode(header: header)
        log.append(payload)
        store.seal(index: lastIndex, term: 1)
    }

    /// Runs one transaction, seals and publishes it.
    func commit(_ sql: String...) throws(StorageError) {
        try writer.execute("BEGIN")
        for statement in sql { try writer.execute(statement) }
        try writer.execute("COMMIT")
        let header = StateHeader(revision: store.tipState.header.revision + 1)
        let payload = try store.encode(header: header)
        log.append(payload)
        store.seal(index: lastIndex, term: 1)
        publish()
    }

    func publish() {
        store.publish(through: lastIndex, term: 1)
    }

    /// Loses leadership: everything after `index` goes, the writer is opened anew.
    func discard(after index: UInt64) throws(StorageError) {
        store.discard(after: index)
        log.removeLast(log.count - Int(index))
        writer = try store.openWriter()
    }

    func reopenWriter() throws(StorageError) {
        writer = try store.openWriter()
    }

    /// A whole checkpoint; false if there was nothing to do.
    func checkpoint(pagesPerStep: Int = 64) throws(StorageError) -> Bool {
        guard let checkpoint = try store.beginCheckpoint() else { return false }
        intent = checkpoint.intent
        checkpoint.intentIsDurable()
        while try !checkpoint.step(pages: pagesPerStep) {}
        return true
    }

    /// Opens what is on a disk and redoes the log, as a start does.
    static func recover(
        _ disk: FaultyDisk, log: [[UInt8]?], intent: [UInt8]?,
        options: PageStoreOptions = PageStoreOptions(cacheBytes: 1 << 20)
    ) throws(StorageError) -> PageStore {
        let store = try PageStore.open(
            disk: disk, directory: "data", options: options, intent: intent)
        let first = store.checkpointState.index
        for (position, payload) in log.enumerated() {
            let index = UInt64(position + 1)
            guard index > first else { continue }
            if let payload { try store.apply(index: index, term: 1, payload: payload) }
            store.publish(through: index, term: 1)
        }
        try store.finishRecovery()
        return store
    }
}

extension PageStore {
    /// All pages of the committed state.
    func image() throws(StorageError) -> [UInt8] {
        let snapshot = try openSnapshot()
        var bytes: [UInt8] = []
        while try snapshot.read(pages: 16, into: &bytes) > 0 {}
        return bytes
    }

    /// What SQLite thinks of the committed state.
    func integrity() throws(StorageError) -> String {
        let statement = try openReader().connection.prepare("PRAGMA integrity_check")
        guard try statement.step() else { return "no answer" }
        return statement.text(0)
    }
}

/// A fixed sequence of numbers for a seed, that of splitmix64.
struct SeededNumbers {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func next(below bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
