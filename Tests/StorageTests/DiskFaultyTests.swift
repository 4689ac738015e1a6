// DiskFaultyTests.swift: the disk that the other tests trust to be treacherous really is.
// Belongs here: FaultyDisk's model of crashes and faults. Elsewhere: what the store makes of them.

import Glibc
import Storage
import TestSupport
import Testing

@Suite("disk: the faulty one")
struct DiskFaultyTests {
    static func bytes(_ value: UInt8, _ count: Int) -> [UInt8] {
        [UInt8](repeating: value, count: count)
    }

    static func write(_ bytes: [UInt8], _ file: any DiskFile, at offset: UInt64) throws(DiskError) {
        try bytes.withUnsafeBufferPointer { (all) throws(DiskError) in
            try file.write(UnsafeRawBufferPointer(all), at: offset)
        }
    }

    /// A file "f" of 2,048 ones that is durable, name and all.
    static func durableFile() throws -> (disk: FaultyDisk, file: any DiskFile) {
        let disk = FaultyDisk()
        let file = try disk.open("f", create: true)
        try write(bytes(1, 2048), file, at: 0)
        try file.sync()
        try disk.syncDirectory(".")
        return (disk, file)
    }

    @Test("what was not synced is lost, kept or torn by sectors, as asked")
    func tears() throws {
        let (disk, file) = try Self.durableFile()
        try Self.write(Self.bytes(2, 1536), file, at: 512)
        let after: (Survival) -> [UInt8] = { disk.afterCrash($0).contents("f") }
        #expect(after(.nothing) == Self.bytes(1, 2048))
        #expect(after(.everything) == Self.bytes(1, 512) + Self.bytes(2, 1536))
        #expect(
            after(.evens) == Self.bytes(1, 512) + Self.bytes(2, 512) + Self.bytes(1, 512)
                + Self.bytes(2, 512))
        #expect(
            after(.odds) == Self.bytes(1, 1024) + Self.bytes(2, 512) + Self.bytes(1, 512))
        #expect(after(.random(seed: 3)) == after(.random(seed: 3)))
        let outcomes = Set((1...40).map { after(.random(seed: $0)) })
        #expect(outcomes.count == 8)
    }

    @Test("a sync makes contents durable, but not the name")
    func namesNeedTheirOwnSync() throws {
        let disk = FaultyDisk()
        let file = try disk.open("f", create: true)
        try Self.write(Self.bytes(1, 10), file, at: 0)
        try file.sync()
        #expect(try disk.afterCrash(.nothing).list(".") == [])
        #expect(disk.afterCrash(.everything).contents("f") == Self.bytes(1, 10))
    }

    @Test("a rename that was not synced is undone whole, or done whole")
    func renames() throws {
        let (disk, _) = try Self.durableFile()
        try disk.rename("f", to: "g")
        #expect(try disk.list(".") == ["g"])
        #expect(try disk.afterCrash(.nothing).list(".") == ["f"])
        #expect(try disk.afterCrash(.everything).list(".") == ["g"])
    }

    @Test("a directory that was not synced takes its files with it")
    func directories() throws {
        let disk = FaultyDisk()
        #expect(throws: DiskError.notFound(path: "d/f")) { try disk.open("d/f", create: true) }
        try disk.createDirectory("d")
        let file = try disk.open("d/f", create: true)
        try file.sync()
        try disk.syncDirectory("d")
        #expect(try !disk.afterCrash(.nothing).exists("d/f"))
        let (other, _) = try Self.durableFile()
        try other.createDirectory("d")
        try other.syncDirectory(".")
        #expect(try other.afterCrash(.nothing).exists("d"))
    }

    @Test("the machine stops after the operation asked for, and everything fails from then on")
    func crashPoint() throws {
        let (disk, file) = try Self.durableFile()
        let done = disk.operations.count
        disk.crash(afterOperation: done + 1)
        try Self.write(Self.bytes(3, 4), file, at: 0)
        #expect(throws: DiskError.self) { try Self.write(Self.bytes(4, 4), file, at: 0) }
        #expect(throws: DiskError.self) { try file.size() }
        #expect(disk.isCrashed)
        #expect(disk.operations.count == done + 1)
        #expect(disk.afterCrash(.everything).contents("f").first == 3)
    }

    @Test("a failed sync never makes durable what it was asked for, not even when called again")
    func failedSync() throws {
        let (disk, file) = try Self.durableFile()
        try Self.write(Self.bytes(2, 512), file, at: 0)
        disk.inject(.ioError, onNext: .sync)
        #expect(throws: DiskError.failed(path: "f", operation: "sync", code: EIO)) {
            try file.sync()
        }
        try file.sync()
        #expect(disk.contents("f").first == 2)
        #expect(disk.afterCrash(.everything).contents("f").first == 1)
    }

    @Test("a full disk takes what it was told to, then refuses")
    func fullDisk() throws {
        let (disk, file) = try Self.durableFile()
        disk.setCapacity(2100)
        #expect(try disk.freeBytes(".") == 52)
        try Self.write(Self.bytes(2, 2048), file, at: 0)
        #expect(throws: DiskError.full(path: "f")) {
            try Self.write(Self.bytes(3, 100), file, at: 2048)
        }
        disk.inject(.full(written: 7), atOperation: disk.operations.count + 1)
        #expect(throws: DiskError.full(path: "f")) {
            try Self.write(Self.bytes(4, 100), file, at: 0)
        }
        #expect(disk.contents("f")[..<9] == [4, 4, 4, 4, 4, 4, 4, 2, 2])
        #expect(disk.usedBytes == 2048)
    }

    @Test("a flipped bit stays flipped through a crash")
    func bitFlip() throws {
        let (disk, _) = try Self.durableFile()
        disk.flipBit("f", offset: 9, bit: 4)
        #expect(disk.contents("f")[9] == 17)
        #expect(disk.afterCrash(.nothing).contents("f")[9] == 17)
    }

    @Test("a shortened file may come back whole until it is synced")
    func truncation() throws {
        let (disk, file) = try Self.durableFile()
        try file.truncate(to: 600)
        #expect(disk.contents("f").count == 600)
        #expect(disk.afterCrash(.nothing).contents("f") == Self.bytes(1, 2048))
        #expect(disk.afterCrash(.everything).contents("f") == Self.bytes(1, 600))
        let (other, synced) = try Self.durableFile()
        try synced.truncate(to: 600)
        try synced.sync()
        #expect(other.afterCrash(.nothing).contents("f") == Self.bytes(1, 600))
    }

    @Test("the lock goes with its holder")
    func locks() throws {
        let disk = FaultyDisk()
        var held: (any DiskLock)? = try disk.lock("LOCK")
        #expect(throws: DiskError.locked(path: "LOCK")) { try disk.lock("LOCK") }
        withExtendedLifetime(held) {}
        held = nil
        _ = try disk.lock("LOCK")
    }
}
