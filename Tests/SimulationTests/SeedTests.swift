// SeedTests.swift: fixed seeds of every scenario, each run twice.
// Belongs here: that no rule is broken, and that a seed decides everything. Never here: the parts' own tests.

import Foundation
import Testing

@testable import Simulation

/// The scenarios of the repository.
enum ScenarioFiles {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Simulation/Scenarios")

    static let names = [
        "auth", "changes", "compaction", "corruption", "disk", "elections", "kv", "lease",
        "members", "network", "processes", "rolling", "single", "snapshot", "watch",
    ]

    /// A scenario of the repository.
    static func whole(_ name: String) throws -> Scenario {
        let file = folder.appending(path: "\(name).txt")
        let text = try String(contentsOf: file, encoding: .utf8)
        return try ScenarioParser.parse(text, file: file.lastPathComponent)
    }

    /// A scenario of the repository, shortened so that a debug build runs it in a second or two.
    static func short(_ name: String) throws -> Scenario {
        var scenario = try whole(name)
        scenario.duration = UInt64.seconds(4)...UInt64.seconds(6)
        return scenario
    }
}

@Suite("seeds")
struct SeedTests {
    @Test(
        "seed: no rule is broken, and the same seed gives the same trace",
        arguments: ScenarioFiles.names)
    func twice(_ name: String) throws {
        let scenario = try ScenarioFiles.short(name)
        for seed in UInt64(1)...2 {
            let first = SimulationRun.world(scenario, seed: seed).result
            #expect(first.failure == nil, "seed \(seed) of \(name): \(first.failure?.text ?? "")")
            // Where there are elections all the time little is answered.
            #expect(first.operations.begun > 50, "seed \(seed) of \(name) did next to nothing")
            #expect(first.operations.answered > 0 && first.entries > 5)
            let second = SimulationRun.world(scenario, seed: seed, keepsLines: true).result
            #expect(first.traceHash == second.traceHash, "seed \(seed) of \(name)")
            #expect(first.steps == second.steps)
        }
    }

    @Test("seed: another seed gives another trace")
    func differ() throws {
        let scenario = try ScenarioFiles.short("kv")
        let hashes = (UInt64(10)..<13).map { SimulationRun.world(scenario, seed: $0).trace.hash }
        #expect(Set(hashes).count == 3)
    }

    @Test("short: a world of a few seconds, in which as much goes wrong")
    func shortened() throws {
        let file = ScenarioFiles.folder.appending(path: "kv.txt")
        let whole = try ScenarioParser.parse(
            String(contentsOf: file, encoding: .utf8), file: "kv.txt")
        let short = whole.shortened()
        #expect(short.rules.map(\.word) == whole.rules.map(\.word))
        let world = SimulationRun.world(short, seed: 1)
        #expect(world.failure == nil, "\(world.failure?.text ?? "")")
        // Two seconds and more of silence are part of the judgement.
        #expect(world.setup.safetyMicroseconds <= .seconds(3))
        #expect(world.result.microseconds < .seconds(20))
        #expect(world.faults.counts.reduce(0, +) > 3)
        #expect(world.result.operations.answered > 0)
    }

    @Test("trace: every byte that is sent makes another hash")
    func bytes() {
        func hash(_ messages: [[UInt8]]) -> UInt64 {
            let trace = Trace(keepsLines: false)
            for message in messages { trace.mix(message) }
            return trace.hash
        }
        let message = [UInt8](1...19)
        var hashes: Set = [
            hash([message]), hash([message + [0]]), hash([[0] + message]), hash([]), hash([[]]),
            hash([message, message]), hash([Array(message[..<8]), Array(message[8...])]),
        ]
        for place in message.indices {
            var other = message
            other[place] ^= 1
            hashes.insert(hash([other]))
        }
        #expect(hashes.count == 7 + message.count)
    }

    @Test("seed: all scenarios of the folder are run here")
    func complete() throws {
        let found = try FileManager.default.contentsOfDirectory(atPath: ScenarioFiles.folder.path)
        #expect(found.sorted() == ScenarioFiles.names.map { "\($0).txt" })
    }

    /// Of scenario disk, seed 14: the leader whose disk was full raised the alarm, another member led when
    /// there was space again, and cleared an alarm of its own id: every write was refused for ever.
    @Test("regression: the alarm of a full disk clears itself whoever leads then")
    func diskAlarm() throws {
        var scenario = try ScenarioFiles.short("disk")
        scenario.rules = [
            FaultRule(
                word: .fulldisk, every: UInt64.milliseconds(500)...UInt64.seconds(1),
                last: UInt64.seconds(1)...UInt64.seconds(2)),
            FaultRule(
                word: .move, every: UInt64.milliseconds(300)...UInt64.milliseconds(600), last: 0...0
            ),
        ]
        scenario.keepsAllRules = true
        for seed in UInt64(1)...3 {
            let world = SimulationRun.world(scenario, seed: seed)
            #expect(world.failure == nil, "seed \(seed): \(world.failure?.text ?? "")")
            #expect(world.marks.counts[Mark.diskWasFull.rawValue] > 0)
        }
    }

    /// Of scenario corruption, seeds 8, 22, 24, 42 and 2001484: damaged members asked or led each other for
    /// ever, a damaged leader or watch spun within one turn, and damage met at the start kept a member down.
    @Test("regression: members that are damaged at the same time are mended, whoever leads")
    func rot() throws {
        var scenario = try ScenarioFiles.short("corruption")
        scenario.members = 3...3
        scenario.rules = [
            FaultRule(
                word: .rot, every: UInt64.milliseconds(200)...UInt64.milliseconds(600), last: 0...0),
            FaultRule(
                word: .restart, every: UInt64.seconds(1)...UInt64.seconds(2),
                last: UInt64.milliseconds(10)...UInt64.milliseconds(500)),
        ]
        scenario.keepsAllRules = true
        var found = 0
        for seed in UInt64(1)...3 {
            let world = SimulationRun.world(scenario, seed: seed)
            #expect(world.failure == nil, "seed \(seed): \(world.failure?.text ?? "")")
            found += world.marks.counts[Mark.damageFound.rawValue]
        }
        // Not in each: a page may be written anew before anybody reads it.
        #expect(found > 0)
    }

    /// Of scenario members, seed 4005517: a member repeated the log from its beginning when its leader lost the
    /// quorum, and the next leader was one that was added behind the entry it had reached.
    @Test("regression: one that joins follows a leader that is younger than what it has of the log")
    func youngerLeader() throws {
        let world = SimulationRun.world(try ScenarioFiles.whole("members"), seed: 4_005_517)
        #expect(world.failure == nil, "\(world.failure?.text ?? "")")
        #expect(world.marks.counts[Mark.diskLossMended.rawValue] > 0)
        #expect(world.marks.counts[Mark.memberReplaced.rawValue] > 0)
    }

    @Test(
        "lost disk: a machine that comes back empty gets a new identity, and the cluster is whole again"
    )
    func lostDisk() throws {
        var scenario = try ScenarioFiles.short("members")
        scenario.members = 3...3
        scenario.rules = [
            FaultRule(word: .lostdisk, every: UInt64.seconds(1)...UInt64.seconds(2), last: 0...0)
        ]
        scenario.keepsAllRules = true
        scenario.duration = UInt64.seconds(12)...UInt64.seconds(12)
        let world = SimulationRun.world(scenario, seed: 1)
        #expect(world.failure == nil, "\(world.failure?.text ?? "")")
        #expect(world.marks.counts[Mark.diskLossMended.rawValue] > 0)
    }
}
