// WALSnapshotTests.swift: a log that goes on after a snapshot, and a tail of it kept for those that
// lag.
// Belongs here: alignment with its crash points, retention. Elsewhere: the pages (SnapshotTests).

import Storage
import TestSupport
import Testing

@Suite("log: snapshots and retention")
struct WALSnapshotTests {
    /// A log of entries 1 to 9 in terms 2 and 3, with a vote, committed through 5.
    private func prepared() throws -> WALRun {
        let run = WALRun(disk: FaultyDisk())
        try run.run([
            .append(count: 4, bytes: 300, term: 2), .vote(term: 3, vote: 8),
            .append(count: 5, bytes: 300, term: 3, commit: 5), .intent(bytes: 50), .flush,
        ])
        return run
    }

    private func open(_ disk: FaultyDisk) throws -> LogStore {
        try LogStore.open(
            disk: disk, directory: WALRun.directory, options: WALRun.options
        ).store
    }

    @Test("a log that ends before the snapshot goes on after it, with its term and vote")
    func behind() throws {
        let log = try open(try prepared().disk)
        try log.alignAfterSnapshot(index: 40, term: 3)
        let found = log.contents
        #expect(found.firstIndex == 41)
        #expect(found.lastIndex == 40)
        #expect(found.termBeforeFirst == 3)
        #expect(found.hardState == LogHardState(term: 3, vote: 8, commit: 40))
        #expect(found.checkpointIntent?.count == 50)
        _ = try log.append([WALRun.entry(41, term: 3, bytes: 10)])
        _ = try log.flush()
        #expect(try log.entries(from: 41, through: 41, maxBytes: 1)?.count == 1)
    }

    @Test("a term below the snapshot's is raised, and a vote in an older term is no vote in it")
    func raisesTerm() throws {
        let log = try open(try prepared().disk)
        try log.alignAfterSnapshot(index: 40, term: 7)
        #expect(log.contents.hardState == LogHardState(term: 7, vote: 0, commit: 40))
        let older = try open(try prepared().disk)
        try older.alignAfterSnapshot(index: 40, term: 1)
        #expect(older.contents.hardState == LogHardState(term: 3, vote: 8, commit: 40))
    }

    @Test("entries after the snapshot stay if the log has the snapshot's last entry")
    func keepsSuffix() throws {
        let log = try open(try prepared().disk)
        try log.alignAfterSnapshot(index: 7, term: 3)
        #expect(log.contents.firstIndex == 1)
        #expect(log.contents.lastIndex == 9)
        #expect(log.contents.hardState == LogHardState(term: 3, vote: 8, commit: 7))
        let again = try open(try prepared().disk)
        try again.alignAfterSnapshot(index: 5, term: 3)
        #expect(again.contents.hardState.commit == 5)
        #expect(again.contents.lastIndex == 9)
    }

    @Test("entries that contradict the snapshot go, unless they are committed")
    func contradiction() throws {
        let log = try open(try prepared().disk)
        try log.alignAfterSnapshot(index: 7, term: 4)
        #expect(log.contents.firstIndex == 8)
        #expect(log.contents.lastIndex == 7)
        #expect(log.contents.hardState == LogHardState(term: 4, vote: 0, commit: 7))

        let run = try prepared()
        let other = try open(run.disk)
        let before = run.disk.operations.count
        #expect(throws: StorageError.self) { try other.alignAfterSnapshot(index: 5, term: 4) }
        #expect(throws: StorageError.self) { try other.alignAfterSnapshot(index: 2, term: 1) }
        #expect(run.disk.operations.count == before)
        #expect(other.contents.lastIndex == 9)
    }

    @Test("a log that begins after the snapshot is refused")
    func gap() throws {
        let log = try open(try prepared().disk)
        try log.alignAfterSnapshot(index: 40, term: 3)
        #expect(throws: StorageError.self) { try log.alignAfterSnapshot(index: 39, term: 3) }
        try log.alignAfterSnapshot(index: 40, term: 3)
        #expect(log.contents.firstIndex == 41)
    }

    @Test(
        "crash: alignment is done or not done, and done when it is tried again",
        arguments: [Survival.nothing, .everything, .evens, .odds, .random(seed: 9)])
    func crash(survival: Survival) throws {
        var crashPoint = 0
        var isFinished = false
        while !isFinished {
            let disk = try prepared().disk
            let log = try open(disk)
            disk.crash(afterOperation: disk.operations.count + crashPoint)
            do {
                try log.alignAfterSnapshot(index: 40, term: 7)
                isFinished = true
            } catch {
                #expect(disk.isCrashed)
            }
            let again = try open(disk.afterCrash(survival))
            let found = again.contents
            #expect(found.hardState.term >= 3)
            if found.hardState.term == 3 { #expect(found.hardState.vote == 8) }
            #expect(found.lastIndex == 40 || (found.lastIndex == 9 && !isFinished))
            try again.alignAfterSnapshot(index: 40, term: 7)
            #expect(again.contents.lastIndex == 40)
            #expect(again.contents.hardState == LogHardState(term: 7, vote: 0, commit: 40))
            crashPoint += 1
        }
        #expect(crashPoint >= 3)
    }

    @Test("retention: at least so many bytes stay readable, and at most a segment more")
    func retention() throws {
        let run = WALRun(disk: FaultyDisk())
        for _ in 0..<80 {
            try run.run([.append(count: 1, bytes: 900, term: 1), .flush, .housekeep])
        }
        let log = try #require(run.store)
        // Seven entries of two sectors each fill a segment of sixteen sectors, two being its head.
        let perEntry = 1024
        for keeping in [0, 1, 1024, 5000, 20_000, 60_000] {
            let index = log.releasableIndex(upTo: 70, keepingBytes: keeping)
            let kept = Int(70 - index) * perEntry
            #expect(kept + kept / 7 + perEntry > keeping)
            #expect(keeping > perEntry || kept >= keeping)
            #expect(kept < keeping + 2 * perEntry)
        }
        #expect(log.releasableIndex(upTo: 70, keepingBytes: 0) == 70)
        #expect(log.releasableIndex(upTo: 70, keepingBytes: 1 << 30) == 0)
        #expect(log.releasableIndex(upTo: 1000, keepingBytes: 0) == 80)

        log.release(through: log.releasableIndex(upTo: 70, keepingBytes: 20_000))
        #expect(log.firstIndex > 30)
        #expect(log.firstIndex <= 51)
        #expect(try log.entries(from: log.firstIndex, through: 70, maxBytes: 1 << 20) != nil)
        let first = log.firstIndex
        #expect(try log.entries(from: first - 1, through: 70, maxBytes: 1) == nil)
        #expect(log.releasableIndex(upTo: 70, keepingBytes: 1 << 30) == first - 1)
        #expect(log.releasableIndex(upTo: 3, keepingBytes: 0) == 3)
        log.release(through: log.releasableIndex(upTo: 70, keepingBytes: 0))
        #expect(log.firstIndex > first)
        #expect(log.firstIndex <= 71)
    }

    @Test("retention: entries written again after a truncation, or after a reset, are counted once")
    func retentionAfterVoiding() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([
            .append(count: 3, bytes: 900, term: 1), .flush, .truncate(after: 1),
            .append(count: 3, bytes: 900, term: 2), .flush,
        ])
        let log = try #require(run.store)
        #expect(log.releasableIndex(upTo: 4, keepingBytes: 900) == 3)
        try run.run([.reset(to: 30, term: 3), .flush])
        #expect(log.releasableIndex(upTo: 30, keepingBytes: 0) == 30)
        #expect(log.releasableIndex(upTo: 30, keepingBytes: 1) == 30)
        try run.run([.append(count: 6, bytes: 900, term: 3), .flush])
        #expect(log.releasableIndex(upTo: 35, keepingBytes: 900) == 34)
        #expect(log.releasableIndex(upTo: 36, keepingBytes: 1 << 20) == 30)
    }
}
