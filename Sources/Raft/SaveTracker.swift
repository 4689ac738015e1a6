// SaveTracker.swift: how much of the log is on the disk.
// Belongs here: saves asked for and finished. Never here: what is written (Effects.swift).
// Invariant: a finished save proves only what no later truncation took back.
//
//   issue(through:)  adds a save to the queue      complete(_:)  takes the finished ones off
//   truncate(after:) lowers what the queued saves, and the finished ones, are worth
//   replace(through:) does so too, and starts again behind a snapshot

/// How much of the log is on the disk.
struct SaveTracker: Sendable {
    private struct Pending: Sendable {
        var number: SaveNumber
        /// The end of the log as of that save, lowered when a later step cut the log.
        var through: LogIndex
    }

    /// The newest save asked for.
    private(set) var issued = SaveNumber.restored

    /// The newest save finished.
    private(set) var completed = SaveNumber.restored

    /// Entries up to here are on the disk, and will be after every pending save too.
    private(set) var durable: LogIndex

    private var pending: [Pending] = []

    init(durable: LogIndex) { self.durable = durable }

    mutating func issue(through last: LogIndex) -> SaveNumber {
        issued = issued.next
        pending.append(Pending(number: issued, through: last))
        return issued
    }

    mutating func truncate(after index: LogIndex) {
        #if SIMULATION
            if RaftBug.durableNotLowered.isPlanted { return }
        #endif
        durable = min(durable, index)
        for position in pending.indices {
            pending[position].through = min(pending[position].through, index)
        }
    }

    /// Notes that the log on disk was replaced by a snapshot through `index`.
    mutating func replace(through index: LogIndex) {
        truncate(after: index)
        durable = index
    }

    mutating func complete(_ number: SaveNumber) {
        precondition(
            number <= issued, "save \(number.rawValue) was never asked for, only \(issued.rawValue)"
        )
        guard number > completed else { return }
        completed = number
        var finished = 0
        while finished < pending.count, pending[finished].number <= number {
            durable = max(durable, pending[finished].through)
            finished += 1
        }
        pending.removeFirst(finished)
    }
}
