// WALFaultTests.swift: operations that fail while the machine stays on: errors, and a full disk.
// Belongs here: latching, refusing, trying again. Elsewhere: crashes (WALCrashTests).

import Storage
import TestSupport
import Testing

@Suite("log: failing disk")
struct WALFaultTests {
    @Test("an error at any operation shuts the log for good, and nothing acknowledged is lost")
    func everyOperationFails() throws {
        for number in 1...(try WALCrashTests.operationCount()) {
            let run = WALRun(disk: FaultyDisk())
            run.disk.inject(.ioError, atOperation: number)
            var failure: StorageError?
            do throws(StorageError) {
                try run.run(WALScripts.everything)
            } catch {
                failure = error
            }
            let error = try #require(failure, "operation \(number)")
            if let store = run.store {
                #expect(throws: error) { try store.flush() }
                #expect(throws: error) { try store.append([], hardState: LogHardState(term: 99)) }
                #expect(throws: error) { try store.append(checkpointIntent: [1]) }
                #expect(throws: error) { try store.housekeep() }
            }
            for survival in [Survival.nothing, .everything, .random(seed: UInt64(number))] {
                let found = try WALFound(run.disk.afterCrash(survival))
                let match = found.matches(
                    run.states, from: run.acknowledged, released: run.released)
                #expect(match != nil, "operation \(number), \(survival)")
            }
        }
    }

    @Test("after a failed sync nothing is synced again")
    func failedSyncIsFinal() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 1, bytes: 10, term: 1), .flush])
        run.disk.inject(.ioError, onNext: .sync)
        #expect(throws: StorageError.self) {
            try run.run([.append(count: 1, bytes: 10, term: 1), .flush])
        }
        let operations = run.disk.operations.count
        #expect(throws: StorageError.self) { try run.run([.flush]) }
        #expect(run.disk.operations.count == operations)
        #expect(run.store?.savedThrough == LogTicket(1))
    }

    @Test("a sync that fails for want of space is as final as any other")
    func fullOnSync() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 1, bytes: 10, term: 1), .flush])
        run.disk.inject(.full(written: 0), onNext: .sync)
        do throws(StorageError) {
            try run.run([.append(count: 1, bytes: 10, term: 1), .flush])
            Issue.record("saved")
        } catch {
            guard case .disk(.failed) = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test("what a failed sync left in memory only is written again when the log is opened")
    func failedSyncThenRestart() throws {
        // Given a failed sync, after which the system holds the frame as clean: readable, not
        // durable.
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 1, bytes: 10, term: 1), .flush])
        run.disk.inject(.ioError, onNext: .sync)
        #expect(throws: StorageError.self) {
            try run.run([.append(count: 2, bytes: 600, term: 1), .flush])
        }
        // When the process restarts, finds the frame, and builds on it.
        let (store, recovered) = try LogStore.open(
            disk: run.disk, directory: WALRun.directory, options: WALRun.options)
        #expect(recovered.lastIndex == 3)
        _ = try store.append([WALRun.entry(4, term: 1, bytes: 10)])
        _ = try store.flush()
        // Then a loss of power takes none of it.
        #expect(try WALFound(run.disk.afterCrash(.nothing)).recovered.lastIndex == 4)
    }

    @Test("a process that fails at any operation and is restarted loses nothing it then saves")
    func restartWithoutCrash() throws {
        for number in 1...(try WALCrashTests.operationCount()) {
            // Given a process that ended at an operation; what it wrote is in memory, not durable.
            let run = WALRun(disk: FaultyDisk())
            run.disk.inject(.ioError, atOperation: number)
            #expect(throws: StorageError.self) { try run.run(WALScripts.everything) }
            // When the next process builds on what it finds there.
            let (store, recovered) = try LogStore.open(
                disk: run.disk, directory: WALRun.directory, options: WALRun.options)
            let before = try WALFound.readAll(store, recovered)
            let more = WALRun.entry(recovered.lastIndex + 1, term: 9, bytes: 1000)
            _ = try store.append([more], hardState: LogHardState(term: 9, vote: 1, commit: 0))
            _ = try store.flush()
            // Then a loss of power takes none of that.
            let found = try WALFound(run.disk.afterCrash(.nothing))
            #expect(found.entries == before + [more], "operation \(number)")
            #expect(found.recovered.hardState == LogHardState(term: 9, vote: 1, commit: 0))
            #expect(found.recovered.checkpointIntent == recovered.checkpointIntent)
        }
    }

    @Test(
        "a disk full at any operation delays, and once there is space all goes on as if nothing was"
    )
    func fullAtEveryOperation() throws {
        let clean = WALRun(disk: FaultyDisk())
        try clean.run(WALScripts.everything)
        let kinds: [OperationKind] = [.write, .create, .rename, .truncate]
        for (position, operation) in clean.disk.operations.enumerated()
        where position > 2 && kinds.contains(operation.kind) {
            for written in [0, 700] {
                let run = WALRun(disk: FaultyDisk())
                run.retriesWhenFull = true
                run.disk.inject(.full(written: written), atOperation: position + 1)
                try run.run(WALScripts.everything)
                let recycled = operation.kind == .rename && operation.path.hasSuffix(".wal")
                #expect(run.refusals > 0 || recycled, "operation \(position + 1)")
                #expect(run.states == clean.states)
                #expect(run.acknowledged == clean.acknowledged)
                let found = try WALFound(run.disk.afterCrash(.nothing))
                let last = run.states.count - 1
                #expect(found.matches(run.states, from: last, released: run.released) == last)
            }
        }
    }

    @Test(
        "on a full disk appends are refused in time, votes go on, and space heals it"
    )
    func fullDisk() throws {
        // Given space for two segments only.
        let run = WALRun(disk: FaultyDisk())
        run.disk.setCapacity(2 * 8192 + 1000)
        try run.run([.append(count: 1, bytes: 100, term: 1), .flush, .housekeep])
        let store = try #require(run.store)
        // When entries are appended until one is refused.
        var accepted: UInt64 = 1
        var refusal: StorageError?
        while refusal == nil {
            do throws(StorageError) {
                _ = try store.append([WALRun.entry(accepted + 1, term: 1, bytes: 300)])
                accepted += 1
            } catch {
                refusal = error
            }
            _ = try store.flush()
            do throws(StorageError) {
                try store.housekeep()
            } catch {
                #expect(error == .disk(.full(path: WALRun.directory)))
            }
        }
        // Then it was for want of space, with both segments in use and everything accepted durable.
        #expect(refusal == .disk(.full(path: WALRun.directory)))
        #expect(accepted > 14)
        #expect(store.space.isFull)
        #expect(store.lastIndex == accepted)
        #expect(try WALFound(run.disk).recovered.lastIndex == accepted)
        // A vote is smaller than the reserve kept for it.
        _ = try store.append([], hardState: LogHardState(term: 2, vote: 1, commit: 1))
        #expect(try store.flush() != nil)
        // Released entries give their segment back, and appends are taken again.
        store.release(through: accepted)
        try store.housekeep()
        #expect(!store.space.isFull)
        _ = try store.append([WALRun.entry(accepted + 1, term: 2, bytes: 300)])
        #expect(try store.flush() != nil)
        let found = try WALFound(run.disk.afterCrash(.nothing))
        #expect(found.recovered.lastIndex == accepted + 1)
        #expect(found.recovered.hardState.vote == 1)
    }

    @Test("work taken before the disk was known to be full waits, and is saved once there is space")
    func acceptedThenFull() throws {
        let run = WALRun(disk: FaultyDisk())
        run.disk.setCapacity(8192 + 100)
        try run.run([.append(count: 2, bytes: 2000, term: 1), .flush])
        // The second segment is not prepared, yet nobody knows that it cannot be.
        try run.run([.append(count: 2, bytes: 2000, term: 1)])
        let store = try #require(run.store)
        #expect(throws: StorageError.disk(.full(path: WALRun.directory))) { try store.flush() }
        #expect(throws: StorageError.disk(.full(path: WALRun.directory))) { try store.flush() }
        #expect(store.savedThrough == LogTicket(1))
        run.disk.setCapacity(100_000)
        #expect(try store.flush() == LogTicket(2))
        #expect(try WALFound(run.disk.afterCrash(.nothing)).recovered.lastIndex == 4)
    }

    @Test("a queue at its bound refuses with busy, and takes work again once it is written")
    func queueBound() throws {
        let disk = FaultyDisk()
        let options = LogOptions(salt: 1, segmentBytes: 64 << 10, queueBytesMax: 4096)
        let (store, _) = try LogStore.open(disk: disk, directory: "wal", options: options)
        var count: UInt64 = 0
        var refusal: StorageError?
        while refusal == nil {
            do throws(StorageError) {
                _ = try store.append([WALRun.entry(count + 1, term: 1, bytes: 400)])
                count += 1
            } catch {
                refusal = error
            }
        }
        #expect(refusal == .busy(what: "log queue"))
        #expect(count == 8)
        #expect(store.lastIndex == count)
        #expect(try store.flush() == LogTicket(count))
        // Even a call larger than the bound is taken when nothing else waits.
        _ = try store.append([WALRun.entry(count + 1, term: 1, bytes: 9000)])
        #expect(try store.flush() == LogTicket(count + 1))
    }

    @Test("an error while reading back is told, and does not shut the log")
    func readError() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 2, bytes: 10, term: 1), .flush])
        let store = try #require(run.store)
        run.disk.inject(.ioError, onNext: .read)
        #expect(throws: StorageError.self) { try store.entries(from: 1, through: 2, maxBytes: 9) }
        #expect(try store.entries(from: 1, through: 2, maxBytes: 999)?.count == 2)
        try run.run([.append(count: 1, bytes: 10, term: 1), .flush])
    }
}
