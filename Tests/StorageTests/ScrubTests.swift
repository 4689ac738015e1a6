// ScrubTests.swift: pages of the file that went bad are found, named, and mended with a good copy.
// Belongs here: scrub, image, repair. Elsewhere: many bad pages (SnapshotTests, "corrupt").

import Storage
import TestSupport
import Testing

@Suite struct ScrubTests {
    /// A store with a checkpoint; whatever is in the cache is small.
    private func rig() throws -> PageRig {
        let rig = try PageRig()
        try rig.fill(rows: 0..<200)
        #expect(try rig.checkpoint())
        return rig
    }

    private func flip(_ rig: PageRig, page: Int, offset: Int = 123) {
        rig.disk.flipBit("data/db", offset: (page - 1) * 4096 + offset)
    }

    @Test("scrub: every page is looked at once, and each bad one is named")
    func findsBadPages() throws {
        let rig = try rig()
        let count = Int(rig.store.checkpointState.pageCount)
        #expect(count > 70)
        for page in [1, 7, 64, 65, count] { flip(rig, page: page) }
        var bad: [UInt32] = []
        var read = 0
        var next: UInt32? = 1
        while let page = next {
            let result = try rig.store.scrub(from: page, count: 30)
            bad += result.badPages
            read += result.pagesRead
            #expect(result.postponedPages == 0)
            next = result.nextPage
        }
        #expect(bad == [1, 7, 64, 65, UInt32(count)])
        #expect(read == count)
        let all = try rig.store.scrub(from: 1, count: 1 << 30)
        #expect(all.badPages == bad)
        #expect(all.nextPage == nil)
        #expect(try rig.store.scrub(from: UInt32(count) + 1, count: 1).pagesRead == 0)
    }

    /// Of scenario corruption, seed 4007488: the leader's writes failed as long as nobody scrubbed that page, for
    /// SQLite takes a free page without reading it, and only the comparison with its old bytes met the damage.
    @Test("a bad page that is written over unread fails the batch, and is told of")
    func writtenOverUnread() throws {
        let rig = try PageRig()
        try rig.fill(rows: 0..<60)
        try rig.commit("DELETE FROM t WHERE a >= 20")
        #expect(try rig.checkpoint())
        var unread = 0
        for page in 2...rig.store.committedState.pageCount {
            let disk = rig.disk.afterCrashCopy()
            disk.flipBit("data/db", offset: Int(page - 1) * 4096 + 123)
            let store = try PageRig.recover(disk, log: rig.log, intent: rig.intent)
            let wanted = StorageError.corruptPage(
                page: page, reason: "the file's bytes do not match their checksum")
            let writer = try store.openWriter()
            do throws(StorageError) {
                try writer.execute("BEGIN")
                for row in 100..<140 {
                    try writer.execute("INSERT INTO t VALUES(\(row), randomblob(1400))")
                }
                try writer.execute("COMMIT")
            } catch {
                #expect(store.takeFailures() == [wanted])
                continue
            }
            do throws(StorageError) {
                _ = try store.encode(header: StateHeader(revision: 9))
                #expect(store.takeFailures().isEmpty)
            } catch {
                unread += 1
                #expect(error == wanted)
                #expect(store.takeFailures() == [wanted])
                #expect(store.takeFailures().isEmpty)
            }
        }
        #expect(unread > 10)
    }

    @Test("scrub: a file that was cut short, and a page that cannot be read, are bad")
    func unreadable() throws {
        let rig = try rig()
        let count = rig.store.checkpointState.pageCount
        rig.disk.inject(.ioError, onNext: .read)
        #expect(try rig.store.scrub(from: 5, count: 1).badPages == [])
        // Once for the run, once for its page
        let file = try rig.disk.open("data/db", create: false)
        try file.truncate(to: UInt64(count - 1) * 4096 - 1)
        let found = try rig.store.scrub(from: count - 3, count: 4)
        #expect(found.badPages == [count - 1, count])
    }

    @Test("scrub: what a checkpoint is writing is not taken for damage, what it leaves alone is")
    func duringCheckpoint() throws {
        let rig = try rig()
        try rig.commit("UPDATE t SET b = randomblob(1400) WHERE a < 100")
        let checkpoint = try #require(try rig.store.beginCheckpoint())
        checkpoint.intentIsDurable()
        // The root of the table, which the update leaves alone
        flip(rig, page: 3)
        var isDone = false
        while !isDone {
            isDone = try checkpoint.step(pages: 3)
            let result = try rig.store.scrub(from: 1, count: 1000)
            #expect(result.badPages == (isDone ? [3] : []))
            #expect(isDone || result.postponedPages > 0)
        }
    }

    @Test("scrub: a checkpoint that found the disk full leaves pages that it need not answer for")
    func afterFullDisk() throws {
        let rig = try rig()
        try rig.commit("UPDATE t SET b = randomblob(1400)")
        rig.disk.inject(.full(written: 5000), onNext: .write)
        #expect(throws: StorageError.self) { try rig.checkpoint() }
        let result = try rig.store.scrub(from: 1, count: 1000)
        #expect(result.badPages == [])
        #expect(result.postponedPages > 0)
        #expect(try rig.checkpoint())
        #expect(try rig.store.scrub(from: 1, count: 1000).postponedPages == 0)
    }

    @Test("repair: a peer's copy mends the page, and a reader finds it good")
    func repairFromPeer() throws {
        let rig = try rig()
        let peer = try SnapshotMember()
        try peer.follow(rig, through: rig.lastIndex)
        let good = rig.disk.contents("data/db")
        let cold = try PageRig.recover(rig.disk, log: rig.log, intent: rig.intent)
        flip(rig, page: 40)
        #expect(throws: StorageError.self) { try cold.image() }
        #expect(throws: StorageError.self) { try cold.image(of: 40) }

        let hash = try #require(cold.expectedHash(of: 40))
        let copy = try #require(try peer.pages.image(of: 40, hash: hash))
        #expect(copy.hash == hash)
        try cold.repair(40, with: copy.bytes)

        #expect(rig.disk.contents("data/db") == good)
        #expect(try cold.scrub(from: 1, count: 1000).badPages == [])
        #expect(try cold.integrity() == "ok")
        let after = rig.disk.afterCrash(.nothing)
        #expect(after.contents("data/db") == good)
    }

    @Test("repair: a peer that is ahead serves the older version as long as its file has it")
    func olderVersion() throws {
        let rig = try rig()
        let peer = try SnapshotMember()
        try peer.follow(rig, through: rig.lastIndex)
        #expect(try peer.checkpoint())
        let old = try #require(rig.store.expectedHash(of: 1))
        let before = try #require(try peer.pages.image(of: 1))
        #expect(before.hash == old)
        try rig.commit("CREATE TABLE another(a)")
        try peer.follow(rig, through: rig.lastIndex)

        #expect(try peer.pages.image(of: 1)?.hash != old)
        #expect(try peer.pages.image(of: 1, hash: old) == before)
        #expect(try peer.checkpoint())
        #expect(try peer.pages.image(of: 1, hash: old) == nil)
    }

    @Test("repair: a page that is still in the cache mends the file without a peer")
    func repairFromMemory() throws {
        let rig = try rig()
        let page: UInt32 = 30
        flip(rig, page: 30)
        #expect(try rig.store.scrub(from: 1, count: 1000).badPages == [page])
        let own = try #require(
            try rig.store.image(of: page, hash: rig.store.expectedHash(of: page)))
        try rig.store.repair(page, with: own.bytes)
        #expect(try rig.store.scrub(from: 1, count: 1000).badPages == [])
        #expect(try rig.store.image() == rig.disk.contents("data/db"))
    }

    @Test("repair: other bytes are refused, and so is a page beyond the end")
    func refusesOtherBytes() throws {
        let rig = try rig()
        let before = rig.disk.contents("data/db")
        let count = rig.store.checkpointState.pageCount
        var copy = try #require(try rig.store.image(of: 9)).bytes
        #expect(throws: StorageError.self) { try rig.store.repair(10, with: copy) }
        #expect(throws: StorageError.self) { try rig.store.repair(9, with: copy + [0]) }
        #expect(throws: StorageError.self) { try rig.store.repair(9, with: []) }
        #expect(throws: StorageError.self) { try rig.store.repair(0, with: copy) }
        #expect(throws: StorageError.self) { try rig.store.repair(count + 1, with: copy) }
        copy[4095] ^= 1
        #expect(throws: StorageError.self) { try rig.store.repair(9, with: copy) }
        #expect(rig.disk.contents("data/db") == before)
        #expect(try rig.store.image(of: 0) == nil)
        #expect(try rig.store.image(of: count + 1) == nil)
        #expect(rig.store.expectedHash(of: 0) == nil)
        #expect(rig.store.expectedHash(of: count + 1) == nil)
    }

    @Test("repair: not while a checkpoint is being written, and none begins after a failed sync")
    func besideCheckpoints() throws {
        let rig = try rig()
        let copy = try #require(try rig.store.image(of: 20)).bytes
        try rig.commit("INSERT INTO t VALUES(1000, 'x')")
        do {
            let checkpoint = try #require(try rig.store.beginCheckpoint())
            #expect(throws: StorageError.busy(what: "a checkpoint is running")) {
                try rig.store.repair(20, with: copy)
            }
            withExtendedLifetime(checkpoint) {}
        }
        rig.disk.inject(.full(written: 0), onNext: .write)
        #expect(throws: StorageError.self) { try rig.store.repair(20, with: copy) }
        try rig.store.repair(20, with: copy)
        #expect(try rig.checkpoint())

        try rig.commit("INSERT INTO t VALUES(1001, 'y')")
        rig.disk.inject(.ioError, onNext: .sync)
        #expect(throws: StorageError.self) { try rig.store.repair(20, with: copy) }
        #expect(throws: StorageError.self) { try rig.checkpoint() }
        #expect(throws: StorageError.self) { try rig.store.repair(20, with: copy) }
        let wanted = try rig.store.image()
        let again = try PageRig.recover(
            rig.disk.afterCrash(.evens), log: rig.log, intent: rig.intent)
        #expect(try again.image() == wanted)
    }

    @Test("repair: a crash in the middle leaves a page that is found again")
    func crash() throws {
        for survival in [Survival.nothing, .everything, .evens, .odds] {
            let rig = try rig()
            let copy = try #require(try rig.store.image(of: 20)).bytes
            for offset in stride(from: 0, to: 4096, by: 512) {
                flip(rig, page: 20, offset: offset)
            }
            rig.disk.crash(afterOperation: rig.disk.operations.count + 1)
            #expect(throws: StorageError.self) { try rig.store.repair(20, with: copy) }
            let disk = rig.disk.afterCrash(survival)
            let store = try PageRig.recover(disk, log: rig.log, intent: rig.intent)
            let bad = try store.scrub(from: 1, count: 1000).badPages
            #expect(bad == (survival == .everything ? [] : [20]))
            try store.repair(20, with: copy)
            #expect(try store.scrub(from: 1, count: 1000).badPages == [])
        }
    }

    @Test("scrub: before redo has mended a torn checkpoint its pages are not judged")
    func duringRecovery() throws {
        let rig = try rig()
        try rig.commit("UPDATE t SET b = randomblob(1400)")
        rig.disk.crash(afterOperation: rig.disk.operations.count + 1)
        #expect(throws: StorageError.self) { try rig.checkpoint(pagesPerStep: 5) }
        let store = try PageStore.open(
            disk: rig.disk.afterCrash(.evens), directory: "data", intent: rig.intent)
        #expect(store.isRecovering)
        let result = try store.scrub(from: 1, count: 1000)
        #expect(result.badPages == [])
        #expect(result.postponedPages > 0)
        #expect(store.expectedHash(of: 10) == nil)
        let page = [UInt8](repeating: 0, count: 4096)
        #expect(throws: StorageError.self) { try store.repair(10, with: page) }
        #expect(throws: StorageError.busy(what: "recovery is not complete")) {
            try store.image(of: 10)
        }
    }

    @Test("scrub: after redo, pages that a torn checkpoint had written are not taken for damage")
    func afterRecovery() throws {
        var torn = 0
        // At each of the operations of the checkpoint
        for operation in 1... {
            let trial = try rig()
            try trial.commit("UPDATE t SET b = randomblob(1400) WHERE a < 100")
            trial.disk.crash(afterOperation: trial.disk.operations.count + operation)
            var isWhole = true
            do throws(StorageError) {
                _ = try trial.checkpoint(pagesPerStep: 5)
            } catch {
                isWhole = false
            }
            guard !isWhole else { break }
            for survival in [Survival.everything, .evens, .odds] {
                let disk = trial.disk.afterCrash(survival)
                let store = try PageRig.recover(disk, log: trial.log, intent: trial.intent)
                let result = try store.scrub(from: 1, count: 1000)
                #expect(result.badPages == [])
                torn += result.postponedPages
            }
        }
        #expect(torn > 0)
    }
}
