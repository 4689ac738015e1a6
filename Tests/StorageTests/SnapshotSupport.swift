// SnapshotSupport.swift: a member that follows another one's log, and gets a snapshot when it lags.
// Belongs here: what several snapshot tests repeat. Never here: expectations.

import Storage
import TestSupport

/// A member with a log and a page store of its own on one disk; everything in the log is committed.
final class SnapshotMember {
    static let logOptions = LogOptions(salt: 0x5a17, segmentBytes: 128 << 10)

    let disk: FaultyDisk
    let installation: SnapshotInstallation
    let log: LogStore
    let pages: PageStore
    /// A checkpoint was left half done: this process takes no other.
    private(set) var hasTornCheckpoint = false

    /// Starts as a server does: log, snapshot, pages, redo.
    init(disk: FaultyDisk = FaultyDisk()) throws(StorageError) {
        self.disk = disk
        do {
            try disk.createDirectory("data")
            try disk.syncDirectory(".")
        } catch {
            throw .disk(error)
        }
        log = try LogStore.open(
            disk: disk, directory: "data/log", options: Self.logOptions
        ).store
        installation = try SnapshotStaging.installIfComplete(
            disk: disk, directory: "data", log: log)
        pages = try PageStore.open(
            disk: disk, directory: "data", options: PageStoreOptions(cacheBytes: 1 << 20),
            intent: log.contents.checkpointIntent)
        var next = pages.checkpointState.index + 1
        while let part = try log.entries(
            from: next, through: log.lastIndex, maxBytes: 1 << 20)
        {
            for entry in part { try apply(entry) }
            next += UInt64(part.count)
        }
        try pages.finishRecovery()
    }

    private func apply(_ entry: LogEntry) throws(StorageError) {
        if !entry.payload.isEmpty {
            try pages.apply(index: entry.index, term: entry.term, payload: entry.payload)
        }
        pages.publish(through: entry.index, term: entry.term)
    }

    /// Takes the leader's entries up to `last` into log and pages.
    func follow(_ leader: PageRig, through last: UInt64) throws(StorageError) {
        while log.lastIndex < last {
            let index = log.lastIndex + 1
            let entry = LogEntry(
                index: index, term: 1, kind: 0, payload: leader.log[Int(index - 1)] ?? [])
            _ = try log.append(
                [entry], hardState: LogHardState(term: 1, vote: 7, commit: index))
            _ = try log.flush()
            try apply(entry)
        }
    }

    /// A checkpoint of at most so many steps; false if it did not come to its end.
    func checkpoint(steps: Int = .max, pagesPerStep: Int = 64) throws(StorageError) -> Bool {
        guard let checkpoint = try pages.beginCheckpoint() else { return false }
        _ = try log.append(checkpointIntent: checkpoint.intent)
        _ = try log.flush()
        checkpoint.intentIsDurable()
        for _ in 0..<steps where try checkpoint.step(pages: pagesPerStep) { return true }
        hasTornCheckpoint = true
        return false
    }

    func staging(corrupt: [UInt32] = []) throws(StorageError) -> SnapshotStaging {
        try SnapshotStaging.open(
            disk: disk, directory: "data", base: pages.checkpointState, corrupt: corrupt)
    }
}

extension SnapshotStaging {
    /// One attempt: at most so many pieces of what the leader has now; true if that was all.
    func receive(
        _ leader: PageStore, pieces: Int = .max, bytesMax: Int = 20_000,
        between: () throws(StorageError) -> Void = {}
    ) throws(StorageError) -> Bool {
        let source = try leader.openSnapshotSource(for: have)
        try begin(source.state)
        var count = 0
        while let piece = try source.next(bytesMax: bytesMax) {
            guard count < pieces else { return false }
            try add(piece)
            try between()
            count += 1
        }
        return true
    }
}

extension PageRig {
    /// A table with so many rows of about 1,500 bytes, in as many entries.
    func fill(rows: Range<Int>) throws(StorageError) {
        if lastIndex == 0 { try commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)") }
        for row in rows {
            try commit("INSERT INTO t VALUES(\(row), zeroblob(700) || randomblob(700))")
        }
    }

    /// A random change: rows come, change and go, and now and then space is given back.
    func change(_ numbers: inout SeededNumbers) throws(StorageError) {
        let row = numbers.next(below: 200)
        switch numbers.next(below: 8) {
        case 0: try commit("DELETE FROM t WHERE a BETWEEN \(row) AND \(row + 20)")
        case 1: try commit("PRAGMA incremental_vacuum(7)")
        case 2: try commit("UPDATE t SET b = b || 'x' WHERE a % 11 = \(row % 11)")
        default:
            let size = numbers.next(below: 6000)
            try commit("INSERT OR REPLACE INTO t VALUES(\(row), zeroblob(\(size)) || 'end')")
        }
    }
}

extension FaultyDisk {
    /// A second disk with the same folders and bytes, all of it durable.
    func memberCopy() throws(DiskError) -> FaultyDisk {
        let copy = FaultyDisk()
        for folder in ["data", "data/log", "data/incoming"] {
            try copy.createDirectory(folder)
            try copy.syncDirectory(folder == "data" ? "." : "data")
            for name in try list(folder) where name != "log" && name != "incoming" {
                copy.plant("\(folder)/\(name)", contents("\(folder)/\(name)"))
            }
        }
        return copy
    }
}
