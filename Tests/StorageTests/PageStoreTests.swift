// PageStoreTests.swift: versions, cursors and entries on one thread.
// Belongs here: what the page store promises its owner. Never here: SQLite's traps
// (VFSTrapTests.swift).

import Storage
import Testing
import TestSupport

@Suite struct PageStoreTests {
    @Test("a reader sees the committed state and not the tip")
    func readerSeesCommitted() throws {
        // Given a committed table and a reader
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
        let reader = try rig.store.openReader()

        // When a batch is sealed but not published
        try rig.seal("INSERT INTO t VALUES(2)")

        // Then it cannot be seen, until it is published
        #expect(try reader.connection.integer("SELECT count(*) FROM t") == 1)
        rig.publish()
        #expect(try reader.connection.integer("SELECT count(*) FROM t") == 2)
    }

    @Test("a transaction keeps its state while the store moves on, and says which state that is")
    func pinKeepsState() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
        let reader = try rig.store.openReader()
        #expect(reader.pinned == nil)
        try reader.connection.execute("BEGIN")
        #expect(try reader.connection.integer("SELECT count(*) FROM t") == 1)

        for value in 2...40 {
            try rig.commit(
                "INSERT INTO t VALUES(\(value))", "INSERT INTO t VALUES(randomblob(900))")
            #expect(try reader.connection.integer("SELECT count(*) FROM t") == 1)
        }
        #expect(reader.pinned?.index == 1)
        #expect(reader.pinned?.header.revision == 1)
        #expect(rig.store.statistics().oldestPinnedIndex == 1)
        try reader.connection.execute("COMMIT")

        #expect(reader.pinned == nil)
        #expect(try reader.connection.integer("SELECT count(*) FROM t") == 79)
    }

    @Test("versions that no reader needs are let go")
    func versionsAreCollected() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)", "INSERT INTO t VALUES(1, 0)")
        for value in 1...500 { try rig.commit("UPDATE t SET b = \(value)") }

        let statistics = rig.store.statistics()
        #expect(statistics.overlayBytes <= 8 * 4300)
        #expect(statistics.retiredBytes <= 8 * 4300)
        #expect(statistics.committedIndex == 501)
    }

    @Test(
        "an entry without changes carries the header, and an index without an entry moves all cursors"
    )
    func emptyBatches() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)")
        let before = rig.store.tipState

        let payload = try rig.store.encode(header: StateHeader(revision: 9, compactedRevision: 4))
        rig.store.seal(index: 2, term: 1)
        rig.store.publish(through: 7, term: 3)

        #expect(payload.count == 48)
        #expect(StateHeader(entryPayload: payload)?.compactedRevision == 4)
        #expect(rig.store.committedState.index == 7)
        #expect(rig.store.tipState.term == 3)
        #expect(rig.store.tipState.header.revision == 9)
        #expect(rig.store.tipState.databaseHash == before.databaseHash)
    }

    @Test("a follower that applies entries has the same bytes as the node that executed them")
    func applyEqualsExecute() throws {
        // Given two nodes, one of which executes
        let rig = try PageRig()
        let follower = try PageRig()
        var numbers = SeededNumbers(state: 7)
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)", "CREATE INDEX i ON t(b)")
        try follower.store.apply(index: 1, term: 1, payload: #require(rig.log[0]))
        for _ in 0..<60 {
            let row = numbers.next(below: 200)
            switch numbers.next(below: 4) {
            case 0: try rig.commit("DELETE FROM t WHERE a >= \(row)")
            case 1: try rig.commit("PRAGMA incremental_vacuum(3)")
            default:
                let bytes = numbers.next(below: 6000)
                try rig.commit(
                    "INSERT OR REPLACE INTO t VALUES(\(row), zeroblob(\(bytes)))",
                    "INSERT OR REPLACE INTO t VALUES(\(row + 1), 'value \(bytes)')")
            }
            let payload = try #require(rig.log.last ?? nil)
            // When the other applies each entry
            try follower.store.apply(index: rig.lastIndex, term: 1, payload: payload)
            follower.store.publish(through: rig.lastIndex, term: 1)
            // Then states, with their hashes, and bytes are equal
            #expect(follower.store.tipState == rig.store.tipState)
        }
        #expect(try follower.store.image() == rig.store.image())
        #expect(try follower.store.integrity() == "ok")
    }

    @Test(
        "after the tip is cut back, state and bytes are those of before, and other batches may follow"
    )
    func discardCutsTip() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
        let agreed = rig.store.tipState
        let bytes = try rig.store.image()

        try rig.seal("INSERT INTO t VALUES(zeroblob(50000))")
        try rig.seal("DELETE FROM t")
        #expect(rig.store.tipState != agreed)
        try rig.discard(after: 1)

        #expect(rig.store.tipState == agreed)
        #expect(try rig.store.image() == bytes)
        try rig.commit("INSERT INTO t VALUES(3)")
        let reader = try rig.store.openReader()
        #expect(try reader.connection.integer("SELECT sum(a) FROM t") == 4)
        #expect(try rig.store.integrity() == "ok")
    }

    @Test("what is pending and not encoded goes with a discard")
    func discardDropsPending() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a)")
        try rig.writer.execute("INSERT INTO t VALUES(5)")
        #expect(rig.store.hasPendingChanges)

        try rig.discard(after: rig.lastIndex)

        #expect(!rig.store.hasPendingChanges)
        #expect(try rig.writer.integer("SELECT count(*) FROM t") == 0)
    }

    @Test("an entry that leads to other bytes than its maker had is refused, and changes nothing")
    func divergenceIsFound() throws {
        let rig = try PageRig()
        let other = try PageRig()
        try rig.commit("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
        try other.commit("CREATE TABLE t(a)", "INSERT INTO t VALUES(2)")
        try rig.commit("UPDATE t SET a = 3")
        let payload = try #require(rig.log.last ?? nil)
        let before = other.store.tipState

        // The same ranges, on a page that differs elsewhere.
        try other.commit("INSERT INTO t VALUES(77)")
        let state = other.store.tipState
        #expect(throws: StorageError.self) {
            try other.store.apply(index: 3, term: 1, payload: payload)
        }

        #expect(other.store.tipState == state)
        #expect(other.store.tipState != before)
    }

    @Test("shrinking and growing again gives the bytes that a follower has")
    func shrinkAndRegrow() throws {
        let rig = try PageRig()
        let follower = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for round in 0..<4 {
            for row in 0..<20 { try rig.commit("INSERT INTO t VALUES(\(row), zeroblob(3000))") }
            #expect(try rig.checkpoint() == (round < 9))
            let large = rig.store.committedState.pageCount
            try rig.commit("DELETE FROM t WHERE a > 2")
            try rig.commit("PRAGMA incremental_vacuum")
            #expect(rig.store.committedState.pageCount < large)
            #expect(rig.store.statistics().freePages == 0)
            if round % 2 == 0 { #expect(try rig.checkpoint()) }
            try rig.commit("DELETE FROM t")
        }
        #expect(try rig.checkpoint())

        for (position, payload) in rig.log.enumerated() {
            try follower.store.apply(
                index: UInt64(position + 1), term: 1, payload: #require(payload))
        }
        follower.store.publish(through: rig.lastIndex, term: 1)
        #expect(follower.store.tipState == rig.store.tipState)
        #expect(try follower.store.image() == rig.store.image())
        #expect(rig.disk.contents("data/db") == (try rig.store.image()))
        let statistics = rig.store.statistics()
        #expect(statistics.overlayBytes == 0)
        #expect(statistics.retiredBytes == 0)
    }

    @Test("a cache smaller than what a transaction reads makes reading slower, not wrong")
    func smallCache() throws {
        let rig = try PageRig(options: PageStoreOptions(cacheBytes: 16 * 4096))
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for row in 0..<300 { try rig.commit("INSERT INTO t VALUES(\(row), zeroblob(3000))") }
        #expect(try rig.checkpoint())

        let reader = try rig.store.openReader()
        #expect(try reader.connection.integer("SELECT sum(length(b)) FROM t") == 900_000)
        #expect(try reader.connection.integer("SELECT sum(length(b)) FROM t") == 900_000)

        let statistics = rig.store.statistics()
        #expect(statistics.cacheBytes <= 16 * 4300)
        #expect(statistics.allocatedBytes <= 4 << 20)
    }
}
