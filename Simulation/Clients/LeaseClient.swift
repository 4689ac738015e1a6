// LeaseClient.swift: a client that keeps a key under a lease for a while and then lets it expire.
// Belongs here: what it asks, and when. Never here: whether answers are right (Checkers/).

/// Grants a lease, hangs a key on it, renews it some times, and looks at the key until it is gone.
final class LeaseClient: SimulatedClient {
    private unowned(unsafe) let world: World
    private let number: Int
    private let workload: Workload
    private var place: Int
    private var round = 0
    private var isStopped = false
    private(set) var isBusy = false

    init(world: World, number: Int, workload: Workload) {
        self.world = world
        self.number = number
        self.workload = workload
        place = number % world.setup.members
    }

    func start() { later(.milliseconds(100)) { $0.grant() } }

    func stop() { isStopped = true }

    private func later(_ mean: UInt64, _ step: @escaping (LeaseClient) -> Void) {
        world.schedule(after: world.clientDice.heavyTail(mean: mean)) { [self] in
            if !isStopped { step(self) }
        }
    }

    private func ask(
        _ request: Request, _ done: @escaping (LeaseClient, Operation.Outcome) -> Void
    ) {
        isBusy = true
        world.clients.run(number, place, request, timeout: .seconds(5)) { [self] outcome in
            isBusy = false
            if case .answered = outcome {
            } else {
                place = world.clientDice.below(world.nodes.count)
            }
            done(self, outcome)
        }
    }

    private var key: [UInt8] { Array("lease\(number).\(round)".utf8) }

    private func grant() {
        round += 1
        let ttl = Int64(world.clientDice.within(1...max(1, workload["ttl"])))
        ask(.leaseGrant(id: 0, ttl: ttl)) { client, outcome in
            guard case .answered(_, let response) = outcome,
                case .leaseGrant(let id, let ttl) = response.body
            else { return client.later(.seconds(1)) { $0.grant() } }
            client.attach(id, ttl)
        }
    }

    private func attach(_ id: Int64, _ ttl: Int64) {
        ask(.put(Put(key, Array("held".utf8), lease: id))) { client, outcome in
            guard case .answered = outcome else { return client.later(.seconds(1)) { $0.grant() } }
            let renewals = client.world.clientDice.within(0...client.workload["renewals"])
            client.renew(id, ttl, left: Int(renewals))
        }
    }

    private func renew(_ id: Int64, _ ttl: Int64, left: Int) {
        guard left > 0 else { return watchExpiry(id, ttl, looks: 0) }
        later(.seconds(UInt64(max(1, ttl))) / 3) { client in
            client.ask(.leaseKeepAlive(id: id)) { client, outcome in
                if case .answered(_, let response) = outcome,
                    case .leaseKeepAlive(let ttl) = response.body, ttl > 0
                {
                    client.world.marks.reach(.leaseKept)
                }
                client.renew(id, ttl, left: left - 1)
            }
        }
    }

    /// Looks until the key is gone, or for a while.
    private func watchExpiry(_ id: Int64, _ ttl: Int64, looks: Int) {
        guard looks < 20 else { return later(.milliseconds(500)) { $0.grant() } }
        if looks == 0, world.clientDice.chance(percent: 15) {
            return ask(.leaseRevoke(id: id)) { client, _ in
                client.later(.milliseconds(500)) { $0.grant() }
            }
        }
        later(.seconds(UInt64(max(1, ttl))) / 2) { client in
            client.ask(.range(RangeRead(KeySpan(client.key)))) { client, outcome in
                if case .answered(_, let response) = outcome,
                    case .range(let answer) = response.body, answer.count == 0
                {
                    client.world.marks.reach(.leaseExpired)
                    return client.later(.milliseconds(500)) { $0.grant() }
                }
                client.watchExpiry(id, ttl, looks: looks + 1)
            }
        }
    }
}
