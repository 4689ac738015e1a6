// LogTable.swift: where each entry of the log is, 8 bytes per entry.
// Belongs here: index to place and term, in memory. Never here: files, locks.
// Invariants: one place per index from base + 1 to last; terms never decrease along the log.

/// The place of a record: which segment, and how far into it.
struct LogPlace: Equatable {
    /// Segment sequence in the upper half, byte offset in the lower: both are below 2^32.
    let packed: UInt64

    init(sequence: UInt64, offset: Int) {
        precondition(sequence < 1 << 32 && offset < 1 << 32, "segment \(sequence), byte \(offset)")
        packed = sequence << 32 | UInt64(offset)
    }

    var sequence: UInt64 { packed >> 32 }
    var offset: Int { Int(packed & 0xffff_ffff) }
}

/// The entries of the log in order, each by its place, and their terms as runs.
struct LogTable {
    /// The index before the first entry, and its term.
    private(set) var base: UInt64
    private(set) var baseTerm: UInt64
    /// Places of the entries after `base`; those before `head` are gone and await compaction.
    private var places: [LogPlace] = []
    private var head = 0
    /// Where each term begins, ascending; the first run may begin before `base`.
    private var runs: [Run] = []

    private struct Run {
        var first: UInt64
        var term: UInt64
    }

    init(base: UInt64, baseTerm: UInt64) {
        self.base = base
        self.baseTerm = baseTerm
    }

    var last: UInt64 { base + UInt64(places.count - head) }
    var lastTerm: UInt64 { runs.last?.term ?? baseTerm }

    mutating func append(index: UInt64, term: UInt64, place: LogPlace) {
        precondition(index == last + 1, "entry \(index) after \(last)")
        precondition(term >= lastTerm, "term \(term) after \(lastTerm)")
        places.append(place)
        if runs.last?.term != term { runs.append(Run(first: index, term: term)) }
    }

    mutating func truncate(after index: UInt64) {
        precondition(index >= base && index <= last, "cut after \(index) in \(base)...\(last)")
        places.removeLast(Int(last - index))
        while let run = runs.last, run.first > index { runs.removeLast() }
    }

    mutating func reset(to index: UInt64, term: UInt64) {
        self = LogTable(base: index, baseTerm: term)
    }

    /// Forgets the entries up to and including `index`.
    mutating func drop(through index: UInt64) {
        guard index > base else { return }
        precondition(index <= last, "drop through \(index) of \(last)")
        let term = self.term(of: index)
        head += Int(index - base)
        base = index
        baseTerm = term ?? baseTerm
        // The run that covers `base` stays: it may go on after it.
        let stale = runs.prefix { $0.first <= index }.count
        if stale > 1 { runs.removeFirst(stale - 1) }
        if base == last { runs.removeAll() }
        guard head > places.count / 2 else { return }
        places.removeFirst(head)
        head = 0
    }

    func place(of index: UInt64) -> LogPlace? {
        guard index > base && index <= last else { return nil }
        return places[head + Int(index - base) - 1]
    }

    func term(of index: UInt64) -> UInt64? {
        guard index >= base && index <= last else { return nil }
        guard index > base else { return baseTerm }
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].first <= index { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? baseTerm : runs[low - 1].term
    }
}
