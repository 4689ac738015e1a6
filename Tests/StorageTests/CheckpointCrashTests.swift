// CheckpointCrashTests.swift: the power goes at every single operation of a checkpoint, and redo
// mends it.
// Belongs here: crash points and what survives them. Never here: faults that are no crashes.
// The log is kept beside the disk: that it survives is the business of WAL/'s tests.

import Storage
import Testing
import TestSupport

@Suite struct CheckpointCrashTests {
    /// A store whose second checkpoint shrinks, grows and rewrites; nothing of it written yet.
    private func prepared() throws -> PageRig {
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for row in 0..<30 { try rig.commit("INSERT INTO t VALUES(\(row), zeroblob(1500))") }
        guard try rig.checkpoint() else { return rig }
        try rig.commit("DELETE FROM t WHERE a >= 12")
        try rig.commit("PRAGMA incremental_vacuum")
        for row in 0..<12 {
            try rig.commit("UPDATE t SET b = zeroblob(1500 - \(row * 7)) WHERE a = \(row)")
        }
        try rig.commit("INSERT INTO t VALUES(100, 'last')")
        return rig
    }

    @Test(
        "checkpoint: after a crash at any operation redo leads to the committed state",
        arguments: [
            Survival.nothing, .everything, .evens, .odds, .random(seed: 3), .random(seed: 4),
        ])
    func everyOperation(survival: Survival) throws {
        var crashPoint = 0
        var isFinished = false
        while !isFinished {
            // Given a store that crashes after so many operations of its checkpoint
            let rig = try prepared()
            rig.disk.crash(afterOperation: rig.disk.operations.count + crashPoint)
            do {
                _ = try rig.checkpoint(pagesPerStep: 3)
                isFinished = !rig.disk.isCrashed
            } catch {
                #expect(rig.disk.isCrashed)
            }
            let wanted = rig.store.committedState
            // When what survived is opened, and the log redone
            let disk = rig.disk.afterCrash(survival)
            let store = try PageRig.recover(disk, log: rig.log, intent: rig.intent)
            // Then it is all there, and can be folded in
            #expect(store.committedState == wanted)
            try expectHealthy(store, disk)
            crashPoint += 1
        }
        #expect(crashPoint > 6)
    }

    private func expectHealthy(_ store: PageStore, _ disk: FaultyDisk) throws {
        let reader = try store.openReader()
        #expect(try reader.connection.integer("SELECT count(*) FROM t") == 13)
        let sum = try reader.connection.integer("SELECT sum(length(b)) FROM t")
        #expect(sum == Int64(12 * 1500 - 7 * 66 + 4))
        #expect(try store.integrity() == "ok")
        if let checkpoint = try store.beginCheckpoint() {
            checkpoint.intentIsDurable()
            while try !checkpoint.step(pages: 100) {}
        }
        #expect(disk.contents("data/db") == (try store.image()))
    }

    /// Changes a recovered store, and begins the checkpoint that would fold the change in.
    private func nextCheckpoint(
        _ store: PageStore, after rig: PageRig
    ) throws -> (payload: [UInt8], checkpoint: Checkpoint) {
        let writer = try store.openWriter()
        try writer.execute("UPDATE t SET b = 'changed' WHERE a = 100")
        let payload = try store.encode(header: StateHeader(revision: 1000))
        store.seal(index: rig.lastIndex + 1, term: 2)
        store.publish(through: rig.lastIndex + 1, term: 2)
        let checkpoint = try #require(try store.beginCheckpoint())
        checkpoint.intentIsDurable()
        return (payload, checkpoint)
    }

    @Test("checkpoint: a crash during the checkpoint after a crash is mended too", arguments: 0..<8)
    func twice(seed: UInt64) throws {
        let rig = try prepared()
        rig.disk.crash(afterOperation: rig.disk.operations.count + 2 + Int(seed % 3))
        #expect(throws: StorageError.self) { try rig.checkpoint(pagesPerStep: 2) }
        let second = rig.disk.afterCrash(.random(seed: seed))
        let store = try PageRig.recover(second, log: rig.log, intent: rig.intent)
        let (payload, checkpoint) = try nextCheckpoint(store, after: rig)
        second.crash(afterOperation: second.operations.count + Int(seed))
        #expect(throws: StorageError.self) { while try !checkpoint.step(pages: 1) {} }

        let third = second.afterCrash(.random(seed: seed + 100))
        let again = try PageRig.recover(
            third, log: rig.log + [payload], intent: checkpoint.intent)

        #expect(again.committedState.databaseHash == store.committedState.databaseHash)
        #expect(try again.image() == store.image())
        #expect(try again.integrity() == "ok")
    }

    /// Simulator, scenario single, seeds 5006476 and 5007630: the slot of `db.meta` was read back from memory, the
    /// next checkpoint was announced as beginning there, and the power took both.
    @Test("checkpoint: what a failed operation left in memory is not built on")
    func onlyInMemory() throws {
        var point = 0
        while true {
            let rig = try prepared()
            rig.disk.inject(.ioError, atOperation: rig.disk.operations.count + 1 + point)
            do {
                _ = try rig.checkpoint(pagesPerStep: 3)
                break
            } catch {
                guard case .disk = error else { throw error }
            }
            // The process begins anew, the machine goes on: its memory has what was written.
            let store = try PageRig.recover(rig.disk, log: rig.log, intent: rig.intent)
            let (payload, checkpoint) = try nextCheckpoint(store, after: rig)
            rig.disk.crash(afterOperation: rig.disk.operations.count + 1)
            #expect(throws: StorageError.self) { while try !checkpoint.step(pages: 1) {} }

            let disk = rig.disk.afterCrash(.nothing)
            let again = try PageRig.recover(
                disk, log: rig.log + [payload], intent: checkpoint.intent)
            #expect(again.committedState.databaseHash == store.committedState.databaseHash)
            #expect(try again.integrity() == "ok")
            point += 1
        }
        #expect(point > 6)
    }

    @Test("recovery: nothing is served before redo has passed the checkpoint that was interrupted")
    func nothingIsServedEarly() throws {
        let rig = try prepared()
        rig.disk.crash(afterOperation: rig.disk.operations.count + 2)
        #expect(throws: StorageError.self) { try rig.checkpoint(pagesPerStep: 1) }
        let disk = rig.disk.afterCrash(.odds)

        let store = try PageStore.open(disk: disk, directory: "data", intent: rig.intent)
        #expect(store.isRecovering)
        let first = store.checkpointState.index
        for index in (first + 1)...rig.lastIndex {
            #expect(throws: StorageError.busy(what: "recovery is not complete")) {
                try store.openReader()
            }
            #expect(throws: StorageError.busy(what: "recovery is not complete")) {
                try store.openSnapshot()
            }
            #expect(throws: StorageError.self) { try store.finishRecovery() }
            let payload = try #require(rig.log[Int(index - 1)])
            try store.apply(index: index, term: 1, payload: payload)
            store.publish(through: index, term: 1)
        }
        try store.finishRecovery()

        #expect(!store.isRecovering)
        #expect(try store.image() == rig.store.image())
    }

    @Test("recovery: a sector of garbage in a torn checkpoint is found and the page is named")
    func garbageSector() throws {
        let rig = try prepared()
        rig.disk.crash(afterOperation: rig.disk.operations.count + 2)
        #expect(throws: StorageError.self) { try rig.checkpoint(pagesPerStep: 1) }
        let disk = rig.disk.afterCrash(.odds)
        // A byte in the middle of page 1's header that no entry touches again.
        disk.flipBit("data/db", offset: 5)

        #expect(throws: StorageError.self) {
            try PageRig.recover(disk, log: rig.log, intent: rig.intent)
        }
    }

    @Test("recovery: redoing entries that the file already holds changes nothing")
    func redoIsIdempotent() throws {
        // Given a checkpoint that wrote everything but the meta slot
        let rig = try PageRig()
        try rig.commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for row in 0..<30 { try rig.commit("INSERT INTO t VALUES(\(row), zeroblob(1500))") }
        #expect(try rig.checkpoint())
        let before = rig.disk.contents("data/db.meta")
        try rig.commit("UPDATE t SET b = zeroblob(1490) WHERE a % 2 = 0")
        try rig.commit("INSERT INTO t VALUES(200, zeroblob(20000))")
        #expect(try rig.checkpoint())
        let disk = rig.disk.afterCrashCopy()
        disk.plant("data/db.meta", before)

        // When the entries that the file already holds are redone
        let store = try PageRig.recover(disk, log: rig.log, intent: rig.intent)

        // Then nothing changes
        #expect(try store.image() == rig.store.image())
        #expect(store.committedState == rig.store.committedState)
        #expect(try store.image() == rig.disk.contents("data/db"))
    }
}
