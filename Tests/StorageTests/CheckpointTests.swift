// CheckpointTests.swift: folding pages into the file while readers and the writer go on.
// Belongs here: one process's life. Never here: crashes (CheckpointCrashTests.swift).

import Storage
import Testing
import TestSupport

@Suite struct CheckpointTests {
    @Test("after a checkpoint the file holds the committed state, and nothing stays in memory")
    func fileHoldsCommitted() throws {
        let rig = try PageRig()
        #expect(try !rig.checkpoint())
        try rig.commit("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(100000))")
        try rig.commit("INSERT INTO t VALUES(2)")

        #expect(try rig.checkpoint())

        #expect(rig.disk.contents("data/db") == (try rig.store.image()))
        #expect(rig.store.checkpointState == rig.store.committedState)
        #expect(rig.store.overlayBytes == 0)
        #expect(try !rig.checkpoint())
    }

    @Test("a reader that began before keeps its state through several checkpoints")
    func olderReaders() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for row in 0..<40 { try rig.commit("INSERT INTO t VALUES(\(row), zeroblob(2000))") }
        #expect(try rig.checkpoint())
        var readers: [(StoreReader, Int64)] = []
        for round in 1...6 {
            let reader = try rig.store.openReader()
            try reader.connection.execute("BEGIN")
            let sum = try reader.connection.integer("SELECT sum(length(b)) FROM t") ?? 0
            readers.append((reader, sum))
            try rig.commit("UPDATE t SET b = zeroblob(length(b) + \(round)) WHERE a % 3 = 0")
            try rig.commit("DELETE FROM t WHERE a = \(round * 4)")
            try rig.commit("PRAGMA incremental_vacuum")
            #expect(try rig.checkpoint())
            for (reader, sum) in readers {
                #expect(try reader.connection.integer("SELECT sum(length(b)) FROM t") == sum)
                #expect(reader.pinned.map { $0.index < rig.lastIndex } == true)
            }
        }
        for (reader, _) in readers { try reader.connection.execute("COMMIT") }
        rig.store.collect()
        #expect(try rig.checkpoint() == false)
        #expect(rig.store.overlayBytes == 0)
        #expect(rig.disk.contents("data/db") == (try rig.store.image()))
        #expect(try rig.store.integrity() == "ok")
    }

    @Test(
        "writing goes on between the steps of a checkpoint, and the file ends at the state it began with"
    )
    func interleavedWrites() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for row in 0..<50 { try rig.commit("INSERT INTO t VALUES(\(row), zeroblob(3000))") }
        let wanted = try rig.store.image()
        let checkpoint = try #require(try rig.store.beginCheckpoint())
        #expect(throws: StorageError.busy(what: "a checkpoint is running")) {
            try rig.store.beginCheckpoint()
        }
        checkpoint.intentIsDurable()
        var row = 0
        while try !checkpoint.step(pages: 5) {
            try rig.commit("UPDATE t SET b = zeroblob(3001) WHERE a = \(row)")
            try rig.seal("INSERT INTO t VALUES(\(1000 + row), 'speculative')")
            if row % 3 == 0 { try rig.discard(after: rig.lastIndex - 1) }
            rig.publish()
            row += 1
        }
        #expect(rig.disk.contents("data/db") == wanted)
        #expect(rig.store.checkpointState.index == 51)
        #expect(try rig.checkpoint())
        #expect(rig.disk.contents("data/db") == (try rig.store.image()))
        #expect(rig.store.overlayBytes == 0)
    }

    @Test("a checkpoint that was not begun to be written can be let go")
    func abandonedEarly() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)")
        _ = try rig.store.beginCheckpoint()

        #expect(try rig.checkpoint())
        #expect(rig.disk.contents("data/db") == (try rig.store.image()))
    }

    @Test("after a failed sync no checkpoint is taken, and the state is still served")
    func failedSync() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
        rig.disk.inject(.ioError, onNext: .sync)

        #expect(throws: StorageError.self) { try rig.checkpoint() }
        #expect(throws: StorageError.self) { try rig.checkpoint() }

        try rig.commit("INSERT INTO t VALUES(2)")
        let reader = try rig.store.openReader()
        #expect(try reader.connection.integer("SELECT sum(a) FROM t") == 3)
    }

    @Test("a disk that is full fails one checkpoint; when there is space again the next succeeds")
    func fullDisk() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for row in 0..<20 { try rig.commit("INSERT INTO t VALUES(\(row), zeroblob(3000))") }
        #expect(try rig.checkpoint())
        let reader = try rig.store.openReader()
        try reader.connection.execute("BEGIN")
        #expect(try reader.connection.integer("SELECT count(*) FROM t") == 20)
        for round in 0..<4 {
            try rig.commit("UPDATE t SET b = zeroblob(\(2900 + round)) WHERE a % 2 = 0")
            try rig.commit("INSERT INTO t VALUES(\(100 + round), zeroblob(30000))")
            rig.disk.setCapacity(rig.disk.usedBytes + UInt64(round * 8192))

            #expect(throws: StorageError.self) { try rig.checkpoint(pagesPerStep: 2) }

            #expect(try reader.connection.integer("SELECT sum(length(b)) FROM t") == 60000)
            #expect(rig.store.checkpointState.index == 21)
            // A crash now is mended by what the log has.
            let copy = rig.disk.afterCrashCopy()
            let again = try PageRig.recover(copy, log: rig.log, intent: rig.intent)
            #expect(try again.image() == rig.store.image())
        }
        rig.disk.setCapacity(.max)
        try reader.connection.execute("COMMIT")
        #expect(try rig.checkpoint())
        rig.store.collect()
        #expect(rig.disk.contents("data/db") == (try rig.store.image()))
        #expect(rig.store.overlayBytes == 0)
        #expect(try rig.store.integrity() == "ok")
    }

    @Test("pages come back from the file, and their checksums with them")
    func reopen() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(30000))")
        #expect(try rig.checkpoint())
        try rig.commit("INSERT INTO t VALUES(2)")

        let again = try PageRig.recover(rig.disk, log: rig.log, intent: rig.intent)

        #expect(again.committedState == rig.store.committedState)
        #expect(try again.image() == rig.store.image())
        #expect(try again.openReader().connection.integer("SELECT count(*) FROM t") == 2)
    }

    @Test("a bit that flipped in the file is found, never served, and the page is named")
    func bitFlip() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for row in 0..<30 { try rig.commit("INSERT INTO t VALUES(\(row), zeroblob(3000))") }
        #expect(try rig.checkpoint())
        let pages = Int(rig.store.committedState.pageCount)
        for page in 1...pages {
            let disk = rig.disk.afterCrashCopy()
            disk.flipBit("data/db", offset: (page - 1) * 4096 + (page * 131) % 4096, bit: page % 8)
            let store = try PageStore.open(disk: disk, directory: "data", intent: rig.intent)
            let wanted = StorageError.corruptPage(
                page: UInt32(page), reason: "the file's bytes do not match their checksum")
            #expect(throws: wanted) { try store.image() }
            // SQLite either never needs the page, or says that the database is malformed; the first
            // page is read when a connection opens.
            do {
                let reader = try store.openReader()
                _ = try reader.connection.integer("SELECT sum(length(b)) FROM t")
                #expect(reader.takeFailure() == nil)
            } catch {
                guard case .sqlite(let code, _) = error else {
                    #expect(page == 1 && error == wanted)
                    continue
                }
                #expect([10, 11].contains(code & 0xFF))
            }
            #expect(store.takeFailures().allSatisfy { $0 == wanted })
        }
    }

    @Test("a checksum that flipped on disk is found at the start")
    func sideFileFlip() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)")
        #expect(try rig.checkpoint())
        for offset in [0, 7, 8, 20] {
            let disk = rig.disk.afterCrashCopy()
            disk.flipBit("data/db.pages", offset: offset)
            #expect(throws: StorageError.self) {
                try PageStore.open(disk: disk, directory: "data", intent: rig.intent)
            }
        }
    }

    @Test("files of another format, and a database without its meta file, are refused")
    func refusedFiles() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)")
        #expect(try rig.checkpoint())
        let lost = rig.disk.afterCrashCopy()
        lost.plant("data/db.meta", [])
        #expect(throws: StorageError.self) { try PageStore.open(disk: lost, directory: "data") }
        let short = rig.disk.afterCrashCopy()
        short.plant("data/db", Array(short.contents("data/db").dropLast(4096)))
        #expect(throws: StorageError.self) { try PageStore.open(disk: short, directory: "data") }
    }

    @Test("a snapshot is read in order as of its pin, whatever is written and folded meanwhile")
    func snapshot() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for row in 0..<40 { try rig.commit("INSERT INTO t VALUES(\(row), zeroblob(3000))") }
        let wanted = try rig.store.image()
        let snapshot = try rig.store.openSnapshot()
        var bytes: [UInt8] = []
        var round = 0
        while try snapshot.read(pages: 3, into: &bytes) > 0 {
            try rig.commit("UPDATE t SET b = zeroblob(\(2000 + round)) WHERE a % 5 = \(round % 5)")
            if round % 4 == 0 { #expect(try rig.checkpoint()) }
            round += 1
        }
        #expect(bytes == wanted)
        #expect(snapshot.remainingBytes == 0)
        #expect(UInt64(bytes.count) == snapshot.totalBytes)
    }
}

extension FaultyDisk {
    /// A second disk with the same bytes.
    func afterCrashCopy() -> FaultyDisk {
        let copy = FaultyDisk()
        for name in ["db", "db.pages", "db.meta"] {
            copy.plant("data/\(name)", contents("data/\(name)"))
        }
        return copy
    }
}
