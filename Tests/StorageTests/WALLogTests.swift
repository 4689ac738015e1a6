// WALLogTests.swift: the log as its callers see it when nothing goes wrong.
// Belongs here: order, tickets, reading back, roll-over, release. Elsewhere: crashes, faults, bad
// bytes.

import Storage
import TestSupport
import Testing

@Suite("log: use")
struct WALLogTests {
    @Test("a new log is empty, and stays so when opened again")
    func empty() throws {
        let disk = FaultyDisk()
        for _ in 0..<2 {
            let found = try WALFound(disk)
            #expect(found.recovered.firstIndex == 1)
            #expect(found.recovered.lastIndex == 0)
            #expect(found.recovered.hardState == LogHardState())
            #expect(found.recovered.checkpointIntent == nil)
        }
    }

    @Test("everything a script wrote is there when the log is opened again")
    func roundTrip() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run(WALScripts.everything)
        let found = try WALFound(run.disk)
        let last = run.states.count - 1
        #expect(found.matches(run.states, from: last, released: run.released) == last)
        #expect(run.acknowledged == last)
        #expect(found.recovered.firstIndex > 1)
    }

    @Test("a vote alone survives")
    func voteAlone() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.vote(term: 4, vote: 11), .flush])
        let found = try WALFound(run.disk.afterCrash(.nothing))
        #expect(found.recovered.hardState == LogHardState(term: 4, vote: 11, commit: 0))
        #expect(found.recovered.lastIndex == 0)
    }

    @Test("nothing is readable before it is saved, and one flush saves all that was queued")
    func ticketsInGroups() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.open()
        let store = try #require(run.store)
        let first = try store.append([WALRun.entry(1, term: 1, bytes: 5)])
        let second = try store.append([WALRun.entry(2, term: 1, bytes: 5)])
        #expect(first < second)
        #expect(store.lastIndex == 2)
        #expect(try store.entries(from: 1, through: 2, maxBytes: 100) == nil)
        let before = run.disk.operations.count
        #expect(try store.flush() == second)
        #expect(try store.flush() == nil)
        #expect(try store.entries(from: 1, through: 9, maxBytes: 100)?.count == 2)
        // A first flush also begins the segment; another group costs one write and one sync.
        _ = try store.append([WALRun.entry(3, term: 1, bytes: 5)])
        _ = try store.append([WALRun.entry(4, term: 1, bytes: 5)])
        let middle = run.disk.operations.count
        #expect(middle > before)
        _ = try store.flush()
        #expect(run.disk.operations[middle...].map(\.kind) == [.write, .sync])
    }

    @Test("reading back stops at the size asked for, and gives one entry at least")
    func readingInParts() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 10, bytes: 300, term: 1), .flush])
        let store = try #require(run.store)
        #expect(try store.entries(from: 1, through: 10, maxBytes: 1)?.map(\.index) == [1])
        #expect(try store.entries(from: 4, through: 10, maxBytes: 700)?.map(\.index) == [4, 5, 6])
        #expect(try store.entries(from: 9, through: 99, maxBytes: 9999)?.map(\.index) == [9, 10])
        #expect(try store.entries(from: 11, through: 11, maxBytes: 1) == nil)
        #expect(try store.entries(from: 0, through: 3, maxBytes: 1) == nil)
    }

    @Test("entries as large as allowed span segments, each whole in one")
    func largeEntries() throws {
        let disk = FaultyDisk()
        let run = WALRun(disk: disk)
        try run.open()
        let store = try #require(run.store)
        let size = store.payloadBytesMax
        let entries = (1...20).map { WALRun.entry($0, term: 1, bytes: size) }
        for entry in entries { _ = try store.append([entry]) }
        _ = try store.append(checkpointIntent: [UInt8](repeating: 5, count: size))
        #expect(try store.flush() == LogTicket(21))
        #expect(try disk.list(WALRun.directory).filter { $0.hasSuffix(".wal") }.count > 5)
        let found = try WALFound(disk.afterCrash(.nothing))
        #expect(found.entries == entries)
        #expect(found.recovered.checkpointIntent?.count == size)
    }

    @Test("a call larger than a segment is split between records, in order")
    func callLargerThanSegment() throws {
        let disk = FaultyDisk()
        let run = WALRun(disk: disk)
        try run.run([.append(count: 30, bytes: 1000, term: 1, commit: 30), .flush])
        #expect(run.acknowledged == 1)
        let found = try WALFound(disk.afterCrash(.nothing))
        #expect(found.matches(run.states, from: 1, released: 0) == 1)
    }

    @Test("what a queued truncation voids cannot be read, even while it is not saved")
    func queuedTruncationHides() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 5, bytes: 10, term: 1), .flush])
        try run.run([.truncate(after: 2), .append(count: 1, bytes: 10, term: 2)])
        let store = try #require(run.store)
        #expect(store.lastIndex == 3)
        #expect(try store.entries(from: 1, through: 5, maxBytes: 999)?.map(\.index) == [1, 2])
        #expect(store.term(of: 3) == nil)
        try run.run([.flush])
        #expect(try store.entries(from: 3, through: 3, maxBytes: 999)?.map(\.term) == [2])
        #expect(store.term(of: 3) == 2)
    }

    @Test("terms are known for every durable entry and for the place before the first")
    func terms() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run(WALScripts.everything)
        let store = try #require(run.store)
        let state = run.states[run.states.count - 1]
        for index in store.firstIndex...store.lastIndex {
            #expect(store.term(of: index) == state.term(index))
        }
        let before = run.states[run.states.count - 1]
        #expect(store.term(of: store.firstIndex - 1) == before.term(store.firstIndex - 1))
        #expect(store.term(of: store.lastIndex + 1) == nil)
    }

    @Test("release: only whole segments go; hard state and intent outlive them")
    func release() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([
            .vote(term: 1, vote: 3), .intent(bytes: 40), .flush,
            .append(count: 4, bytes: 1500, term: 1, commit: 4), .flush,
            .append(count: 4, bytes: 1500, term: 1), .flush,
            .append(count: 4, bytes: 1500, term: 1), .flush,
        ])
        let store = try #require(run.store)
        store.release(through: 5)
        #expect(store.firstIndex <= 6)
        #expect(store.firstIndex > 1)
        let first = store.firstIndex
        try run.run([.housekeep])
        let found = try WALFound(run.disk.afterCrash(.nothing))
        #expect(found.recovered.firstIndex == first)
        #expect(found.recovered.termBeforeFirst == 1)
        #expect(found.recovered.hardState == LogHardState(term: 1, vote: 3, commit: 4))
        #expect(found.recovered.checkpointIntent?.count == 40)
        #expect(found.entries.map(\.index) == Array(first...12))
    }

    @Test("release: a segment is written again under a new number, and its old records stay dead")
    func recycle() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([
            .append(count: 4, bytes: 1500, term: 1), .flush,
            .append(count: 4, bytes: 1500, term: 1), .flush, .housekeep,
            .release(through: 8), .housekeep,
        ])
        let operations = run.disk.operations
        #expect(operations.contains { $0.kind == .rename && $0.path.hasSuffix("1.wal") })
        let created = operations.filter { $0.kind == .create }.count
        // Fill the recycled file in part only, so that old frames follow the new ones.
        try run.run([
            .append(count: 4, bytes: 1500, term: 2), .flush,
            .append(count: 1, bytes: 1500, term: 2), .flush,
        ])
        #expect(run.disk.operations.filter { $0.kind == .create }.count == created)
        let found = try WALFound(run.disk.afterCrash(.nothing))
        #expect(found.recovered.lastIndex == 13)
        #expect(found.entries.map(\.term) == found.entries.map { $0.index <= 8 ? 1 : 2 })
    }

    @Test("a prepared segment has its space before it is used, crash or not")
    func preparedSpace() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 1, bytes: 10, term: 1), .flush, .housekeep])
        let disk = run.disk.afterCrash(.nothing)
        #expect(disk.contents("wal/0000000000000002.wal").count == WALRun.options.segmentBytes)
        disk.setCapacity(disk.usedBytes)
        let again = WALRun(disk: disk)
        try again.open()
        let store = try #require(again.store)
        for index in UInt64(2)...12 {
            _ = try store.append([WALRun.entry(index, term: 1, bytes: 500)])
            _ = try store.flush()
        }
        #expect(try disk.list("wal").count == 2)
    }

    @Test("release: the number of files does not grow while old entries are released")
    func boundedFiles() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.open()
        let store = try #require(run.store)
        for round in UInt64(0)..<60 {
            try run.run([.append(count: 3, bytes: 1500, term: 1), .flush])
            store.release(through: round * 3)
            try run.run([.housekeep])
            #expect(try run.disk.list(WALRun.directory).count <= 7)
        }
    }

    @Test("reset: the log goes on after the snapshot, and older segments can be released")
    func reset() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([
            .append(count: 12, bytes: 1500, term: 1), .flush, .reset(to: 500, term: 3), .flush,
            .append(count: 2, bytes: 10, term: 4), .flush, .release(through: 501), .housekeep,
        ])
        let store = try #require(run.store)
        #expect(store.firstIndex == 501)
        let found = try WALFound(run.disk.afterCrash(.nothing))
        #expect(found.recovered.firstIndex == 501)
        #expect(found.recovered.termBeforeFirst == 3)
        #expect(found.entries.map(\.index) == [501, 502])
    }

    @Test("the log keeps the salt it was made with")
    func saltIsKept() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 2, bytes: 10, term: 1), .flush])
        let other = LogOptions(salt: 99, segmentBytes: WALRun.options.segmentBytes)
        #expect(try WALFound(run.disk, options: other).recovered.lastIndex == 2)
    }

    @Test("the segment size may change between runs")
    func segmentSizeChanges() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 9, bytes: 1500, term: 1), .flush, .housekeep])
        let larger = LogOptions(salt: 1, segmentBytes: 16 << 10)
        let (store, recovered) = try LogStore.open(
            disk: run.disk, directory: WALRun.directory, options: larger)
        #expect(recovered.lastIndex == 9)
        for index in UInt64(10)...30 {
            _ = try store.append([WALRun.entry(index, term: 1, bytes: 1500)])
            _ = try store.flush()
        }
        store.release(through: 25)
        try store.housekeep()
        #expect(try WALFound(run.disk, options: larger).recovered.lastIndex == 30)
    }
}
