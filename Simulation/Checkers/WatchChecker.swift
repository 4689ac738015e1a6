// WatchChecker.swift: whether each watch saw every change it wanted, once, in order and whole.
// Belongs here: going through attempts and receipts. Never here: comparing one revision's events
// (WatchComparison.swift).
// Source: semantics W1 to W19. The truth is the linearized history.

/// Judges all watches of a history.
package struct WatchChecker {
    private let truth: Linearization
    private let compactions: CompactionTimes

    package init(_ linearization: Linearization) {
        truth = linearization
        compactions = CompactionTimes(history: linearization.history)
    }

    /// All violations, by watch.
    package func check() -> [Violation] {
        truth.history.watches.flatMap { watch -> [Violation] in
            var walk = Walk(watch: watch, truth: truth, compactions: compactions)
            walk.run()
            return walk.violations
        }
    }

    /// One watch, from its first attempt to its last.
    private struct Walk {
        let watch: Watch
        let truth: Linearization
        let compactions: CompactionTimes
        let comparison: WatchComparison
        var violations: [Violation] = []
        /// Every wanted change below this has arrived, or was reported missing; 0 while unknown.
        var next: Int64 = 0
        /// A watch "from now" may begin here or later, until something tells where it began.
        var floor: Int64?
        var lastRevision: Int64 = 0
        var progressed: Int64 = 0
        var isCreated = false
        var isCanceled = false
        /// The first revision that a client may resume from after compaction overtook it.
        var resumeFrom: Int64 = 0
        /// Events of a revision whose response came in fragments so far.
        var held: [WatchEvent] = []

        init(watch: Watch, truth: Linearization, compactions: CompactionTimes) {
            self.watch = watch
            self.truth = truth
            self.compactions = compactions
            comparison = WatchComparison(watch: watch, truth: truth, compactions: compactions)
        }

        mutating func run() {
            for (number, attempt) in watch.attempts.enumerated() {
                begin(attempt, isFirst: number == 0)
                for receipt in attempt.receipts { take(receipt) }
                resumeFrom = max(resumeFrom, next)
            }
            guard let goal = watch.mustReach, !isCanceled, !watch.attempts.isEmpty else { return }
            guard isCreated else {
                report(.watchMissing, "was never created, but must have reached \(goal)")
                return
            }
            requireNothing(through: goal, .watchMissing, "by the end of the run")
        }

        mutating func begin(_ attempt: WatchAttempt, isFirst: Bool) {
            if !isFirst, resumeFrom > 0,
                attempt.startRevision == 0 || attempt.startRevision > resumeFrom
            {
                report(
                    .watchResume,
                    "was resumed from \(attempt.startRevision), but had all only below"
                        + " \(resumeFrom)")
            }
            isCreated = false
            isCanceled = false
            lastRevision = 0
            progressed = 0
            held = []
            next = attempt.startRevision
            floor = nil
            if next == 0 {
                floor = (truth.knowledge.newest(before: attempt.started)?.revision ?? 1) + 1
            }
        }

        mutating func take(_ receipt: WatchReceipt) {
            if isCanceled {
                report(.watchCancel, "got a response at \(receipt.at), after its end")
                return
            }
            if receipt.revision > truth.store.revision {
                report(
                    .watchHeader,
                    "got the header \(receipt.revision), beyond all that was written, at"
                        + " \(receipt.at)")
            }
            switch receipt.content {
            case .created:
                if isCreated { report(.watchOrder, "was created twice, at \(receipt.at)") }
                isCreated = true
                if floor != nil { next = receipt.revision + 1 }
            case .events(let events, let fragment): take(events, fragment, receipt)
            case .progress: takeProgress(receipt)
            case .canceled(let compacted): takeCancel(compacted, receipt)
            }
        }

        mutating func take(_ events: [WatchEvent], _ fragment: Bool, _ receipt: WatchReceipt) {
            if !isCreated {
                report(.watchOrder, "got events at \(receipt.at), before its creation")
            }
            if let last = events.map(\.revision).max(), receipt.revision < last {
                report(
                    .watchHeader,
                    "got an event of revision \(last) under the header \(receipt.revision)")
            }
            held += events
            guard !fragment else { return }
            var rest = held[...]
            held = []
            while let first = rest.first {
                let group = Array(rest.prefix { $0.revision == first.revision })
                rest = rest.dropFirst(group.count)
                take(group, of: first.revision, at: receipt.at)
            }
        }

        /// Takes all events of a revision that came in one response.
        mutating func take(_ group: [WatchEvent], of revision: Int64, at time: UInt64) {
            if let low = floor {
                // The first event shows where a watch "from now" began.
                if revision >= low, revision < next { next = revision }
                floor = nil
            }
            guard revision >= next else {
                reportBehind(group, revision)
                return
            }
            requireNothing(through: revision - 1, .watchMissing, "before \(revision)")
            violations += comparison.compare(group, revision: revision, at: time)
            lastRevision = revision
            next = revision + 1
        }

        mutating func reportBehind(_ group: [WatchEvent], _ revision: Int64) {
            let keys = Describe.list(group.map { Describe.bytes($0.key) })
            let what = "got \(keys) of revision \(revision)"
            if revision <= progressed, revision > lastRevision {
                report(.watchProgress, "\(what) after progress was told up to \(progressed)")
            } else if lastRevision == 0 {
                report(.watchWrong, "\(what), but wanted nothing before \(next)")
            } else if comparison.wants(group, revision) {
                let isPart = revision == lastRevision
                let isWhole = group.count == comparison.expected(at: revision).count
                report(
                    isPart && !isWhole ? .watchAtomic : .watchDuplicate,
                    "\(what) again or in a second response, after \(lastRevision)")
            } else {
                report(.watchOrder, "\(what) after \(lastRevision)")
            }
        }

        mutating func takeProgress(_ receipt: WatchReceipt) {
            if !isCreated {
                report(.watchOrder, "got progress at \(receipt.at), before its creation")
            }
            if receipt.revision < max(lastRevision, progressed) {
                report(
                    .watchProgress,
                    "was told progress \(receipt.revision) after \(max(lastRevision, progressed))")
            }
            requireNothing(through: receipt.revision, .watchProgress, "yet progress was told")
            progressed = max(progressed, receipt.revision)
            next = max(next, receipt.revision + 1)
            floor = nil
        }

        mutating func takeCancel(_ compacted: Int64, _ receipt: WatchReceipt) {
            isCanceled = true
            guard compacted != 0 else { return }
            if !compactions.wasBegun(compacted, by: receipt.at) {
                report(
                    .watchCancel,
                    "was canceled for compaction at \(compacted), which nobody asked for")
            } else if floor == nil, next >= compacted {
                report(
                    .watchCancel,
                    "was canceled for compaction at \(compacted), but needs only \(next) on")
            }
            resumeFrom = max(resumeFrom, compacted)
        }

        /// Reports the first wanted change that has not arrived.
        mutating func requireNothing(
            through revision: Int64, _ rule: Violation.Rule, _ when: String
        ) {
            let last = min(revision, truth.store.revision)
            guard next >= 1, next <= last else { return }
            for missing in next...last {
                guard let event = comparison.expected(at: missing).first else { continue }
                report(
                    rule,
                    "did not get the change of \(Describe.bytes(event.key)) at revision \(missing)"
                        + " \(when)")
                return
            }
        }

        mutating func report(_ rule: Violation.Rule, _ text: String) {
            violations.append(
                Violation(
                    rule, watches: [watch.number],
                    "watch \(watch.number) (client \(watch.client)) of \(Describe.span(watch.span))"
                        + " \(text)"))
        }
    }
}
