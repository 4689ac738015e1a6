// HistoryChecker.swift: every judgement on a finished run, in one call.
// Belongs here: the order of the checkers. Never here: judging.
// Page hashes are compared while the run goes on (ConvergenceChecker.swift).

/// Runs all checkers over a history.
package enum HistoryChecker {
    /// All violations; none means that every client was served as promised.
    ///
    /// - Parameters:
    ///   - history: What the clients did and saw, each call and watch with its own number.
    ///   - terms: What is known of clocks and leaders.
    ///   - contents: The content of each member at the end, if the cluster was healed and quiet.
    package static func check(
        _ history: History, terms: LeaseTerms = LeaseTerms(), contents: [FinalContent] = []
    ) -> [Violation] {
        let verdict = LinearizabilityChecker(history: history, terms: terms).check()
        var violations = verdict.violations
        if let truth = verdict.linearization {
            violations += CompactionChecker(truth).check()
            violations += RefusalChecker(truth).check()
            violations += WatchChecker(truth).check()
            violations += LeaseChecker(truth, terms: terms).check()
        }
        let durability = DurabilityChecker(history: history)
        for content in contents { violations += durability.check(content) }
        return violations + ConvergenceChecker.check(contents)
    }
}
