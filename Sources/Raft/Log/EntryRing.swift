// EntryRing.swift: a queue of entries that grows at one end and is dropped at the other.
// Belongs here: slots. Never here: indexes of the log, terms, bounds (RaftLog.swift).
// Invariant: slots outside the queue hold `vacant`, so a dropped payload is freed at once.

/// A queue of entries in a ring of slots, with cheap access to each.
struct EntryRing: Sendable {
    private static let vacant = Entry(id: .zero, kind: .noop, payload: [])

    /// A power of two in number.
    private var slots: [Entry]
    private var head = 0
    private(set) var count = 0

    init() { slots = Array(repeating: EntryRing.vacant, count: 16) }

    /// The entry `offset` places behind the oldest.
    subscript(offset: Int) -> Entry {
        precondition(offset >= 0 && offset < count, "offset \(offset) is not in 0..<\(count)")
        return slots[(head + offset) & (slots.count - 1)]
    }

    mutating func append(_ entry: Entry) {
        if count == slots.count { grow() }
        slots[(head + count) & (slots.count - 1)] = entry
        count += 1
    }

    mutating func removeFirst() {
        precondition(count > 0, "nothing to remove")
        slots[head] = EntryRing.vacant
        head = (head + 1) & (slots.count - 1)
        count -= 1
    }

    mutating func removeLast() {
        precondition(count > 0, "nothing to remove")
        count -= 1
        slots[(head + count) & (slots.count - 1)] = EntryRing.vacant
    }

    private mutating func grow() {
        var larger: [Entry] = []
        larger.reserveCapacity(slots.count * 2)
        for offset in 0..<count { larger.append(self[offset]) }
        for _ in count..<(slots.count * 2) { larger.append(EntryRing.vacant) }
        slots = larger
        head = 0
    }
}
