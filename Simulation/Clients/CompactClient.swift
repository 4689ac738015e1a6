// CompactClient.swift: a client that forgets old revisions now and then.
// Belongs here: when, and how far. Never here: whether answers are right (Checkers/).

/// Compacts behind the newest revision that any client knows.
final class CompactClient: SimulatedClient {
    private unowned(unsafe) let world: World
    private let number: Int
    private let workload: Workload
    private var isStopped = false
    private(set) var isBusy = false

    init(world: World, number: Int, workload: Workload) {
        self.world = world
        self.number = number
        self.workload = workload
    }

    func start() { later() }

    func stop() { isStopped = true }

    private func later() {
        world.schedule(after: world.clientDice.heavyTail(mean: workload["every"])) { [self] in
            if !isStopped { compact() }
        }
    }

    private func compact() {
        let behind = Int64(world.clientDice.within(0...workload["behind"]))
        let revision = world.clients.newestRevision - behind
        guard revision > 1 else { return later() }
        isBusy = true
        world.clients.run(
            number, world.clientDice.below(world.nodes.count), .compact(revision: revision),
            timeout: .seconds(5)
        ) { [self] _ in
            isBusy = false
            later()
        }
    }
}
