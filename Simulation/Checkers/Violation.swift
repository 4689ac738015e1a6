// Violation.swift: a promise that was broken, told so that a human understands it.
// Belongs here: the finding. Never here: how it was found (the checkers).

/// One broken promise.
package struct Violation: Hashable, Sendable, CustomStringConvertible {
    /// Which promise; the raw value is the name that traces and ledgers use.
    package enum Rule: String, Hashable, Sendable, CaseIterable {
        /// A header's revision that cannot be: below 1, or beyond all that was begun.
        case revisionRange = "revision-range"
        /// Two writes with one revision (G2).
        case revisionTwice = "revision-twice"
        /// A write ordered before something that had ended when it began.
        case realTime = "real-time"
        /// A linearizable answer older than what was known when it was asked for (G7).
        case stale
        /// An answer that the store, in order of revisions, would not give.
        case answer
        /// A revision that no call and no lease explains.
        case unexplained
        /// The search for an explanation was given up: neither right nor wrong.
        case undecided
        /// A call that was refused for no reason there could be.
        case refusal
        /// Something below the compacted revision was answered, or above it refused (R8, C1).
        case compaction
        case watchOrder = "watch-order"
        case watchDuplicate = "watch-duplicate"
        case watchMissing = "watch-missing"
        /// An event that never happened, or not so.
        case watchWrong = "watch-wrong"
        /// One revision in several responses that are no fragments (W10).
        case watchAtomic = "watch-atomic"
        case watchFilter = "watch-filter"
        case watchPrevious = "watch-previous"
        case watchProgress = "watch-progress"
        case watchHeader = "watch-header"
        case watchCancel = "watch-cancel"
        case watchResume = "watch-resume"
        case leaseEarly = "lease-early"
        case leaseLate = "lease-late"
        /// Keys of one lease that vanish in several revisions (L2).
        case leaseTorn = "lease-torn"
        /// A lease that is gone though it must live.
        case leaseLost = "lease-lost"
        /// A lease that is used though it is gone.
        case leaseDead = "lease-dead"
        /// A user was served without permission, or refused with one (A5-A8).
        case access
        /// An acknowledged write that the final content does not show.
        case durability
        /// Two members that differ where they must be equal.
        case divergence
    }

    package var rule: Rule
    /// The numbers of the operations involved.
    package var operations: [Int]
    /// The numbers of the watches involved.
    package var watches: [Int]
    package var text: String

    package init(_ rule: Rule, operations: [Int] = [], watches: [Int] = [], _ text: String) {
        self.rule = rule
        self.operations = operations
        self.watches = watches
        self.text = text
    }

    package var description: String { "\(rule.rawValue): \(text)" }
}
