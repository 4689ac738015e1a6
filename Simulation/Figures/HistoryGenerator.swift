// HistoryGenerator.swift: true histories of random concurrent clients, from a seed.
// Belongs here: clients, time and outcomes. Never here: watches (HistoryGenerator+Watches.swift),
// what a store does (NaiveStore.swift).
import Raft

/// Runs random clients against one naive store.
struct HistoryGenerator {
    struct Odds {
        var clients = 4
        var operations = 60
        var keys: UInt64 = 5
        /// Percent of calls whose outcome stays unknown.
        var unknown: UInt64 = 10
        var hasLeases = true
        var hasCompactions = true
        var hasOldReads = true
        var window: Int64?
    }

    private struct Flight {
        var place: Int
        var point: UInt64
        var end: UInt64
        var isUnknown: Bool
        var isApplied: Bool
        var response: Operation.Outcome?
    }

    var odds: Odds
    var random: SeededGenerator
    var store = NaiveStore()
    var history = History()
    /// When each revision came into being.
    var madeAt: [UInt64] = [0, 0]
    /// The compacted revision with the time of each change.
    var compactions: [(at: UInt64, revision: Int64)] = []
    private var now: UInt64 = 1_000
    private var flights: [Flight?] = []
    private var values = 0
    private var leases: [Int64] = []
    private var deadlines: [Int64: UInt64] = [:]
    private var leaseCount: Int64 = 0

    init(seed: UInt64, odds: Odds = Odds()) {
        random = SeededGenerator(seed: seed)
        self.odds = odds
        store.window = odds.window
    }

    /// No clock drifts here, and ends are at most two seconds late under the one leader.
    var terms: LeaseTerms {
        LeaseTerms(lateMax: 2_000_000, reigns: [LeaseTerms.Reign(from: 0, until: .max)])
    }

    var contents: [FinalContent] {
        let items = store.content.values.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        return (1...3).map {
            FinalContent(member: $0, revision: store.revision, keyValues: items)
        }
    }

    mutating func run() {
        flights = Array(repeating: nil, count: odds.clients)
        while history.operations.count < odds.operations || flights.contains(where: { $0 != nil }) {
            now += 1 + draw(odds.hasLeases ? 20_000 : 40)
            expireLeases()
            let client = Int(draw(UInt64(odds.clients)))
            guard let flight = flights[client] else {
                if history.operations.count < odds.operations { begin(client) }
                continue
            }
            advance(flight, client)
        }
        odds.operations += 1
        begin(0, with: .range(RangeRead(.everything)))
        while let flight = flights[0] {
            now += 10
            advance(flight, 0)
        }
    }

    mutating func draw(_ bound: UInt64) -> UInt64 { random.next(below: bound) }

    private mutating func begin(_ client: Int, with request: Request? = nil) {
        let number = history.operations.count
        let asked = request ?? self.request()
        let isUnknown = request == nil && draw(100) < odds.unknown
        history.operations.append(
            Operation(
                client: client, number: number, member: 1 + draw(3), invoked: now,
                request: asked))
        flights[client] = Flight(
            place: number, point: now + draw(60), end: now + 60 + draw(60), isUnknown: isUnknown,
            isApplied: !isUnknown || draw(2) == 0)
    }

    private mutating func advance(_ old: Flight, _ client: Int) {
        var flight = old
        if flight.response == nil, now >= flight.point {
            flight.response = flight.isApplied ? apply(flight.place) : .unknown
        } else if let response = flight.response, now >= flight.end {
            if !flight.isUnknown { history.operations[flight.place].outcome = response }
            flights[client] = nil
            return
        }
        flights[client] = flight
    }

    /// Carries out a call now; the time in the outcome is that of its latest possible return.
    private mutating func apply(_ place: Int) -> Operation.Outcome {
        let operation = history.operations[place]
        let at = now + draw(30)
        if case .range(let read) = operation.request, read.serializable, read.revision == 0 {
            return stale(read, at)
        }
        if let refused = refusedForLease(operation.request) { return .refused(at: at, refused) }
        let result = store.perform(operation.request)
        note()
        guard case .done(var body) = result else {
            guard case .refused(let refusal) = result else { return .unknown }
            return .refused(at: at, refusal)
        }
        switch operation.request {
        case .compact(let revision): compactions.append((now, revision))
        case .leaseGrant(let id, let ttl):
            leases.append(id)
            deadlines[id] = now + UInt64(ttl) * 1_000_000
        case .leaseRevoke(let id): deadlines[id] = nil
        case .leaseKeepAlive(let id):
            if deadlines[id] != nil {
                deadlines[id] = now + 2_000_000
                body = .leaseKeepAlive(ttl: 2)
            }
        default: break
        }
        return .answered(at: at, Response(revision: store.revision, body))
    }

    private mutating func stale(_ read: RangeRead, _ at: UInt64) -> Operation.Outcome {
        let low = max(1, store.revision - 3)
        var old = read
        old.revision = low + Int64(draw(UInt64(store.revision - low + 1)))
        old.revision = max(old.revision, store.compacted)
        guard case .done(let body) = store.range(old) else { return .unknown }
        return .answered(at: at, Response(revision: old.revision, body))
    }

    private func refusedForLease(_ request: Request) -> Refusal? {
        switch request {
        case .put(let put): put.lease != 0 && deadlines[put.lease] == nil ? .leaseNotFound : nil
        case .leaseRevoke(let id): deadlines[id] == nil ? .leaseNotFound : nil
        default: nil
        }
    }

    private mutating func expireLeases() {
        for lease in leases {
            guard let deadline = deadlines[lease], deadline + 200_000 < now else { continue }
            deadlines[lease] = nil
            store.expire(lease: lease)
            note()
        }
    }

    private mutating func note() {
        while Int64(madeAt.count) <= store.revision { madeAt.append(now) }
    }

    private mutating func key() -> [UInt8] { Array("k\(draw(odds.keys))".utf8) }

    private mutating func span() -> KeySpan {
        switch draw(5) {
        case 0: return .everything
        case 1: return KeySpan(key(), end: key())
        case 2: return KeySpan(key(), end: [0])
        default: return KeySpan(key())
        }
    }

    private mutating func put() -> Put {
        values += 1
        let lease =
            odds.hasLeases && !leases.isEmpty && draw(3) == 0
            ? leases[leases.count - 1 - Int(draw(UInt64(min(3, leases.count))))] : 0
        var put = Put(key(), Array("v\(values)".utf8), lease: lease, previous: draw(2) == 0)
        if draw(12) == 0 { put.ignoreLease = true; put.lease = 0 }
        if draw(12) == 0 { put.ignoreValue = true; put.value = [] }
        return put
    }

    private mutating func read() -> RangeRead {
        var read = RangeRead(
            span(), serializable: draw(5) == 0, limit: draw(4) == 0 ? 1 + Int(draw(3)) : 0,
            countOnly: draw(10) == 0, keysOnly: draw(10) == 0)
        if odds.hasOldReads, draw(5) == 0, !read.serializable {
            read.revision = max(1, store.revision - Int64(draw(6)))
        }
        return read
    }

    private mutating func txn(depth: Int = 0) -> Txn {
        let item = key()
        let old = store.content[item]
        let operand: Compare.Operand =
            switch draw(5) {
            case 0: .version(old?.version ?? 0)
            case 1: .value(old?.value ?? [])
            case 2: .createRevision(old?.createRevision ?? 0)
            case 3: .lease(old?.lease ?? 0)
            default: .modRevision(old?.modRevision ?? 0)
            }
        let relation = Compare.Relation.allCases[Int(draw(4))]
        var steps: [TxnStep] = []
        // A put never meets another put or delete of its key in one path (T5).
        values += 1
        steps.append(.put(Put(item, Array("v\(values)".utf8), previous: draw(2) == 0)))
        steps.append(.range(RangeRead(span())))
        if depth == 0, draw(6) == 0 {
            steps.append(.txn(Txn(success: [.range(RangeRead(KeySpan(item)))])))
        }
        return Txn(
            compares: [Compare(KeySpan(item), relation, operand)], success: steps,
            failure: draw(2) == 0
                ? [.range(RangeRead(span()))]
                : [.deleteRange(DeleteRange(span(), previous: draw(2) == 0))])
    }

    private mutating func request() -> Request {
        switch draw(24) {
        case 0..<8: return .put(put())
        case 8..<15: return .range(read())
        case 15..<17: return .deleteRange(DeleteRange(span(), previous: draw(2) == 0))
        case 17..<20: return .txn(txn())
        case 20 where odds.hasCompactions:
            return .compact(revision: max(1, store.revision - Int64(draw(5))))
        case 21 where odds.hasLeases:
            leaseCount += 1
            return .leaseGrant(id: leaseCount, ttl: 2)
        case 22 where odds.hasLeases && !leases.isEmpty:
            return .leaseKeepAlive(id: leases[Int(draw(UInt64(leases.count)))])
        case 23 where odds.hasLeases && !leases.isEmpty && draw(3) == 0:
            return .leaseRevoke(id: leases[Int(draw(UInt64(leases.count)))])
        default: return .put(put())
        }
    }
}
