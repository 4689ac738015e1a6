// LeaseChecker.swift: whether leases live as long as promised, and no longer than allowed.
// Belongs here: ends of leases against times. Never here: which keys a lease had (the replay).
// Source: semantics L1 to L4, L6, L7, L10, P3. Unknown outcomes, and numbers granted more than
// once, only make the checker more lenient.

/// Judges all leases of a history.
package struct LeaseChecker {
    private let truth: Linearization
    private let lives: LeaseTimeline
    /// By lease, the earliest time by which it was certainly gone.
    private var goneBy: [Int64: UInt64] = [:]
    /// By lease, the earliest time at which a revoke was asked for.
    private var revokeBegun: [Int64: UInt64] = [:]

    package init(_ linearization: Linearization, terms: LeaseTerms) {
        truth = linearization
        lives = LeaseTimeline(history: linearization.history, terms: terms)
        for operation in truth.history.operations {
            guard case .leaseRevoke(let id) = operation.request else { continue }
            if case .refused = operation.outcome { continue }
            revokeBegun[id] = min(revokeBegun[id] ?? .max, operation.invoked)
            if let answer = operation.answer { goneBy[id] = min(goneBy[id] ?? .max, answer.at) }
        }
        for (place, writer) in truth.writers.enumerated() {
            guard case .expiry(let id, true) = writer else { continue }
            goneBy[id] = min(goneBy[id] ?? .max, truth.knowledge.firstSeen(Int64(place) + 2))
        }
    }

    /// All violations: ends first, then calls in the order of the history.
    package func check() -> [Violation] {
        var violations = checkEnds()
        var late: Set<Int64> = []
        for operation in truth.history.operations {
            switch operation.outcome {
            case .answered(let time, let response):
                violations += checkAnswer(operation, response.body, at: time)
                violations += checkLate(operation, response.body, &late)
            case .refused(let time, let refusal):
                violations += checkRefusal(operation, refusal, at: time)
            case .unknown: continue
            }
        }
        return violations
    }

    private func checkEnds() -> [Violation] {
        var violations: [Violation] = []
        for (place, writer) in truth.writers.enumerated() {
            guard case .expiry(let lease, let whole) = writer else { continue }
            let revision = Int64(place) + 2
            let seen = truth.knowledge.firstSeen(revision)
            let must = lives.mustLive(lease, by: seen)
            if must > seen {
                violations.append(
                    Violation(
                        .leaseEarly,
                        "lease \(lease) must live until \(must), but its keys were gone with"
                            + " revision \(revision), seen at \(seen)"))
            }
            if !whole {
                violations.append(
                    Violation(
                        .leaseTorn,
                        "only some keys of lease \(lease) went with revision \(revision)"))
            }
        }
        return violations
    }

    private func checkAnswer(
        _ operation: Operation, _ body: ResponseBody, at time: UInt64
    ) -> [Violation] {
        switch (operation.request, body) {
        case (.leaseKeepAlive(let id), .leaseKeepAlive(let ttl)):
            return ttl > 0 ? checkAlive(id, operation, time) : checkGone([id], operation, time)
        case (.leaseTimeToLive(let id), .leaseTimeToLive(let ttl, _)):
            return ttl >= 0 ? checkAlive(id, operation, time) : checkGone([id], operation, time)
        case (.leaseRevoke(let id), _): return checkAlive(id, operation, time)
        case (.put, _), (.txn, _):
            return Self.leases(of: operation.request, body).flatMap {
                checkAlive($0, operation, time)
            }
        default: return []
        }
    }

    /// A call that needs a lease must not succeed before its grant or after its end.
    private func checkAlive(
        _ lease: Int64, _ operation: Operation, _ time: UInt64
    ) -> [Violation] {
        guard lives.mayExist(lease, by: time) else {
            return [
                violation(.leaseDead, operation, "used lease \(lease), which was never granted")
            ]
        }
        guard let gone = goneBy[lease], gone < operation.invoked, !lives.isRenumbered(lease) else {
            return []
        }
        return [violation(.leaseDead, operation, "used lease \(lease), which was gone by \(gone)")]
    }

    /// A call must not find leases gone which certainly lived from its start to its end.
    private func checkGone(
        _ leases: [Int64], _ operation: Operation, _ time: UInt64
    ) -> [Violation] {
        let mayBeGone = leases.contains { lease in
            !lives.wasGranted(lease, before: operation.invoked)
                || revokeBegun[lease] ?? .max <= time || lives.mustLive(lease, by: time) <= time
        }
        guard !mayBeGone, !leases.isEmpty else { return [] }
        return [
            violation(
                .leaseLost, operation,
                "did not find a lease of \(leases), though it ended at \(time) and each lives on")
        ]
    }

    private func checkRefusal(
        _ operation: Operation, _ refusal: Refusal, at time: UInt64
    ) -> [Violation] {
        switch (refusal, operation.request) {
        case (.leaseExists, .leaseGrant(let id, _)):
            let others = lives.mayExist(id, by: time)
            return others
                ? []
                : [violation(.refusal, operation, "was refused, but nobody has lease \(id)")]
        case (.leaseNotFound, .leaseRevoke(let id)), (.leaseNotFound, .leaseKeepAlive(let id)):
            return checkGone([id], operation, time)
        case (.leaseNotFound, _):
            return checkGone(Self.leases(of: operation.request, nil), operation, time)
        default: return []
        }
    }

    /// A present read must not show keys of a lease long after its time.
    private func checkLate(
        _ operation: Operation, _ body: ResponseBody, _ late: inout Set<Int64>
    ) -> [Violation] {
        guard case .range(let read) = operation.request, case .range(let answer) = body,
            operation.isLinearizable, read.revision == 0
        else { return [] }
        var violations: [Violation] = []
        for item in answer.keyValues where item.lease != 0 && !late.contains(item.lease) {
            guard let end = lives.mustBeGone(item.lease, seenAt: operation.invoked),
                end < operation.invoked
            else { continue }
            late.insert(item.lease)
            violations.append(
                violation(
                    .leaseLate, operation,
                    "began at \(operation.invoked) and saw \(Describe.bytes(item.key)) of lease"
                        + " \(item.lease), which must be gone by \(end)"))
        }
        return violations
    }

    /// The leases that the puts of a call name; with an answer, those of the path taken.
    private static func leases(of request: Request, _ body: ResponseBody?) -> [Int64] {
        switch request {
        case .put(let put): return put.lease == 0 ? [] : [put.lease]
        case .txn(let txn):
            var steps = txn.success + txn.failure
            var answers: [ResponseBody?] = steps.map { _ in nil }
            if case .txn(let succeeded, let given)? = body {
                steps = succeeded ? txn.success : txn.failure
                answers = given
            }
            return zip(steps, answers).flatMap { step, answer -> [Int64] in
                switch step {
                case .put(let put): leases(of: .put(put), nil)
                case .txn(let inner): leases(of: .txn(inner), answer)
                case .range, .deleteRange: []
                }
            }
        default: return []
        }
    }

    private func violation(
        _ rule: Violation.Rule, _ operation: Operation, _ text: String
    ) -> Violation {
        Violation(
            rule, operations: [operation.number], "\(Describe.operation(operation)) \(text)")
    }
}
