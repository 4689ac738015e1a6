// RaftLog.swift: the end of the log that the core holds in memory.
// Belongs here: which entry is where. Never here: what is committed or saved (RaftNode), disk.
// Source: Raft paper §5.3. Invariant: indexes follow base without a gap, terms never fall.

/// The entries after `base`, which is the newest one no longer held.
struct RaftLog: Sendable {
    /// The last entry dropped; its term is kept because appends to followers name it.
    private(set) var base: EntryID

    /// The last entry, `base` if none is held.
    private(set) var last: EntryID

    /// The sum of `Entry.byteCount` of what is held.
    private(set) var byteCount = 0

    private var ring = EntryRing()

    init(base: EntryID) {
        self.base = base
        self.last = base
    }

    /// The term at a place, nil if the log does not reach it or no longer holds it.
    func term(at index: LogIndex) -> Term? {
        if index == last.index { return last.term }
        if index == base.index { return base.term }
        guard index > base.index, index < last.index else { return nil }
        return ring[offset(of: index)].id.term
    }

    /// The entry at a place that is held; traps otherwise.
    subscript(index: LogIndex) -> Entry {
        precondition(index > base.index, "entry \(index.rawValue) was dropped")
        precondition(index <= last.index, "entry \(index.rawValue) is past \(last.index.rawValue)")
        return ring[offset(of: index)]
    }

    /// Adds the entry that follows the last.
    mutating func append(_ entry: Entry) {
        precondition(
            entry.id.index == last.index.next,
            "entry \(entry.id.index.rawValue) does not follow \(last.index.rawValue)")
        precondition(
            entry.id.term >= last.term,
            "term \(entry.id.term.rawValue) falls below \(last.term.rawValue)")
        ring.append(entry)
        last = entry.id
        byteCount += entry.byteCount
    }

    /// Removes the entries after a place that is held; returns their bytes.
    mutating func truncate(after index: LogIndex) -> Int {
        precondition(index >= base.index, "cannot cut before \(base.index.rawValue)")
        let before = byteCount
        while last.index > index {
            byteCount -= ring[ring.count - 1].byteCount
            ring.removeLast()
            last = ring.count == 0 ? base : ring[ring.count - 1].id
        }
        return before - byteCount
    }

    /// Forgets the oldest entries, none after `index`, until at most `bytesMax` remain.
    mutating func drop(through index: LogIndex, toFit bytesMax: Int) {
        while byteCount > bytesMax, base.index < index, ring.count > 0 {
            let oldest = ring[0]
            byteCount -= oldest.byteCount
            base = oldest.id
            ring.removeFirst()
        }
    }

    /// The entries from a place that is held, as many as fit, but one at least if there is one.
    func entries(from start: LogIndex, bytesMax: Int) -> [Entry] {
        guard start <= last.index else { return [] }
        var end = start
        var bytes = self[start].byteCount
        while end < last.index {
            bytes += self[end.next].byteCount
            guard bytes <= bytesMax else { break }
            end = end.next
        }
        return entries(in: start..<end.next)
    }

    /// The entries of a range that is held.
    func entries(in range: Range<LogIndex>) -> [Entry] {
        let count = range.upperBound.distance(from: range.lowerBound)
        var result: [Entry] = []
        result.reserveCapacity(count)
        for offset in 0..<count { result.append(self[range.lowerBound.advanced(by: offset)]) }
        return result
    }

    /// The last place at or before `index` whose term is at most `term`, as far back as is held.
    ///
    /// Nothing between it and `index` can match an entry of that term (§5.3, fast backtracking).
    func lastPlace(atOrBefore index: LogIndex, notAbove term: Term) -> EntryID {
        var place = min(index, last.index)
        while place > base.index {
            let id = self[place].id
            if id.term <= term { return id }
            place = place.previous
        }
        return base
    }

    private func offset(of index: LogIndex) -> Int { index.distance(from: base.index) - 1 }
}
