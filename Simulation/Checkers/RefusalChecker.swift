// RefusalChecker.swift: whether a put that keeps what is there was refused only where nothing was.
// Belongs here: refusals that depend on keys. Never here: those for compaction or leases.
// Source: semantics P4, T11.

/// Judges refusals for a missing key.
package struct RefusalChecker {
    private let truth: Linearization
    /// Keys that calls of unknown outcome or leases may have changed: their absence proves nothing.
    private let doubtful: Footprint
    /// For each revision the earliest start of a call that made it or a later one.
    private var earliest: [UInt64] = []

    package init(_ linearization: Linearization) {
        truth = linearization
        let keys = linearization.store.keys
        var ranges: [Range<Int>] = []
        for operation in linearization.history.operations {
            if case .unknown = operation.outcome {
                ranges += Footprint(operation.request, keys: keys).ranges
            }
            ranges += Footprint(leased: operation.request, keys: keys).ranges
        }
        doubtful = Footprint(ranges)
        var least = UInt64.max
        for writer in truth.writers.reversed() {
            switch writer {
            case .operation(let place):
                least = min(least, truth.history.operations[place].invoked)
            case .expiry: least = 0
            }
            earliest.append(least)
        }
        earliest.reverse()
    }

    /// All violations, in the order of the history.
    package func check() -> [Violation] {
        truth.history.operations.compactMap { operation in
            guard case .refused(let time, .keyNotFound) = operation.outcome else { return nil }
            let from = truth.knowledge.newest(before: operation.invoked)?.revision ?? 1
            let through = newest(begunBy: time)
            let kept = Self.kept(operation.request)
            let isJustified = kept.contains { wasAbsent($0, from: from, through: through) }
            guard !isJustified else { return nil }
            return Violation(
                .refusal, operations: [operation.number],
                "\(Describe.operation(operation)) found no key, but from revision \(from) to"
                    + " \(through) each key it keeps was there")
        }
    }

    /// The newest revision that may have existed at a time.
    private func newest(begunBy time: UInt64) -> Int64 {
        var low = 0
        var high = earliest.count
        while low < high {
            let middle = (low + high) / 2
            if earliest[middle] <= time { low = middle + 1 } else { high = middle }
        }
        return Int64(low) + 1
    }

    private func wasAbsent(_ key: [UInt8], from: Int64, through: Int64) -> Bool {
        guard let number = truth.store.keys.number(of: key) else { return true }
        if doubtful.overlaps(Footprint([number..<number + 1])) { return true }
        if truth.store.version(number, at: from) == nil { return true }
        return truth.store.versions[number].contains {
            !$0.isLive && $0.modRevision > from && $0.modRevision <= through
        }
    }

    private static func kept(_ request: Request) -> [[UInt8]] {
        switch request {
        case .put(let put): put.ignoreValue || put.ignoreLease ? [put.key] : []
        case .txn(let txn):
            (txn.success + txn.failure).flatMap { step -> [[UInt8]] in
                switch step {
                case .put(let put): kept(.put(put))
                case .txn(let inner): kept(.txn(inner))
                case .range, .deleteRange: []
                }
            }
        default: []
        }
    }
}
