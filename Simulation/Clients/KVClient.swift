// KVClient.swift: a client of the KV service, one operation after the other, on a member of its choice.
// Belongs here: what it asks, when it changes members. Never here: what the answers should be (Checkers/).

/// Puts, gets, deletes and transactions over a few keys.
final class KVClient: SimulatedClient {
    private unowned(unsafe) let world: World
    private let number: Int
    private let keys: Int
    private let pause: UInt64
    private let size: UInt64
    /// Of puts, reads, transactions and deletions.
    private let weights: [UInt64]
    private var place: Int
    private var count = 0
    private var isStopped = false
    private(set) var isBusy = false

    init(world: World, number: Int, workload: Workload) {
        self.world = world
        self.number = number
        keys = max(1, Int(workload["keys"]))
        pause = workload["think"]
        size = workload["size"]
        weights = ["put", "get", "txn", "delete"].map { workload[$0] }
        place = number % world.setup.members
    }

    func start() { think() }

    func stop() { isStopped = true }

    private func think() {
        let pause = world.clientDice.heavyTail(mean: pause)
        world.schedule(after: pause) { [self] in
            guard !isStopped else { return }
            act()
        }
    }

    private func act() {
        isBusy = true
        count += 1
        let timeout = world.clientDice.within(UInt64.seconds(1)...UInt64.seconds(8))
        world.clients.run(number, place, request(), timeout: timeout) { [self] outcome in
            isBusy = false
            if case .answered(_, let response) = outcome { note(response) } else { move() }
            if !isStopped { think() }
        }
    }

    private func note(_ response: Response) {
        guard case .txn(let succeeded, _) = response.body else { return }
        world.marks.reach(succeeded ? .txnSucceeded : .txnFailed)
    }

    private func move() { place = world.clientDice.below(world.nodes.count) }

    // MARK: requests

    private func request() -> Request {
        var draw = world.clientDice.within(0...max(1, weights.reduce(0, +)) - 1)
        var choice = 0
        while choice < 3, draw >= weights[choice] {
            draw -= weights[choice]
            choice += 1
        }
        switch choice {
        case 0: return .put(put(key()))
        case 1: return .range(range())
        case 2: return .txn(txn())
        default: return .deleteRange(removal())
        }
    }

    private func key() -> [UInt8] { name(world.clientDice.below(keys)) }

    private func name(_ key: Int) -> [UInt8] { Array("k\(key)".utf8) }

    private func put(_ key: [UInt8]) -> Put {
        var value = Array("\(number).\(count).\(world.clientDice.below(1000))".utf8)
        if size > 0 {
            let size = Int(world.clientDice.within(0...size))
            value += (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ count) }
        }
        var put = Put(key, value)
        put.previous = world.clientDice.chance(percent: 30)
        return put
    }

    private func range() -> RangeRead {
        var read = RangeRead(KeySpan(key()))
        if world.clientDice.chance(percent: 40) {
            read.span = KeySpan(Array("k".utf8), end: Array("l".utf8))
            if world.clientDice.chance(percent: 30) { read.limit = 3 }
        }
        read.serializable = world.clientDice.chance(percent: 15)
        read.countOnly = world.clientDice.chance(percent: 5)
        read.keysOnly = world.clientDice.chance(percent: 5)
        let newest = world.clients.newestRevision
        if newest > 2, world.clientDice.chance(percent: 15) {
            read.revision = newest - Int64(world.clientDice.below(Int(min(newest - 1, 50))))
        }
        return read
    }

    private func removal() -> DeleteRange {
        var span = KeySpan(key())
        if world.clientDice.chance(percent: 10) {
            span = KeySpan(name(0), end: name(keys / 2))
        }
        return DeleteRange(span, previous: world.clientDice.chance(percent: 50))
    }

    private func txn() -> Txn {
        let first = world.clientDice.below(keys)
        let second = (first + 1) % keys
        guard first != second else {
            return Txn(compares: [condition(first)], success: [.put(put(name(first)))])
        }
        return Txn(
            compares: [condition(first)],
            success: [.put(put(name(first))), .put(put(name(second)))],
            failure: [.range(present()), .deleteRange(DeleteRange(KeySpan(name(second))))])
    }

    /// A read inside a transaction is of the present.
    private func present() -> RangeRead {
        var read = range()
        read.revision = 0
        read.serializable = false
        return read
    }

    private func condition(_ key: Int) -> Compare {
        let span = KeySpan(name(key))
        let relations = Compare.Relation.allCases
        let relation = relations[world.clientDice.below(relations.count)]
        let number = Int64(world.clientDice.below(3))
        switch world.clientDice.below(3) {
        case 0: return Compare(span, relation, .version(number))
        case 1:
            return Compare(
                span, relation, .modRevision(max(0, world.clients.newestRevision - number)))
        default: return Compare(span, relation, .createRevision(0))
        }
    }
}
