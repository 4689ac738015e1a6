// Linearization.swift: the one order in which a history can have happened.
// Belongs here: the result of LinearizabilityChecker. Never here: the search for it.
// Invariant: the store's revision n was made by `writers[n - 2]`.

/// Every revision with its cause, and the store that came of them.
package struct Linearization: Sendable {
    /// What made a revision.
    package enum Writer: Hashable, Sendable {
        /// The operation at this place of the history.
        case operation(Int)
        /// The end of a lease; `whole` is false where keys of it stayed behind.
        case expiry(lease: Int64, whole: Bool)
    }

    package let history: History
    package let writers: [Writer]
    package let store: ModelStore
    package let knowledge: RevisionKnowledge

    /// What made a revision; nil for the empty store's, and beyond the last.
    package func writer(of revision: Int64) -> Writer? {
        let place = Int(revision) - 2
        return place >= 0 && place < writers.count ? writers[place] : nil
    }
}
