// WALCrashTests.swift: the power goes after every single operation, and every tear follows.
// Belongs here: crashes. Elsewhere: bad bytes (WALCorruptionTests), failures (WALFaultTests).

import Storage
import TestSupport
import Testing

@Suite("log: crashes")
struct WALCrashTests {
    static let survivals: [Survival] =
        [.nothing, .everything, .evens, .odds] + (1...4).map { .random(seed: $0) }

    /// Runs the script until the power goes.
    static func run(crashAfter count: Int) -> WALRun {
        let run = WALRun(disk: FaultyDisk())
        run.disk.crash(afterOperation: count)
        do throws(StorageError) {
            try run.run(WALScripts.everything)
        } catch {
            #expect(run.disk.isCrashed, "failed without a crash: \(error)")
        }
        return run
    }

    static func operationCount() throws -> Int {
        let run = WALRun(disk: FaultyDisk())
        try run.run(WALScripts.everything)
        return run.disk.operations.count
    }

    @Test("crash: at every operation, the log is the state after some call, none acknowledged lost")
    func everyOperation() throws {
        for count in 0...(try Self.operationCount()) {
            let run = Self.run(crashAfter: count)
            for survival in Self.survivals {
                let disk = run.disk.afterCrash(survival)
                let found = try WALFound(disk)
                let match = found.matches(
                    run.states, from: run.acknowledged, released: run.released)
                #expect(
                    match != nil,
                    "operation \(count), \(survival): through \(found.recovered.lastIndex)")
                // Found once, it stays: opening made it durable.
                let again = try WALFound(disk.afterCrash(.nothing))
                #expect(again == found, "operation \(count), \(survival), opened again")
            }
        }
    }

    @Test("crash: during recovery, at every operation, the next recovery finds the same")
    func duringRecovery() throws {
        for count in 0...(try Self.operationCount()) {
            let run = Self.run(crashAfter: count)
            let survival = Survival.random(seed: UInt64(count) + 100)
            let expected = try WALFound(run.disk.afterCrash(survival))
            for inner in 0..<12 {
                let disk = run.disk.afterCrash(survival)
                disk.crash(afterOperation: inner)
                do throws(StorageError) {
                    _ = try WALFound(disk)
                    break
                } catch {
                    #expect(disk.isCrashed, "failed without a crash: \(error)")
                }
                let found = try WALFound(disk.afterCrash(.random(seed: UInt64(inner))))
                #expect(found == expected, "operation \(count), then \(inner)")
            }
        }
    }

    @Test("crash: work goes on after recovery, and a second crash loses none of it")
    func workGoesOn() throws {
        for count in 0...(try Self.operationCount()) {
            let run = Self.run(crashAfter: count)
            let disk = run.disk.afterCrash(.random(seed: UInt64(count)))
            let (store, recovered) = try LogStore.open(
                disk: disk, directory: WALRun.directory, options: WALRun.options)
            let before = try WALFound.readAll(store, recovered)
            let more = (1...9).map {
                WALRun.entry(recovered.lastIndex + $0, term: 9, bytes: 1000)
            }
            for entry in more {
                _ = try store.append([entry])
                _ = try store.flush()
            }
            try store.housekeep()
            let found = try WALFound(disk.afterCrash(.nothing))
            #expect(found.entries == before + more, "operation \(count)")
            #expect(found.recovered.hardState == recovered.hardState)
            #expect(found.recovered.checkpointIntent == recovered.checkpointIntent)
        }
    }

    @Test(
        "crash: a frame that was cut off does not come back after shorter ones were written over it"
    )
    func cutStaysCut() throws {
        // Given a frame of three entries of which all sectors but the first survive.
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 1, bytes: 10, term: 1), .flush])
        let operations = run.disk.operations.count
        run.disk.crash(afterOperation: operations + 1)
        do throws(StorageError) {
            try run.run([.append(count: 3, bytes: 600, term: 1), .flush])
            Issue.record("the crash did not come")
        } catch {}
        // When the log goes on with a small entry, and that crashes, too.
        let disk = run.disk.afterCrash(.odds)
        let second = WALRun(disk: disk)
        try second.open()
        #expect(second.recovered?.lastIndex == 1)
        let store = try #require(second.store)
        _ = try store.append([WALRun.entry(2, term: 1, bytes: 10)])
        _ = try store.flush()
        // Then nothing of the frame is found again.
        #expect(try WALFound(disk.afterCrash(.everything)).recovered.lastIndex == 2)
    }
}
