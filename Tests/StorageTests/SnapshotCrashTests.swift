// SnapshotCrashTests.swift: the power goes at every single operation of receiving and installing a
// snapshot.
// Belongs here: crash points and what survives them. Never here: bad bytes (SnapshotStagingTests).

import Storage
import TestSupport
import Testing

@Suite struct SnapshotCrashTests {
    /// A leader ahead of a member whose database shrinks and changes on the way there.
    private struct Scene {
        let leader: PageRig
        let member: SnapshotMember

        init(isNew: Bool, hasTornCheckpoint: Bool = false) throws {
            leader = try PageRig()
            try leader.fill(rows: 0..<30)
            member = try SnapshotMember()
            if !isNew {
                try member.follow(leader, through: 25)
                _ = try member.checkpoint()
            }
            try leader.commit("UPDATE t SET b = 'x' WHERE a % 5 = 1")
            if hasTornCheckpoint {
                try member.follow(leader, through: leader.lastIndex)
                _ = try member.checkpoint(steps: 1, pagesPerStep: 5)
            }
            try leader.commit("DELETE FROM t WHERE a > 20")
            try leader.commit("PRAGMA incremental_vacuum")
            try leader.commit("UPDATE t SET b = zeroblob(2000) WHERE a = 3")
        }
    }

    private static let survivals: [Survival] = [
        .nothing, .everything, .evens, .odds, .random(seed: 5), .random(seed: 6),
    ]

    @Test(
        "receiving: after a crash at any operation the member is what it was, and can go on",
        arguments: survivals, [true, false])
    func receiving(survival: Survival, isNew: Bool) throws {
        var crashPoint = 0
        var isFinished = false
        var resumed = 0
        while !isFinished {
            // Given a member that crashes after so many operations of receiving
            let scene = try Scene(isNew: isNew)
            let disk = scene.member.disk
            let before = scene.member.pages.committedState
            disk.crash(afterOperation: disk.operations.count + crashPoint)
            do {
                let staging = try scene.member.staging()
                _ = try staging.receive(scene.leader.store, bytesMax: 14_000) {
                    () throws(StorageError) in try staging.save()
                }
                let state = try staging.finish()
                #expect(state == scene.leader.store.committedState)
                isFinished = true
            } catch {
                #expect(disk.isCrashed)
            }
            // When what survived is opened
            let again = try SnapshotMember(disk: disk.afterCrash(survival))
            // Then nothing happened, or all of it, and it can be brought to its end
            if isFinished { #expect(again.installation != .nothing) }
            if again.installation == .nothing {
                #expect(again.pages.committedState == before)
                let staging = try again.staging()
                if staging.have.newestIndex > before.index { resumed += 1 }
                try scene.leader.commit("INSERT INTO t VALUES(77, 'later')")
                #expect(try staging.receive(scene.leader.store))
                _ = try staging.finish()
                let last = try SnapshotMember(disk: again.disk)
                #expect(try last.pages.image() == scene.leader.store.image())
            } else {
                #expect(again.pages.committedState == scene.leader.store.committedState)
                #expect(try again.pages.image() == scene.leader.store.image())
            }
            crashPoint += 1
        }
        #expect(crashPoint > 15)
        #expect(resumed > 5)
    }

    @Test(
        "installing: after a crash at any operation starting again does the rest",
        arguments: survivals, ["new", "lagging", "torn", "damaged"])
    func installing(survival: Survival, kind: String) throws {
        // Given a snapshot that is complete
        let scene = try Scene(isNew: kind == "new", hasTornCheckpoint: kind == "torn")
        let base = kind == "damaged" ? StoreState.empty : scene.member.pages.checkpointState
        let staging = try SnapshotStaging.open(
            disk: scene.member.disk, directory: "data", base: base)
        #expect(try staging.receive(scene.leader.store))
        let state = try staging.finish()
        var crashPoint = 0
        var isFinished = false
        while !isFinished {
            // When the process that installs it dies after so many operations
            let disk = try scene.member.disk.memberCopy()
            if kind == "damaged" {
                disk.plant("data/db.meta", [UInt8](repeating: 7, count: 8192))
                disk.flipBit("data/db.pages", offset: 33)
                disk.flipBit("data/db", offset: 5000)
            }
            disk.crash(afterOperation: disk.operations.count + crashPoint)
            do {
                _ = try SnapshotMember(disk: disk)
                isFinished = !disk.isCrashed
            } catch {
                #expect(disk.isCrashed)
            }
            // Then the next one, which dies too, and the one after it, end well
            let second = disk.afterCrash(survival)
            second.crash(afterOperation: crashPoint / 2)
            do { _ = try SnapshotMember(disk: second) } catch { #expect(second.isCrashed) }
            let member = try SnapshotMember(disk: second.afterCrash(survival))
            #expect(member.pages.checkpointState == state)
            #expect(member.log.contents.hardState.commit >= state.index)
            #expect(member.log.contents.hardState.vote == (kind == "new" ? 0 : 7))
            #expect(try member.pages.image() == scene.leader.store.image())
            #expect(member.log.lastIndex == state.index)
            #expect(try member.pages.integrity() == "ok")
            crashPoint += 1
        }
        #expect(crashPoint > 15)
    }

    @Test("installing: a disk that fails at any operation ends the start, and the next one does it")
    func failures() throws {
        let scene = try Scene(isNew: false)
        let staging = try scene.member.staging()
        #expect(try staging.receive(scene.leader.store))
        let state = try staging.finish()
        var operation = 1
        var isFinished = false
        while !isFinished {
            let disk = try scene.member.disk.memberCopy()
            let prepared = disk.operations.count
            disk.inject(.ioError, atOperation: prepared + operation)
            do {
                _ = try SnapshotMember(disk: disk)
                isFinished = disk.operations.count < prepared + operation
            } catch {
                guard case .disk = error else { throw error }
            }
            let member = try SnapshotMember(disk: disk.afterCrash(.random(seed: UInt64(operation))))
            #expect(member.pages.checkpointState == state)
            #expect(try member.pages.image() == scene.leader.store.image())
            operation += 1
        }
        #expect(operation > 15)
    }
}
