// Earliest.swift: the first of several times, some of which may never come.
// Belongs here: the comparison. Never here: whose times they are.
// Source: the replica asks for it after every turn; an array of them would be made and thrown away each time.

/// The first of the times that were added.
struct Earliest {
    /// Nil for never.
    private(set) var tick: Tick?

    /// Adds a time; nil never comes.
    mutating func add(_ other: Tick?) {
        guard let other else { return }
        tick = min(tick ?? other, other)
    }
}
