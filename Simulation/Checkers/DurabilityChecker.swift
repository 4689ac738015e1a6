// DurabilityChecker.swift: whether the content at the end shows every acknowledged write.
// Belongs here: the last acknowledged change of each key. Never here: the order of all calls.
// Why: independent of the replay, so that a fault in one checker does not blind both.

/// Compares final contents with what was acknowledged.
package struct DurabilityChecker {
    /// The last acknowledged change of a key.
    private struct Last {
        let revision: Int64
        let operation: Int
        /// Nil where the key was deleted, or the value cannot be told.
        let value: [UInt8]?
        let isDelete: Bool
        let lease: Int64
    }

    private let keys: KeyTable
    private var last: [Last?]
    /// By key, whether a call of unknown outcome, or a transaction, may have changed it.
    private var isOpen: [Bool]
    private var newest: Int64 = 1

    package init(history: History) {
        keys = KeyTable(history: history)
        last = Array(repeating: nil, count: keys.keys.count)
        isOpen = Array(repeating: false, count: keys.keys.count)
        for operation in history.operations {
            switch operation.outcome {
            case .answered(_, let response):
                newest = max(newest, response.revision)
                note(operation.request, response.body, response.revision, operation.number)
            case .unknown:
                for range in Footprint(operation.request, keys: keys).ranges {
                    for key in range { isOpen[key] = true }
                }
            case .refused: continue
            }
        }
    }

    private mutating func note(
        _ request: Request, _ body: ResponseBody, _ revision: Int64, _ operation: Int
    ) {
        switch (request, body) {
        case (.put(let put), _):
            guard let key = keys.number(of: put.key) else { return }
            let value = put.ignoreValue ? nil : put.value
            // A put that keeps the lease may have kept any.
            let lease = put.ignoreLease ? -1 : put.lease
            set(
                key,
                Last(
                    revision: revision, operation: operation, value: value, isDelete: false,
                    lease: lease))
        case (.deleteRange(let delete), .deleteRange(let deleted, _)):
            guard deleted > 0 else { return }
            for key in keys.numbers(in: delete.span) {
                set(
                    key,
                    Last(
                        revision: revision, operation: operation, value: nil, isDelete: true,
                        lease: 0))
            }
        case (.txn(let txn), .txn(let succeeded, let answers)):
            for (step, answer) in zip(succeeded ? txn.success : txn.failure, answers) {
                switch step {
                case .put(let put): note(.put(put), answer, revision, operation)
                case .deleteRange(let delete):
                    note(.deleteRange(delete), answer, revision, operation)
                case .txn(let inner): note(.txn(inner), answer, revision, operation)
                case .range: continue
                }
            }
        default: return
        }
    }

    private mutating func set(_ key: Int, _ change: Last) {
        if let old = last[key], old.revision > change.revision { return }
        last[key] = change
    }

    /// What a member's final content lacks, or has without a cause.
    package func check(_ content: FinalContent) -> [Violation] {
        var violations: [Violation] = []
        if content.revision < newest {
            violations.append(
                Violation(
                    .durability,
                    "member \(content.member) ends at revision \(content.revision), but"
                        + " \(newest) was acknowledged"))
        }
        var found = [KeyValue?](repeating: nil, count: keys.keys.count)
        for item in content.keyValues {
            guard let key = keys.number(of: item.key) else {
                violations.append(
                    Violation(
                        .durability,
                        "member \(content.member) has \(Describe.keyValue(item)), which nobody put")
                )
                continue
            }
            found[key] = item
        }
        for key in found.indices {
            guard let problem = problem(key, found[key]) else { continue }
            violations.append(
                Violation(
                    .durability, operations: last[key].map { [$0.operation] } ?? [],
                    "member \(content.member): \(Describe.bytes(keys.keys[key])) \(problem)"))
        }
        return violations
    }

    private func problem(_ key: Int, _ found: KeyValue?) -> String? {
        guard let last = last[key] else {
            return found != nil && !isOpen[key] ? "is there, but no put was acknowledged" : nil
        }
        let who = "call \(last.operation) at revision \(last.revision)"
        guard let found else {
            if last.isDelete || isOpen[key] || last.lease != 0 { return nil }
            return "is gone, but was put by \(who)"
        }
        if found.modRevision < last.revision {
            return "is of revision \(found.modRevision), but was changed by \(who)"
        }
        if found.modRevision == last.revision {
            if last.isDelete { return "is there, but was deleted by \(who)" }
            if let value = last.value, value != found.value {
                return "is \(Describe.bytes(found.value)), but \(who) put \(Describe.bytes(value))"
            }
            return nil
        }
        return isOpen[key] ? nil : "is of revision \(found.modRevision), later than \(who)"
    }
}
