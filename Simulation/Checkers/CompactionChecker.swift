// CompactionChecker.swift: reads of old revisions, compactions, and refusals for either.
// Belongs here: the compacted revision and its bounds in time. Never here: what old reads hold,
// which the replay compares (RevisionReplay.swift).
// Source: semantics R8, T11, C1 to C3.

/// Which compactions were done, or begun, by when.
package struct CompactionTimes: Sendable {
    /// By time of the answer, and by time of the call: each with the greatest revision so far.
    private let done: [(at: UInt64, revision: Int64)]
    private let begun: [(at: UInt64, revision: Int64)]
    private let firstBegun: [Int64: UInt64]

    /// Compactions that no client asked for must stand in the history as calls of unknown outcome.
    package init(history: History) {
        var done: [(at: UInt64, revision: Int64)] = []
        var begun: [(at: UInt64, revision: Int64)] = []
        var first: [Int64: UInt64] = [:]
        for operation in history.operations {
            guard case .compact(let revision) = operation.request else { continue }
            if case .refused = operation.outcome { continue }
            begun.append((operation.invoked, revision))
            first[revision] = min(first[revision] ?? .max, operation.invoked)
            if let answer = operation.answer { done.append((answer.at, revision)) }
        }
        self.done = Self.rising(done)
        self.begun = Self.rising(begun)
        firstBegun = first
    }

    private static func rising(
        _ all: [(at: UInt64, revision: Int64)]
    ) -> [(at: UInt64, revision: Int64)] {
        var kept: [(at: UInt64, revision: Int64)] = []
        for item in all.sorted(by: { $0 < $1 }) where item.revision > kept.last?.revision ?? .min {
            kept.append(item)
        }
        return kept
    }

    /// How many, from the first on, have a time that passes.
    private static func count(
        _ all: [(at: UInt64, revision: Int64)], while passes: (UInt64) -> Bool
    ) -> Int {
        var low = 0
        var high = all.count
        while low < high {
            let middle = (low + high) / 2
            if passes(all[middle].at) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The least that the compacted revision was at a time; nil if no compaction had ended.
    package func done(before time: UInt64) -> Int64? {
        let count = Self.count(done) { $0 < time }
        return count > 0 ? done[count - 1].revision : nil
    }

    /// The most that the compacted revision was at a time; nil if none had begun.
    package func begun(by time: UInt64) -> Int64? {
        let count = Self.count(begun) { $0 <= time }
        return count > 0 ? begun[count - 1].revision : nil
    }

    /// Whether somebody had asked for this very revision by a time.
    package func wasBegun(_ revision: Int64, by time: UInt64) -> Bool {
        (firstBegun[revision] ?? .max) <= time
    }
}

/// Judges everything that depends on the compacted revision.
package struct CompactionChecker {
    private let history: History
    private let knowledge: RevisionKnowledge
    private let times: CompactionTimes

    package init(_ linearization: Linearization) {
        history = linearization.history
        knowledge = linearization.knowledge
        times = CompactionTimes(history: history)
    }

    /// All violations, in the order of the history.
    package func check() -> [Violation] {
        history.operations.compactMap { operation in
            switch operation.outcome {
            case .answered(_, let response): checkAnswer(operation, response)
            case .refused(let time, let refusal): checkRefusal(operation, refusal, at: time)
            case .unknown: nil
            }
        }
    }

    private func checkAnswer(_ operation: Operation, _ response: Response) -> Violation? {
        switch operation.request {
        case .compact(let revision):
            if revision > response.revision {
                return violation(
                    operation,
                    "was answered, but the store is at"
                        + " \(response.revision)")
            }
            guard let done = times.done(before: operation.invoked), done >= revision else {
                return nil
            }
            return violation(operation, "was answered, but \(done) was compacted already")
        case .range, .txn:
            guard operation.isLinearizable, let done = times.done(before: operation.invoked),
                let old = Self.oldReads(operation.request, response.body).first(where: { $0 < done }
                )
            else { return nil }
            return violation(operation, "read revision \(old), but \(done) was compacted already")
        case .put, .deleteRange, .leaseGrant, .leaseRevoke, .leaseKeepAlive, .leaseTimeToLive:
            return nil
        }
    }

    private func checkRefusal(
        _ operation: Operation, _ refusal: Refusal, at time: UInt64
    ) -> Violation? {
        let asked = Self.oldReads(operation.request, nil)
        switch refusal {
        case .compacted:
            let begun = times.begun(by: time)
            if case .compact(let revision) = operation.request {
                if let begun, revision <= begun { return nil }
            } else if let begun, asked.contains(where: { $0 < begun }) {
                return nil
            }
            return violation(
                operation,
                "was refused as compacted, but"
                    + (begun.map { " at most \($0) was" } ?? " nothing was"))
        case .futureRevision:
            guard operation.isLinearizable else { return nil }
            let known = knowledge.newest(before: operation.invoked)?.revision ?? 1
            // A transaction reads before its own change: one above the present is future.
            if case .compact(let revision) = operation.request, revision > known { return nil }
            if asked.contains(where: { $0 > known }) { return nil }
            return violation(operation, "was refused as of the future, but \(known) was reached")
        case .leaseNotFound, .leaseExists, .keyNotFound, .other: return nil
        }
    }

    /// The revisions of all reads; with an answer, of those on the path that was taken.
    private static func oldReads(_ request: Request, _ body: ResponseBody?) -> [Int64] {
        switch request {
        case .range(let read): read.revision > 0 ? [read.revision] : []
        case .txn(let txn): oldReads(txn, body)
        default: []
        }
    }

    private static func oldReads(_ txn: Txn, _ body: ResponseBody?) -> [Int64] {
        var steps = txn.success + txn.failure
        if case .txn(let succeeded, _)? = body { steps = succeeded ? txn.success : txn.failure }
        return steps.flatMap { step -> [Int64] in
            switch step {
            case .range(let read): read.revision > 0 ? [read.revision] : []
            case .txn(let inner): body == nil ? oldReads(inner, nil) : []
            case .put, .deleteRange: []
            }
        }
    }

    private func violation(_ operation: Operation, _ text: String) -> Violation {
        Violation(
            .compaction, operations: [operation.number],
            "\(Describe.operation(operation)) \(text)")
    }
}
