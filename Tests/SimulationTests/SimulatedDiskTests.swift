// SimulatedDiskTests.swift: what survives a loss of power on a simulated disk.
// Belongs here: the disk's promises. Never here: what the store makes of them.

import Storage
import Testing

@testable import Simulation

@Suite("simulated disk")
struct SimulatedDiskTests {
    private func disk(_ seed: UInt64 = 1) -> SimulatedDisk {
        SimulatedDisk(dice: Dice(seed: seed, .disk), counter: FaultCounter())
    }

    private func contents(_ disk: SimulatedDisk, _ path: String) throws -> [UInt8] {
        let file = try disk.open(path, create: false)
        var bytes = [UInt8](repeating: 0, count: Int(try file.size()))
        _ = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return bytes
    }

    private func write(_ file: any DiskFile, _ byte: UInt8, _ range: Range<Int>) throws {
        let bytes = [UInt8](repeating: byte, count: range.count)
        try bytes.withUnsafeBytes { try file.write($0, at: UInt64(range.lowerBound)) }
    }

    @Test("disk: a loss of power keeps what was synced and takes what was not")
    func nothing() throws {
        let disk = disk()
        let file = try disk.open("a", create: true)
        try write(file, 1, 0..<1000)
        try file.sync()
        try disk.syncDirectory(".")
        try write(file, 2, 600..<2000)
        disk.powerLost(.nothing)
        #expect(try contents(disk, "a") == [UInt8](repeating: 1, count: 1000))
    }

    @Test("disk: a process that dies loses nothing, and its files are closed")
    func process() throws {
        let disk = disk()
        let file = try disk.open("a", create: true)
        try write(file, 1, 0..<700)
        disk.processEnded()
        #expect(throws: DiskError.self) { try write(file, 2, 0..<1) }
        #expect(try contents(disk, "a") == [UInt8](repeating: 1, count: 700))
    }

    @Test("disk: unsynced sectors survive whole or not at all")
    func torn() throws {
        var patterns: Set<[UInt8]> = []
        for seed in UInt64(1)...20 {
            let disk = disk(seed)
            let file = try disk.open("a", create: true)
            try write(file, 1, 0..<2048)
            try file.sync()
            try disk.syncDirectory(".")
            try write(file, 2, 0..<2048)
            disk.powerLost(.some)
            let bytes = try contents(disk, "a")
            for sector in 0..<4 {
                #expect(Set(bytes[sector * 512..<(sector + 1) * 512]).count == 1)
            }
            patterns.insert((0..<4).map { bytes[$0 * 512] })
        }
        #expect(patterns.count > 5)
    }

    @Test("disk: a name that was not synced with its directory is lost")
    func names() throws {
        let disk = disk()
        let file = try disk.open("a", create: true)
        try file.sync()
        disk.powerLost(.nothing)
        #expect(try disk.exists("a") == false)
    }

    @Test("disk: a cut that was not synced is undone")
    func truncation() throws {
        let disk = disk()
        let file = try disk.open("a", create: true)
        try write(file, 1, 0..<1500)
        try file.sync()
        try disk.syncDirectory(".")
        try file.truncate(to: 100)
        #expect(try contents(disk, "a").count == 100)
        disk.powerLost(.nothing)
        #expect(try contents(disk, "a") == [UInt8](repeating: 1, count: 1500))
    }

    @Test("disk: once the power is going, only so many operations happen")
    func midway() throws {
        let disk = disk()
        let file = try disk.open("a", create: true)
        disk.operationsLeft = 1
        try write(file, 1, 0..<10)
        #expect(throws: DiskError.self) { try file.sync() }
    }

    @Test("disk: a full one takes no more")
    func full() throws {
        let disk = disk()
        let file = try disk.open("a", create: true)
        disk.faults.capacityBytes = 1000
        try write(file, 1, 0..<1000)
        #expect(throws: DiskError.full(path: "a")) { try write(file, 1, 1000..<1001) }
        try write(file, 2, 0..<1000)
        #expect(try disk.freeBytes(".") == 0)
    }
}
