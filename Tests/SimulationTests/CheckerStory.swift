// CheckerStory.swift: one true history, small enough to know by heart, which tests falsify.
// Belongs here: the story. Never here: its falsifications (CheckerMutation…Tests).
import Simulation
import Testing

/// What a checked run consists of, open to changes.
struct CheckerStory {
    var history = History()
    var terms = LeaseTerms(
        lateMax: 500_000, reigns: [LeaseTerms.Reign(from: 0, until: 10_000_000)])
    var contents: [FinalContent] = []

    func check() -> [Violation] {
        HistoryChecker.check(history, terms: terms, contents: contents)
    }

    init() {
        tellOfKeys()
        tellOfCompaction()
        tellOfLeases()
        tellOfWatches()
        contents = [1, 2].map {
            FinalContent(member: $0, revision: 12, keyValues: [Self.a2, Self.c, Self.d])
        }
    }

    static let a1 = item("a", "1", 2, 2, 1)
    static let a2 = item("a", "2", 2, 4, 2)
    static let b1 = item("b", "1", 3, 3, 1)
    static let c = item("c", "x", 5, 5, 1)
    static let d = item("d", "9", 7, 7, 1)
    static let l1 = item("l1", "v", 8, 8, 1, lease: 5)
    static let l2 = item("l2", "v", 9, 9, 1, lease: 5)
    static let m = item("m", "v", 11, 11, 1, lease: 6)

    static func item(
        _ key: String, _ value: String, _ create: Int64, _ mod: Int64, _ version: Int64,
        lease: Int64 = 0
    ) -> KeyValue {
        KeyValue(
            key: Array(key.utf8), value: Array(value.utf8), createRevision: create,
            modRevision: mod, version: version, lease: lease)
    }

    static func span(_ key: String, to end: String = "") -> KeySpan {
        KeySpan(Array(key.utf8), end: Array(end.utf8))
    }

    static func put(_ key: String, _ value: String, lease: Int64 = 0) -> Put {
        Put(Array(key.utf8), Array(value.utf8), lease: lease)
    }

    /// Adds a call of 10 microseconds; its number is its place.
    mutating func call(_ at: UInt64, _ request: Request, _ revision: Int64, _ body: ResponseBody) {
        add(at, request, .answered(at: at + 10, Response(revision: revision, body)))
    }

    mutating func add(_ at: UInt64, _ request: Request, _ outcome: Operation.Outcome) {
        history.operations.append(
            Operation(
                client: 1, number: history.operations.count, member: 1, invoked: at,
                request: request, outcome: outcome))
    }

    static func found(_ items: [KeyValue]) -> ResponseBody {
        .range(RangeAnswer(items, count: items.count))
    }

    private mutating func tellOfKeys() {
        call(10, .put(Self.put("a", "1")), 2, .put(previous: nil))  // 0
        call(30, .put(Self.put("b", "1")), 3, .put(previous: nil))  // 1
        call(50, .range(RangeRead(Self.span("a"))), 3, Self.found([Self.a1]))  // 2
        var second = Self.put("a", "2")
        second.previous = true
        call(70, .put(second), 4, .put(previous: Self.a1))  // 3
        let txn = Txn(
            compares: [Compare(Self.span("a"), .equal, .modRevision(4))],
            success: [.put(Self.put("c", "x")), .range(RangeRead(.everything))])
        call(
            90, .txn(txn), 5,
            .txn(
                succeeded: true,
                answers: [.put(previous: nil), Self.found([Self.a2, Self.b1, Self.c])]))  // 4
        call(
            110, .range(RangeRead(.everything, revision: 3)), 5, Self.found([Self.a1, Self.b1]))
        call(
            130, .deleteRange(DeleteRange(Self.span("b"), previous: true)), 6,
            .deleteRange(deleted: 1, previous: [Self.b1]))  // 6
        call(
            150, .range(RangeRead(Self.span("b"), serializable: true)), 5, Self.found([Self.b1]))
        add(170, .put(Self.put("d", "9")), .unknown)  // 8
        call(200, .range(RangeRead(Self.span("d"))), 7, Self.found([Self.d]))  // 9
    }

    private mutating func tellOfCompaction() {
        call(220, .compact(revision: 4), 7, .compact)  // 10
        add(
            240, .range(RangeRead(Self.span("a"), revision: 3)), .refused(at: 250, .compacted))
        call(
            260, .range(RangeRead(.everything, limit: 1)), 7,
            .range(RangeAnswer([Self.a2], count: 3, more: true)))  // 12
        add(
            280, .range(RangeRead(Self.span("a"), revision: 99)),
            .refused(at: 290, .futureRevision))  // 13
        var kept = Self.put("z", "")
        kept.ignoreValue = true
        add(300, .put(kept), .refused(at: 310, .keyNotFound))  // 14
    }

    private mutating func tellOfLeases() {
        call(320, .leaseGrant(id: 5, ttl: 2), 7, .leaseGrant(id: 5, ttl: 2))  // 15
        call(340, .put(Self.put("l1", "v", lease: 5)), 8, .put(previous: nil))  // 16
        call(360, .put(Self.put("l2", "v", lease: 5)), 9, .put(previous: nil))  // 17
        call(1_000_000, .leaseKeepAlive(id: 5), 9, .leaseKeepAlive(ttl: 2))  // 18
        call(3_500_000, .range(RangeRead(Self.span("l", to: "m"))), 10, Self.found([]))  // 19
        call(3_600_000, .leaseKeepAlive(id: 5), 10, .leaseKeepAlive(ttl: 0))  // 20
        add(
            3_700_000, .put(Self.put("l1", "w", lease: 5)),
            .refused(at: 3_700_010, .leaseNotFound))  // 21
        call(3_800_000, .leaseGrant(id: 6, ttl: 100), 10, .leaseGrant(id: 6, ttl: 100))  // 22
        call(3_900_000, .put(Self.put("m", "v", lease: 6)), 11, .put(previous: nil))  // 23
        call(
            3_950_000, .leaseTimeToLive(id: 6), 11, .leaseTimeToLive(ttl: 99, granted: 100))
        call(4_000_000, .leaseRevoke(id: 6), 12, .leaseRevoke)  // 25
        call(4_100_000, .range(RangeRead(Self.span("m"))), 12, Self.found([]))  // 26
    }

    static func event(_ item: KeyValue, _ previous: KeyValue? = nil) -> WatchEvent {
        WatchEvent(.put(item), previous: previous)
    }

    static func event(deleted item: KeyValue, _ revision: Int64) -> WatchEvent {
        WatchEvent(.delete(key: item.key, modRevision: revision), previous: item)
    }

    static func receipt(
        _ at: UInt64, _ revision: Int64, _ events: [WatchEvent], fragment: Bool = false
    ) -> WatchReceipt {
        WatchReceipt(at: at, revision: revision, .events(events, fragment: fragment))
    }

    private mutating func tellOfWatches() {
        let first = WatchAttempt(
            member: 1, started: 5, startRevision: 2,
            receipts: [
                WatchReceipt(at: 6, revision: 1, .created),
                Self.receipt(15, 2, [Self.event(Self.a1)]),
                Self.receipt(35, 3, [Self.event(Self.b1)]),
                Self.receipt(75, 4, [Self.event(Self.a2, Self.a1)]),
                Self.receipt(95, 5, [Self.event(Self.c)]),
            ])
        let second = WatchAttempt(
            member: 2, started: 100, startRevision: 6,
            receipts: [
                WatchReceipt(at: 101, revision: 5, .created),
                Self.receipt(135, 6, [Self.event(deleted: Self.b1, 6)]),
                Self.receipt(205, 7, [Self.event(Self.d)]),
                WatchReceipt(at: 215, revision: 7, .progress),
                Self.receipt(375, 9, [Self.event(Self.l1), Self.event(Self.l2)]),
                Self.receipt(
                    3_400_000, 10,
                    [Self.event(deleted: Self.l1, 10), Self.event(deleted: Self.l2, 10)]),
                Self.receipt(3_900_005, 11, [Self.event(Self.m)]),
                Self.receipt(4_000_005, 12, [Self.event(deleted: Self.m, 12)]),
            ])
        let third = WatchAttempt(
            member: 3, started: 25, startRevision: 0,
            receipts: [
                WatchReceipt(at: 45, revision: 3, .created),
                Self.receipt(85, 4, [Self.event(Self.a2)]),
            ])
        let fourth = WatchAttempt(
            member: 3, started: 400, startRevision: 2,
            receipts: [
                WatchReceipt(at: 401, revision: 9, .created),
                WatchReceipt(at: 402, revision: 0, .canceled(compactRevision: 4)),
            ])
        history.watches = [
            Watch(
                client: 2, number: 0, span: .everything, previous: true,
                attempts: [first, second], mustReach: 12),
            Watch(
                client: 3, number: 1, span: Self.span("a", to: "b"), noDelete: true,
                attempts: [third], mustReach: 12),
            Watch(client: 4, number: 2, span: Self.span("a"), attempts: [fourth]),
        ]
    }
}

/// A falsified story with the rules of which at least one must be found broken.
struct Falsification: CustomTestStringConvertible, Sendable {
    let name: String
    let rules: Set<Violation.Rule>
    let change: @Sendable (inout CheckerStory) -> Void

    var testDescription: String { name }

    init(
        _ name: String, _ rules: Set<Violation.Rule>,
        _ change: @escaping @Sendable (inout CheckerStory) -> Void
    ) {
        self.name = name
        self.rules = rules
        self.change = change
    }
}

extension CheckerStory {
    /// Replaces the answer of a call.
    mutating func answer(_ place: Int, _ body: ResponseBody) {
        guard case .answered(let at, var response) = history.operations[place].outcome else {
            return
        }
        response.body = body
        history.operations[place].outcome = .answered(at: at, response)
    }

    /// Replaces the revision of a call's answer.
    mutating func answer(_ place: Int, revision: Int64) {
        guard case .answered(let at, var response) = history.operations[place].outcome else {
            return
        }
        response.revision = revision
        history.operations[place].outcome = .answered(at: at, response)
    }

    /// Drops all watches, so that only calls speak.
    mutating func dropWatches() { history.watches = [] }

    /// Replaces a response of a watch.
    mutating func receive(_ watch: Int, _ attempt: Int, _ place: Int, _ receipts: [WatchReceipt]) {
        history.watches[watch].attempts[attempt].receipts.replaceSubrange(
            place..<place + 1, with: receipts)
    }
}
