// HarnessExampleTests.swift: the worked example of Documentation/Simulation.md: a counter that clients raise.
// Belongs here: one workload, one checker, one planted bug, as somebody else would write them.

import Testing

@testable import Simulation

/// Raises a counter, one at a time: reads it, then writes one more if nobody else did meanwhile.
final class CounterClient: SimulatedClient {
    static let key = Array("counter".utf8)

    private let world: World
    private let number: Int
    private var isStopped = false
    private(set) var isBusy = false
    /// Raises that were acknowledged, and those of which nobody knows.
    private(set) var done = 0
    private(set) var unknown = 0

    init(world: World, number: Int) {
        self.world = world
        self.number = number
    }

    func start() { later() }

    func stop() { isStopped = true }

    private func later() {
        world.schedule(after: world.clientDice.heavyTail(mean: .milliseconds(20))) { [self] in
            if !isStopped { read() }
        }
    }

    private func ask(_ request: Request, _ done: @escaping (Operation.Outcome) -> Void) {
        isBusy = true
        let place = world.clientDice.below(world.nodes.count)
        world.clients.run(number, place, request, timeout: .seconds(3)) { [self] outcome in
            isBusy = false
            done(outcome)
            if !isBusy { later() }
        }
    }

    private func read() {
        ask(.range(RangeRead(KeySpan(Self.key)))) { [self] outcome in
            guard case .answered(_, let response) = outcome,
                case .range(let answer) = response.body
            else { return }
            raise(answer.keyValues.first)
        }
    }

    private func raise(_ current: KeyValue?) {
        let value = Int(String(decoding: current?.value ?? [], as: UTF8.self)) ?? 0
        let condition = Compare(
            KeySpan(Self.key), .equal, .modRevision(current?.modRevision ?? 0))
        let raise = Put(Self.key, Array("\(value + 1)".utf8))
        ask(.txn(Txn(compares: [condition], success: [.put(raise)]))) { [self] outcome in
            switch outcome {
            case .answered(_, let response):
                if case .txn(succeeded: true, _) = response.body { done += 1 }
            case .refused: break
            case .unknown: unknown += 1
            }
        }
    }
}

@Suite("harness", .serialized)
struct HarnessExampleTests {
    private func run(seed: UInt64) throws -> World {
        let scenario = try ScenarioParser.parse(
            """
            duration 5s..8s
            workload kv clients=1 keys=2
            fault crash every 500ms..2s last 10ms..1s
            fault isolate every 500ms..2s last 100ms..2s
            """, file: "counter.txt")
        return SimulationRun.world(scenario, seed: seed) { world in
            let clients = (0..<3).map { CounterClient(world: world, number: 100 + $0) }
            clients.forEach(world.clients.add)
            world.checks.append { _, contents in
                let done = clients.reduce(0) { $0 + $1.done }
                let most = clients.reduce(done) { $0 + $1.unknown }
                for content in contents {
                    let found = content.keyValues.first { $0.key == CounterClient.key }
                    let value = Int(String(decoding: found?.value ?? [], as: UTF8.self)) ?? 0
                    guard !(done...most).contains(value) else { continue }
                    return Failure(
                        rule: "counter", text: "\(value) after \(done) to \(most) raises")
                }
                return done > 0 ? nil : Failure(rule: "counter", text: "nobody raised it")
            }
        }
    }

    @Test("harness: a workload and a checker of one's own hold over seeds")
    func counter() throws {
        for seed in UInt64(1)...3 {
            let world = try run(seed: seed)
            #expect(world.failure == nil, "seed \(seed): \(world.failure?.text ?? "")")
        }
    }

    @Test("harness: a planted bug is found", .enabled(if: !PlantedBug.all.isEmpty))
    func planted() throws {
        PlantedBug.plant(PlantedBug.all.first { $0.name == "commitByMinority" })
        defer { PlantedBug.plant(nil) }
        let failures = try (UInt64(1)...5).compactMap { try run(seed: $0).failure }
        #expect(!failures.isEmpty)
    }
}
