// EntryID.swift: what names an entry: its term and its place.
// Belongs here: the pair and the comparison that elections use. Never here: the content (Entry.swift).
// Source: Raft paper §5.3 (log matching) and §5.4.1 (which log is more up to date).

/// The term and the place of an entry; two entries with the same ID are the same entry.
public struct EntryID: Hashable, Sendable {
    /// The term of the leader that made the entry.
    public let term: Term

    /// The place in the log.
    public let index: LogIndex

    /// The place before the first entry.
    public static let zero = EntryID(term: .zero, index: .zero)

    /// Names an entry.
    public init(term: Term, index: LogIndex) {
        self.term = term
        self.index = index
    }

    /// Whether a log that ends here has everything that a log ending at `other` can have committed.
    ///
    /// The later term wins, then the longer log (§5.4.1).
    public func isAtLeastAsUpToDate(as other: EntryID) -> Bool {
        term == other.term ? index >= other.index : term > other.term
    }
}
