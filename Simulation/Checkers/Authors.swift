// Authors.swift: which call alone can have put a value, and which puts are known by their revision.
// Belongs here: what the calls themselves tell. Never here: what was seen (GapEvidence.swift).
// Why: clients that never put a value twice make lost answers easy to place.

/// The calls behind values and revisions.
struct Authors {
    private struct Text: Hashable {
        let key: Int
        let value: [UInt8]

        // The bytes at once: those of an array would be hashed one by one.
        func hash(into hasher: inout Hasher) {
            hasher.combine(key)
            value.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
    }

    /// The place of the one lost call that puts a value; -1 for several calls.
    private var places: [Text: Int] = [:]
    /// Keys that somebody puts without a value: theirs outlive their revision.
    private var isKept: [Bool] = []
    /// By key, the revisions of answered puts, in order.
    private var revisions: [[Int64]] = []

    init() {}

    init(history: History, keys: KeyTable) {
        isKept = Array(repeating: false, count: keys.keys.count)
        revisions = Array(repeating: [], count: keys.keys.count)
        for (place, operation) in history.operations.enumerated() {
            guard case .unknown = operation.outcome else { continue }
            Self.forEachPut(operation.request, nil) { put in
                guard let key = keys.number(of: put.key) else { return }
                let text = Text(key: key, value: put.value)
                places[text] = places[text] == nil ? place : -1
            }
        }
        for operation in history.operations {
            Self.forEachPut(operation.request, nil) { put in
                guard let key = keys.number(of: put.key) else { return }
                if put.ignoreValue { isKept[key] = true }
                let text = Text(key: key, value: put.value)
                if case .answered = operation.outcome, places[text] != nil { places[text] = -1 }
            }
            guard let answer = operation.answer else { continue }
            Self.forEachPut(operation.request, answer.response.body) { put in
                guard let key = keys.number(of: put.key) else { return }
                revisions[key].append(answer.response.revision)
            }
        }
        for key in revisions.indices { revisions[key].sort() }
    }

    /// The place of the lost call that alone can have put what was seen; nil if none can be told.
    func author(of item: KeyValue, at key: Int) -> Int? {
        // A put that keeps the value is not the first of its key.
        guard !places.isEmpty, !isKept[key] || item.version == 1,
            let place = places[Text(key: key, value: item.value)], place >= 0
        else { return nil }
        return place
    }

    /// How many answered puts of a key have a revision between two others.
    func puts(of key: Int, after low: Int64, before high: Int64) -> Int {
        max(0, count(key, below: high) - count(key, below: low + 1))
    }

    private func count(_ key: Int, below revision: Int64) -> Int {
        var low = 0
        var high = revisions[key].count
        while low < high {
            let middle = (low + high) / 2
            if revisions[key][middle] < revision { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Goes through the puts of a call; with an answer, of the path that was taken.
    private static func forEachPut(
        _ request: Request, _ body: ResponseBody?, _ take: (Put) -> Void
    ) {
        switch request {
        case .put(let put): take(put)
        case .txn(let txn):
            var steps = txn.success + txn.failure
            var answers: [ResponseBody?] = steps.map { _ in nil }
            if case .txn(let succeeded, let given)? = body {
                steps = succeeded ? txn.success : txn.failure
                answers = given
            }
            for (step, answer) in zip(steps, answers) {
                switch step {
                case .put(let put): take(put)
                case .txn(let inner): forEachPut(.txn(inner), answer, take)
                case .range, .deleteRange: continue
                }
            }
        default: return
        }
    }
}
