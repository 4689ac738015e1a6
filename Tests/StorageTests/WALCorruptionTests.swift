// WALCorruptionTests.swift: bad bytes: what is cut as torn, and what must be refused.
// Belongs here: files changed behind the log's back. Elsewhere: crashes (WALCrashTests).

import Storage
import TestSupport
import Testing

@Suite("log: torn or corrupt")
struct WALCorruptionTests {
    static let first = "wal/0000000000000001.wal"
    static let second = "wal/0000000000000002.wal"
    static let third = "wal/0000000000000003.wal"
    static let sector = 512

    /// Three segments: the first two full, the third with its head and four frames of one entry
    /// each.
    static func threeSegments() throws -> (disk: FaultyDisk, found: WALFound) {
        let run = WALRun(disk: FaultyDisk())
        try run.run([
            .vote(term: 1, vote: 2), .append(count: 4, bytes: 1400, term: 1), .flush,
            .append(count: 4, bytes: 1400, term: 1), .intent(bytes: 700), .flush,
            .append(count: 1, bytes: 1900, term: 1), .flush,
            .append(count: 1, bytes: 500, term: 2), .flush,
            .append(count: 1, bytes: 900, term: 2, commit: 4), .flush,
            .append(count: 1, bytes: 700, term: 2, commit: 9), .flush,
        ])
        let disk = run.disk.afterCrash(.nothing)
        let found = try WALFound(disk)
        #expect(found.recovered.lastIndex == 12)
        #expect(try disk.list("wal").count == 3)
        return (disk, found)
    }

    /// Where the last frame begins and ends; it has 28 + 8 + 28 + 700 + 32 bytes, so two sectors.
    static func lastFrame(_ disk: FaultyDisk) -> Range<Int> {
        let bytes = disk.contents(third)
        let end = (bytes.lastIndex { $0 != 0 } ?? 0) / sector * sector + sector
        return end - 2 * sector..<end
    }

    static func reopened(_ disk: FaultyDisk) -> Result<WALFound, StorageError> {
        Result { () throws(StorageError) in try WALFound(disk) }
    }

    @Test("a last record torn at any byte is cut off, whatever stands behind the tear")
    func tornAtEveryByte() throws {
        let (disk, whole) = try Self.threeSegments()
        let frame = Self.lastFrame(disk)
        let bytes = disk.contents(Self.third)
        for position in frame {
            for filler in [UInt8(0), 0xa5] {
                var torn = bytes
                for rest in position..<frame.upperBound { torn[rest] = filler }
                disk.plant(Self.third, torn)
                let found = try WALFound(disk)
                if torn[..<(frame.lowerBound + 796)] == bytes[..<(frame.lowerBound + 796)] {
                    #expect(found == whole, "byte \(position), \(filler)")
                } else {
                    #expect(found.recovered.lastIndex == 11, "byte \(position), \(filler)")
                    #expect(found.entries == Array(whole.entries.dropLast()))
                    #expect(found.recovered.hardState.commit == 4)
                }
            }
        }
    }

    @Test("a torn tail is reported once, with its place, and then gone")
    func tornTailIsReported() throws {
        let (disk, _) = try Self.threeSegments()
        let frame = Self.lastFrame(disk)
        disk.flipBit(Self.third, offset: frame.lowerBound + 600)
        let opened = try LogStore.open(disk: disk, directory: "wal", options: WALRun.options)
        let torn = try #require(opened.recovered.tornTail)
        #expect(torn.file == Self.third)
        #expect(torn.offset == UInt64(frame.lowerBound))
        #expect(torn.bytes == UInt64(frame.count))
        let again = try LogStore.open(disk: disk, directory: "wal", options: WALRun.options)
        #expect(again.recovered.tornTail == nil)
        #expect(again.recovered.lastIndex == 11)
    }

    @Test("a last segment that lost its end with the file is cut at the last whole frame")
    func shortenedFile() throws {
        let (disk, _) = try Self.threeSegments()
        let frame = Self.lastFrame(disk)
        let bytes = disk.contents(Self.third)
        for count in [frame.lowerBound, frame.lowerBound + 5, frame.upperBound - 300] {
            disk.plant(Self.third, Array(bytes[..<count]))
            #expect(try WALFound(disk).recovered.lastIndex == 11)
        }
    }

    @Test(
        "a flipped bit anywhere before the last frame is refused, or was in bytes without meaning")
    func corruptAnywhere() throws {
        let (disk, whole) = try Self.threeSegments()
        let lastFrame = Self.lastFrame(disk).lowerBound
        var refused = 0
        for path in [Self.first, Self.second, Self.third] {
            let bytes = disk.contents(path)
            let end = path == Self.third ? lastFrame : bytes.count
            for position in stride(from: 0, to: end, by: 7) {
                var bad = bytes
                bad[position] ^= UInt8(1) << UInt8(position % 8)
                disk.plant(path, bad)
                switch Self.reopened(disk) {
                case .success(let found): #expect(found == whole, "\(path), byte \(position)")
                case .failure(.corrupt(let file, let offset, _)):
                    refused += 1
                    #expect(file == path && offset <= UInt64(position), "byte \(position)")
                case .failure(let error): Issue.record("byte \(position): \(error)")
                }
            }
            disk.plant(path, bytes)
        }
        #expect(refused > 1500)
    }

    @Test("every record in the middle is guarded: one byte of each payload changed is refused")
    func corruptPayloads() throws {
        let (disk, whole) = try Self.threeSegments()
        for entry in whole.entries.dropLast() {
            let path = [Self.first, Self.second, Self.third].first { path in
                disk.contents(path).firstRange(of: entry.payload) != nil
            }
            let file = try #require(path)
            let place = try #require(disk.contents(file).firstRange(of: entry.payload))
            disk.flipBit(file, offset: place.lowerBound + entry.payload.count / 2)
            #expect(throws: StorageError.self, "entry \(entry.index)") { try WALFound(disk) }
            disk.flipBit(file, offset: place.lowerBound + entry.payload.count / 2)
        }
        #expect(try WALFound(disk) == whole)
    }

    @Test("opening a corrupt log changes nothing, so that people can look at it")
    func refusalChangesNothing() throws {
        let (disk, _) = try Self.threeSegments()
        disk.flipBit(Self.third, offset: 3000)
        let before = disk.contents(Self.third)
        #expect(throws: StorageError.self) { try WALFound(disk) }
        #expect(disk.contents(Self.third) == before)
        #expect(throws: StorageError.self) { try WALFound(disk) }
    }

    @Test("after a sealed end even the last entry is guarded, and a lost seal costs nothing")
    func sealed() throws {
        let run = WALRun(disk: FaultyDisk())
        try run.run([.vote(term: 3, vote: 2), .append(count: 3, bytes: 400, term: 3)])
        try #require(run.store).seal()
        let whole = try WALFound(run.disk)
        #expect(whole.recovered.lastIndex == 3)
        #expect(whole.recovered.hardState.vote == 2)
        let bytes = run.disk.contents(Self.first)
        let seal = (bytes.lastIndex { $0 != 0 } ?? 0) / Self.sector * Self.sector
        let last = try #require(bytes.firstRange(of: whole.entries[2].payload))
        run.disk.flipBit(Self.first, offset: last.lowerBound)
        #expect(throws: StorageError.self) { try WALFound(run.disk) }
        run.disk.flipBit(Self.first, offset: last.lowerBound)
        run.disk.flipBit(Self.first, offset: seal + 1)
        #expect(try WALFound(run.disk) == whole)
    }

    @Test("a larger intent than the new segments take is named, not tried")
    func intentTooLarge() throws {
        let disk = FaultyDisk()
        let large = LogOptions(salt: 1, segmentBytes: 64 << 10)
        let store = try LogStore.open(disk: disk, directory: "wal", options: large).store
        _ = try store.append(checkpointIntent: Array(repeating: 1, count: 10_000))
        _ = try store.flush()
        guard case .failure(.incompatible(let file, _)) = Self.reopened(disk) else {
            Issue.record("opened with smaller segments")
            return
        }
        #expect(file == "wal")
    }

    @Test("a missing segment in the middle is refused")
    func missingSegment() throws {
        let (disk, _) = try Self.threeSegments()
        try disk.remove(Self.second)
        guard case .failure(.corrupt(let file, _, let reason)) = Self.reopened(disk) else {
            Issue.record("opened")
            return
        }
        #expect(file == Self.first)
        #expect(reason == "the next segment is missing")
    }

    @Test("a segment of another log is refused")
    func foreignSegment() throws {
        let (disk, _) = try Self.threeSegments()
        let other = FaultyDisk()
        let store = try LogStore.open(
            disk: other, directory: "wal", options: LogOptions(salt: 77, segmentBytes: 8 << 10)
        ).store
        for index in UInt64(1)...12 {
            _ = try store.append([WALRun.entry(index, term: 1, bytes: 1400)])
        }
        _ = try store.flush()
        disk.plant(Self.second, other.contents(Self.second))
        #expect(throws: StorageError.self) { try WALFound(disk) }
    }

    @Test("a newer format is named as such, not as corruption")
    func newerFormat() throws {
        let (disk, _) = try Self.threeSegments()
        var bytes = disk.contents(Self.first)
        // Version 2 with the CRC that belongs to it: computed bit by bit, apart from the product's
        // code.
        bytes[8] = 2
        let crc = Self.slowChecksum(Array(bytes[0..<12] + bytes[16..<64]))
        for byte in 0..<4 {
            bytes[12 + byte] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(byte)))
        }
        disk.plant(Self.first, bytes)
        let expected = StorageError.incompatible(file: Self.first, found: "log format 2")
        #expect(Self.reopened(disk) == .failure(expected))
    }

    static func slowChecksum(_ bytes: [UInt8]) -> UInt32 {
        var crc = UInt32.max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
        }
        return ~crc
    }

    @Test("an entry that went bad after opening is not handed out")
    func badOnReading() throws {
        let (disk, whole) = try Self.threeSegments()
        let (store, _) = try LogStore.open(disk: disk, directory: "wal", options: WALRun.options)
        let place = try #require(disk.contents(Self.first).firstRange(of: whole.entries[2].payload))
        disk.flipBit(Self.first, offset: place.lowerBound + 1)
        #expect(try store.entries(from: 1, through: 2, maxBytes: 9999)?.count == 2)
        let header = UInt64(place.lowerBound - 28)
        let expected = StorageError.corrupt(file: Self.first, offset: header, reason: "entry 3")
        #expect(throws: expected) { try store.entries(from: 2, through: 4, maxBytes: 9999) }
    }

    @Test("an entry that carries a copy of a frame does not pass for one")
    func frameInsideAnEntry() throws {
        // Given a frame at sector 3, and an entry after it which holds that frame's bytes at a
        // sector's start.
        let run = WALRun(disk: FaultyDisk())
        try run.run([.append(count: 1, bytes: 100, term: 1), .flush])
        let frame = Array(run.disk.contents(Self.first)[2 * 512..<3 * 512])
        let store = try #require(run.store)
        let payload = [UInt8](repeating: 9, count: 512 - 60) + frame + frame
        _ = try store.append([LogEntry(index: 2, term: 1, kind: 0, payload: payload)])
        _ = try store.flush()
        // When the head of the frame that holds the entry is lost.
        let disk = run.disk
        disk.flipBit(Self.first, offset: 3 * 512)
        // Then that was a torn tail, and nothing in it proves otherwise.
        #expect(try WALFound(disk).recovered.lastIndex == 1)
    }
}
