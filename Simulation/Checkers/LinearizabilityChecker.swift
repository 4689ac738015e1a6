// LinearizabilityChecker.swift: whether one order of all calls explains every answer.
// Belongs here: the order by revisions, and real time. Never here: replaying (RevisionReplay).
// Source: Herlihy and Wing (1990); semantics G2, G5, G7, G20.
//
// A write's answer names its revision, so the order of writes is given, not searched: replaying in
// that order costs O(n log n). A read stands behind the write of its revision. Such an order is
// right in time if nothing stands before what had ended when it began. Only revisions that nobody
// claims must be explained, by calls of unknown outcome or the ends of leases.

/// Judges puts, reads, deletes and transactions of a history.
package struct LinearizabilityChecker {
    /// The order that was found, and what was broken; without an order there is a violation.
    package struct Verdict {
        package let violations: [Violation]
        package let linearization: Linearization?
    }

    private let history: History
    private let lives: LeaseTimeline
    private let keys: KeyTable
    private let revisionLimit: Int64
    private let knowledge: RevisionKnowledge

    /// Numbers of operations must differ; `terms` decides when a lease may have ended.
    package init(history: History, terms: LeaseTerms = LeaseTerms()) {
        self.history = history
        lives = LeaseTimeline(history: history, terms: terms)
        keys = KeyTable(history: history)
        var limit: Int64 = 1
        for operation in history.operations {
            switch operation.request {
            // Each may make a revision: calls by writing, leases by their end.
            case .put, .deleteRange, .txn, .leaseRevoke, .leaseGrant: limit += 1
            case .range, .compact, .leaseKeepAlive, .leaseTimeToLive: continue
            }
        }
        revisionLimit = limit
        knowledge = RevisionKnowledge(history: history, limit: limit)
    }

    /// The verdict on the whole history.
    package func check() -> Verdict {
        var violations = checkRange()
        var owners = [Int?](repeating: nil, count: Int(knowledge.maxRevision) + 1)
        violations += claim(&owners)
        violations += checkRealTime(owners)
        guard violations.isEmpty else {
            return Verdict(violations: violations, linearization: nil)
        }
        return explain(owners)
    }

    /// Finds causes for all revisions: such as agree with watches and leases, if there are any.
    ///
    /// Where only causes against them are found, the checkers of watches and leases will tell.
    private func explain(_ owners: [Int?]) -> Verdict {
        var reasons: [Violation] = []
        for (believesWatches, allowsEarlyEnds) in [
            (true, false), (false, false), (true, true), (false, true),
        ] {
            var replay = RevisionReplay(
                history: history, keys: keys, knowledge: knowledge, owners: owners, lives: lives,
                believesWatches: believesWatches, allowsEarlyEnds: allowsEarlyEnds)
            if let reason = replay.run() {
                // A search that gave up proves nothing: what comes after could blame wrongly.
                if reasons.isEmpty, reason.rule == .undecided {
                    return Verdict(violations: [reason], linearization: nil)
                }
                reasons.append(reason)
                // With nothing to guess there is only one way.
                if owners.dropFirst(2).allSatisfy({ $0 != nil }) { break }
                continue
            }
            return Verdict(
                violations: [],
                linearization: Linearization(
                    history: history, writers: replay.writers, store: replay.store,
                    knowledge: knowledge))
        }
        // The reason that calls alone give says most, unless it is that the search gave up: the
        // first, of calls and watches together, is proven.
        let place = reasons.count > 1 && reasons[1].rule != .undecided ? 1 : 0
        return Verdict(violations: [reasons[place]], linearization: nil)
    }

    /// Headers that cannot be: they would make nonsense of all that follows.
    private func checkRange() -> [Violation] {
        var violations: [Violation] = []
        var numbers: Set<Int> = []
        for operation in history.operations {
            precondition(
                numbers.insert(operation.number).inserted,
                "two operations with the number \(operation.number)")
            guard let answer = operation.answer else { continue }
            let revision = answer.response.revision
            guard revision < 1 || revision > revisionLimit else { continue }
            violations.append(
                Violation(
                    .revisionRange, operations: [operation.number],
                    "\(Describe.operation(operation)) was answered with revision \(revision);"
                        + " all calls together can reach 2 to \(revisionLimit)"))
        }
        return violations
    }

    /// Gives each revision to the write that was answered with it.
    private func claim(_ owners: inout [Int?]) -> [Violation] {
        var violations: [Violation] = []
        for (place, operation) in history.operations.enumerated() {
            guard let answer = operation.answer,
                Self.changed(operation.request, answer.response.body)
            else { continue }
            let revision = Int(answer.response.revision)
            guard revision > 1, revision < owners.count else { continue }
            guard let other = owners[revision] else {
                owners[revision] = place
                continue
            }
            let first = history.operations[other]
            violations.append(
                Violation(
                    .revisionTwice, operations: [first.number, operation.number],
                    "two writes were answered with revision \(revision):"
                        + " \(Describe.operation(first)); \(Describe.operation(operation))"))
        }
        return violations
    }

    /// Whether an answer says that its call made a revision; a revoke's does not say.
    static func changed(_ request: Request, _ body: ResponseBody) -> Bool {
        switch (request, body) {
        case (.put, _): true
        case (.deleteRange, .deleteRange(let deleted, _)): deleted > 0
        case (.txn(let txn), _): changed(txn, body)
        default: false
        }
    }

    private static func changed(_ txn: Txn, _ body: ResponseBody) -> Bool {
        guard case .txn(let succeeded, let answers) = body else { return false }
        for (step, answer) in zip(succeeded ? txn.success : txn.failure, answers) {
            switch (step, answer) {
            case (.put, _): return true
            case (.deleteRange, .deleteRange(let deleted, _)) where deleted > 0: return true
            case (.txn(let inner), _) where changed(inner, answer): return true
            default: continue
            }
        }
        return false
    }

    /// No call may stand before one that had ended when it began.
    private func checkRealTime(_ owners: [Int?]) -> [Violation] {
        var violations: [Violation] = []
        for (place, operation) in history.operations.enumerated() {
            guard let answer = operation.answer,
                let seen = knowledge.newest(before: operation.invoked)
            else { continue }
            let revision = answer.response.revision
            let isWriter =
                revision > 0 && revision < Int64(owners.count) && owners[Int(revision)] == place
            guard isWriter || operation.isLinearizable else { continue }
            guard isWriter ? seen.revision >= revision : seen.revision > revision else { continue }
            let witness = seen.operation.map { "call \($0)" } ?? "a watch"
            violations.append(
                Violation(
                    isWriter ? .realTime : .stale,
                    operations: [operation.number] + (seen.operation.map { [$0] } ?? []),
                    "\(Describe.operation(operation)) began at \(operation.invoked) and was"
                        + " answered with revision \(revision), but \(witness) had shown revision"
                        + " \(seen.revision) at \(seen.at)"))
        }
        return violations
    }
}
