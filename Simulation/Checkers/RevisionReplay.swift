// RevisionReplay.swift: replays a history revision by revision; goes back where a guess was bad.
// Belongs here: the walk and the comparison of answers. Never here: guesses (RevisionReplay+Gaps).
// Why: only unclaimed revisions need a guess; a contradiction sends the walk back to the last guess
// that has to do with the contradicting keys (backjumping), not simply to the last.

/// The search for causes of all revisions, and the store they make.
struct RevisionReplay {
    /// Why the walk cannot go on, and by which keys.
    struct Contradiction {
        let revision: Int64
        let violation: Violation
        let keys: Footprint
        /// Whether it is that no call is left for a revision, not that an answer is wrong.
        var isLack = false
    }

    let history: History
    let keys: KeyTable
    let knowledge: RevisionKnowledge
    /// By revision the place of the operation whose answer names it.
    let owners: [Int?]
    let lives: LeaseTimeline
    let evidence: GapEvidence
    /// What watches tell; nil where they are not believed, or nothing is to be guessed.
    let watches: WatchEvidence?
    /// Whether a lease may be taken to have ended before its time.
    let allowsEarlyEnds: Bool
    /// Places of answered calls that made no revision, in order of theirs.
    private let readers: [Int]
    /// For each revision the first of its readers.
    private let readerStarts: [Int]
    let suspects: Suspects
    /// Keys that ever hung on some lease.
    let leasedKeys: Footprint

    var store: ModelStore
    private(set) var writers: [Linearization.Writer] = []
    var guesses: [Guess] = []
    var isUsed: Set<Int> = []
    /// Calls tried so far; a bound keeps hopeless searches finite.
    var trials = 0

    init(
        history: History, keys: KeyTable, knowledge: RevisionKnowledge, owners: [Int?],
        lives: LeaseTimeline, believesWatches: Bool, allowsEarlyEnds: Bool
    ) {
        self.history = history
        self.keys = keys
        self.knowledge = knowledge
        self.owners = owners
        self.lives = lives
        let isGap = owners.enumerated().map { $0.offset > 1 && $0.element == nil }
        evidence = GapEvidence(
            history: history, keys: keys, isGap: isGap, believesWatches: believesWatches)
        let isOpen = isGap.contains(true)
        watches = isOpen && believesWatches ? WatchEvidence(history: history, keys: keys) : nil
        self.allowsEarlyEnds = allowsEarlyEnds
        store = ModelStore(keys: keys)
        var readers: [Int] = []
        var leased: [Range<Int>] = []
        for (place, operation) in history.operations.enumerated() {
            if let answer = operation.answer {
                let revision = Int(answer.response.revision)
                if owners[revision] != place { readers.append(place) }
            }
            leased += Footprint(leased: operation.request, keys: keys).ranges
        }
        let operations = history.operations
        func revision(_ place: Int) -> Int64 { operations[place].answer?.response.revision ?? 0 }
        readers.sort { (revision($0), $0) < (revision($1), $1) }
        var starts: [Int] = []
        for (index, place) in readers.enumerated() {
            while starts.count <= Int(revision(place)) { starts.append(index) }
        }
        while starts.count <= owners.count { starts.append(readers.count) }
        self.readers = readers
        readerStarts = starts
        suspects = Suspects(history: history, keys: keys)
        leasedKeys = Footprint(leased)
    }

    /// Walks to the end; returns the contradiction that was met furthest on if there is no way.
    mutating func run() -> Violation? {
        let trialsMax = 20 * owners.count + 1_000_000
        var furthest: Contradiction?
        var contradiction = checkReaders(at: 1)
        var revision: Int64 = 2
        while true {
            if let met = contradiction {
                if met.revision > furthest?.revision ?? 0 { furthest = met }
                guard let resumed = goBack(from: met.keys, isLack: met.isLack) else { break }
                if trials > trialsMax {
                    return Violation(
                        .undecided,
                        "no explanation among \(trials) tried; the walk came to this:"
                            + " \(furthest?.violation.description ?? "")")
                }
                contradiction = checkReaders(at: resumed)
                revision = resumed + 1
            } else if revision <= knowledge.maxRevision {
                contradiction = step(to: revision) ?? checkReaders(at: revision)
                revision += 1
            } else {
                return nil
            }
        }
        return furthest?.violation
    }

    private mutating func step(to revision: Int64) -> Contradiction? {
        guard let place = owners[Int(revision)] else { return guess(at: revision) }
        trials += 1
        let operation = history.operations[place]
        let body = store.perform(operation.request)
        if let body, store.revision == revision, body == operation.answer?.response.body {
            writers.append(.operation(place))
            return nil
        }
        store.undo(to: revision - 1)
        return contradiction(operation, expected: body, at: revision)
    }

    /// Compares the answers of all calls that saw the store at a revision.
    private mutating func checkReaders(at revision: Int64) -> Contradiction? {
        if let key = watches?.contradiction(store) {
            return Contradiction(
                revision: revision,
                violation: Violation(
                    .answer, "\(Describe.bytes(keys.keys[key])) at \(revision) is not as watched"),
                keys: Footprint([key..<key + 1]))
        }
        for index in readerStarts[Int(revision)]..<readerStarts[Int(revision) + 1] {
            let operation = history.operations[readers[index]]
            guard let body = operation.answer?.response.body else { continue }
            switch operation.request {
            case .range, .deleteRange, .txn, .put:
                let expected = store.perform(operation.request)
                let changed = store.revision != revision
                if changed { store.undo(to: revision) }
                if changed || expected != body {
                    return contradiction(operation, expected: expected, at: revision)
                }
            case .leaseRevoke(let id):
                guard !store.keys(ofLease: id).isEmpty else { continue }
                let left = store.keys(ofLease: id).map { Describe.bytes(keys.keys[$0]) }
                return Contradiction(
                    revision: revision,
                    violation: Violation(
                        .answer, operations: [operation.number],
                        "\(Describe.operation(operation)) was answered at revision \(revision),"
                            + " where the keys \(Describe.list(left)) still hang on it"),
                    keys: leasedKeys)
            case .compact, .leaseGrant, .leaseKeepAlive, .leaseTimeToLive: continue
            }
        }
        return nil
    }

    private func contradiction(
        _ operation: Operation, expected: ResponseBody?, at revision: Int64
    ) -> Contradiction {
        let given = operation.answer?.response.body
        return Contradiction(
            revision: revision,
            violation: Violation(
                .answer, operations: [operation.number],
                "\(Describe.operation(operation)) was answered at revision \(revision) with"
                    + " \(given.map(Describe.body) ?? "nothing"), but the store then gives"
                    + " \(expected.map(Describe.body) ?? "a refusal")"),
            keys: cause(operation.request, expected, given))
    }

    /// The keys that a difference comes from: one, if an item of a read shows it.
    private func cause(
        _ request: Request, _ expected: ResponseBody?, _ given: ResponseBody?
    ) -> Footprint {
        if case .range(let one)? = expected, case .range(let other)? = given {
            for (left, right) in zip(one.keyValues, other.keyValues) where left != right {
                let isLeft = left.key.lexicographicallyPrecedes(right.key)
                return Footprint([keys.numbers(in: KeySpan(isLeft ? left.key : right.key))])
            }
            let (few, many) =
                one.keyValues.count < other.keyValues.count
                ? (one.keyValues, other.keyValues) : (other.keyValues, one.keyValues)
            if let extra = many.dropFirst(few.count).first {
                return Footprint([keys.numbers(in: KeySpan(extra.key))])
            }
        }
        return Footprint(request, keys: keys)
    }

    /// Records what made the newest revision.
    mutating func note(_ writer: Linearization.Writer) { writers.append(writer) }

    /// Forgets all above a revision.
    mutating func undo(to revision: Int64) {
        store.undo(to: revision)
        writers.removeLast(max(0, writers.count - Int(revision - 1)))
    }
}
