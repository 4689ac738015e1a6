// VFSTrapTests.swift: the thirteen traps of SQLite that the page store must keep shut.
// Belongs here: one test a trap, numbered as in Docs.docc/Pages.md. Never here: the page store's
// own promises.

import CSQLite
import Storage
import Testing
import TestSupport

@Suite struct VFSTrapTests {
    private func rigWithRows(_ rows: Int) throws -> PageRig {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        try rig.commit(
            """
            WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < \(rows - 1)) \
            INSERT INTO t SELECT i, zeroblob(500) FROM n
            """)
        return rig
    }

    @Test("trap 1: without a journal ROLLBACK undoes a whole batch, also after a failed statement")
    func rollbackOfBatch() throws {
        let rig = try rigWithRows(50)
        let before = rig.store.tipState
        try rig.writer.execute("BEGIN")
        try rig.writer.execute("UPDATE t SET b = 'x'")
        #expect(throws: StorageError.self) {
            try rig.writer.execute("INSERT INTO t VALUES(1000, 1), (1001, 2), (1, 3)")
        }
        try rig.writer.execute("ROLLBACK")

        // Nothing had reached the page store, so the same connection goes on.
        #expect(!rig.store.hasPendingChanges)
        #expect(rig.store.tipState == before)
        #expect(try rig.writer.integer("SELECT count(*) FROM t WHERE b = 'x' OR a >= 1000") == 0)
        try rig.commit("INSERT INTO t VALUES(1000, 'good')")
        #expect(try rig.store.integrity() == "ok")
    }

    @Test("trap 2: no page is written before COMMIT, however large the transaction")
    func noSpill() throws {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        try rig.writer.execute("BEGIN")
        // More than the writer's cache of 16 MiB.
        for row in 0..<20 {
            try rig.writer.execute("INSERT INTO t VALUES(\(row), zeroblob(1000000))")
        }
        #expect(!rig.store.hasPendingChanges)
        try rig.writer.execute("ROLLBACK")
        #expect(!rig.store.hasPendingChanges)
    }

    @Test("trap 3: a reader's cache follows the pin, though the writer never changes the counter")
    func changeCounter() throws {
        let rig = try rigWithRows(3)
        let reader = try rig.store.openReader()
        let counter = { Int(try rig.store.image()[27]) }
        let first = try counter()
        for value in 1...20 {
            try rig.commit("UPDATE t SET b = \(value) WHERE a = 1")
            #expect(try reader.connection.integer("SELECT b FROM t WHERE a = 1") == Int64(value))
        }
        // The trap is real: SQLite itself left the counter alone.
        #expect(try counter() == first)
    }

    @Test("trap 4: freed space is not zeroed, so deleting a row does not log it again")
    func secureDelete() throws {
        let rig = try rigWithRows(1)
        try rig.commit("UPDATE t SET b = CAST(randomblob(3000) AS TEXT) || 'x'")
        try rig.commit("INSERT INTO t VALUES(7, 'stays')")
        try rig.commit("DELETE FROM t WHERE a = 0")
        #expect(try rig.writer.integer("PRAGMA secure_delete") == 0)
        let entry = try #require(rig.log.last ?? nil)
        #expect(entry.count < 400)
    }

    @Test("trap 5: a reader's file has the size of its state, not of the tip")
    func fileSize() throws {
        let rig = try rigWithRows(10)
        let reader = try rig.store.openReader()
        try reader.connection.execute("BEGIN")
        let pages = try reader.connection.integer("PRAGMA page_count")
        _ = try reader.connection.integer("SELECT count(*) FROM t")
        try rig.commit("INSERT INTO t VALUES(100, zeroblob(100000))")
        #expect(try reader.connection.integer("PRAGMA page_count") == pages)
        #expect(reader.pinned.map { Int64($0.pageCount) } == pages)
        try reader.connection.execute("COMMIT")
        #expect(try reader.connection.integer("PRAGMA page_count") != pages)
    }

    @Test("trap 6: readers fetch pages in place, page 1 and the writer do not")
    func fetch() throws {
        let rig = try rigWithRows(500)
        #expect(try rig.checkpoint())
        let reader = try rig.store.openReader()
        // SQLite's own cache of this reader stays all but empty, although it reads 60 pages.
        #expect(try reader.connection.integer("SELECT sum(length(b)) FROM t") == 250_000)
        var current: Int32 = 0
        var highest: Int32 = 0
        sqlite3_db_status(
            reader.connection.handle, SQLITE_DBSTATUS_CACHE_MISS, &current, &highest, 0)
        #expect(current < 10)
        try rig.reopenWriter()
        #expect(try rig.writer.integer("SELECT sum(length(b)) FROM t") == 250_000)
        sqlite3_db_status(rig.writer.handle, SQLITE_DBSTATUS_CACHE_MISS, &current, &highest, 0)
        #expect(current > 60)
    }

    @Test("trap 7: writing one page does not drag its neighbours in")
    func sectorSize() throws {
        let rig = try rigWithRows(500)
        try rig.commit("UPDATE t SET b = zeroblob(501) WHERE a = 250")
        #expect(rig.store.statistics().dirtyPages > 0)
        #expect(try rig.checkpoint())
        try rig.commit("UPDATE t SET b = zeroblob(502) WHERE a = 250")
        #expect(rig.store.statistics().dirtyPages == 1)
    }

    @Test("trap 8: the writer's cache is 16 MiB, so that commits do not scan a large one")
    func writerCache() throws {
        let rig = try rigWithRows(1)
        #expect(try rig.writer.integer("PRAGMA cache_size") == -16_384)
    }

    @Test(
        "trap 9: pages the database grew over, and freed pages that SQLite does not write, are equal everywhere"
    )
    func unwrittenPages() throws {
        let rig = try rigWithRows(100)
        let follower = try PageRig()
        // Rows come and go within one transaction: pages are taken, freed and never written.
        try rig.commit(
            "INSERT INTO t VALUES(9000, zeroblob(200000))", "DELETE FROM t WHERE a = 9000")
        try rig.commit("INSERT INTO t VALUES(9001, zeroblob(40000))")
        try rig.commit("PRAGMA incremental_vacuum(10)")
        try rig.commit("DELETE FROM t WHERE a > 50", "INSERT INTO t VALUES(9002, 'x')")
        for (position, payload) in rig.log.enumerated() {
            try follower.store.apply(
                index: UInt64(position + 1), term: 1, payload: #require(payload))
        }
        follower.store.publish(through: rig.lastIndex, term: 1)
        #expect(follower.store.tipState == rig.store.tipState)
        #expect(try follower.store.image() == rig.store.image())
        let pages = Int(rig.store.tipState.pageCount)
        #expect(try rig.store.image().count == pages * 4096)
        #expect(try rig.store.integrity() == "ok")
    }

    @Test("trap 10: a schema change that arrives as pages makes a reader prepare again by itself")
    func schemaChange() throws {
        let rig = try rigWithRows(5)
        let follower = try PageRig()
        for index in 0..<2 {
            try follower.store.apply(
                index: UInt64(index + 1), term: 1, payload: #require(rig.log[index]))
        }
        follower.store.publish(through: 2, term: 1)
        let reader = try follower.store.openReader()
        let statement = try reader.connection.prepare("SELECT * FROM t WHERE a = 3")
        #expect(try statement.step())
        statement.reset()

        try rig.commit("ALTER TABLE t ADD COLUMN c DEFAULT 42")
        try follower.store.apply(index: 3, term: 1, payload: #require(rig.log[2]))
        follower.store.publish(through: 3, term: 1)

        #expect(try statement.step())
        #expect(statement.integer(2) == 42)
        statement.reset()
    }

    @Test(
        "trap 11: a writer connection from before a discard, or from before pages were applied, is refused"
    )
    func staleWriter() throws {
        let rig = try rigWithRows(5)
        let stale = rig.writer
        // The same change counter with other content: its cache would be believed.
        try rig.seal("UPDATE t SET b = 'lost'")
        try rig.discard(after: rig.lastIndex - 1)
        #expect(throws: StorageError.self) {
            try stale.execute("INSERT INTO t VALUES(900, zeroblob(90000))")
        }
        #expect(!rig.store.hasPendingChanges)
        #expect(try rig.writer.integer("SELECT count(*) FROM t WHERE b = 'lost'") == 0)

        let other = try PageRig()
        try other.store.apply(index: 1, term: 1, payload: #require(rig.log[0]))
        other.store.publish(through: 1, term: 1)
        #expect(throws: StorageError.self) { try other.writer.execute("CREATE TABLE x(a)") }
        try other.reopenWriter()
        #expect(try other.writer.integer("SELECT count(*) FROM t") == 0)
    }

    @Test("trap 12: sorting more than fits needs no file")
    func temporaryFiles() throws {
        let rig = try rigWithRows(2000)
        let reader = try rig.store.openReader()
        let statement = try reader.connection.prepare(
            "SELECT DISTINCT b || a FROM t ORDER BY b || a DESC")
        var rows = 0
        while try statement.step() { rows += 1 }
        #expect(rows == 2000)
        #expect(try reader.connection.integer("PRAGMA temp_store") == 2)
        #expect(try rig.disk.list("data") == ["db", "db.meta", "db.pages"])
    }

    @Test("trap 13: space comes back by incremental vacuum in small entries")
    func incrementalVacuum() throws {
        let rig = try rigWithRows(400)
        try rig.commit("DELETE FROM t WHERE a >= 20")
        let free = rig.store.statistics().freePages
        #expect(free > 30)
        try rig.commit("PRAGMA incremental_vacuum(5)")
        #expect(rig.store.statistics().freePages == free - 5)
        let entry = try #require(rig.log.last ?? nil)
        #expect(entry.count < 5 * 4096)
        while rig.store.statistics().freePages > 0 {
            try rig.commit("PRAGMA incremental_vacuum(20)")
        }
        #expect(try rig.checkpoint())
        let pages = Int(rig.store.committedState.pageCount)
        #expect(rig.disk.contents("data/db").count == pages * 4096)
        #expect(rig.disk.contents("data/db.pages").count == pages * 16)
        #expect(try rig.store.integrity() == "ok")
    }
}
