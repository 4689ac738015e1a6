// ReadBatcher.swift: linearizable reads of one event loop that share their way to a read index.
// Belongs here: which read joins which question. Never here: the index (Replica+Reads.swift), reading.
// Source: etcd semantics G7; thesis §6.4. Invariant: a read joins only a question asked after it came.

internal import Transport

/// Reads that wait until local state is known to be new enough; confined to an event loop.
///
/// A question for what comes in one turn; the replica gathers the questions of all loops (`Gather`).
struct ReadBatcher {
    /// A call that reads once it may.
    struct Read {
        let call: any ServiceCall
        let run: () -> Void
        let deadline: Tick
    }

    /// No call has this slot, so answers for a question meet no call.
    private static let slot = UInt32.max

    /// Reads that share a question.
    private struct Group {
        let number: UInt32
        /// In which the question is handed over, so that more may join it until then.
        let turn: UInt64
        var reads: [Read]
    }

    private let loop: Int32
    private var groups: [Group] = []
    private var lastNumber: UInt32 = 0
    /// Reads that wait.
    private(set) var count = 0

    init(loop: Int32) {
        self.loop = loop
    }

    static func owns(_ ticket: CallTicket) -> Bool { ticket.slot == slot }

    /// Adds a read; returns the ticket to ask under unless this turn's question is asked already.
    mutating func add(_ read: Read, turn: UInt64) -> CallTicket? {
        count += 1
        if let last = groups.indices.last, groups[last].turn == turn {
            groups[last].reads.append(read)
            return nil
        }
        lastNumber &+= 1
        groups.append(Group(number: lastNumber, turn: turn, reads: [read]))
        return CallTicket(loop: loop, slot: Self.slot, generation: lastNumber)
    }

    /// Takes the reads that a question was asked for.
    mutating func take(_ ticket: CallTicket) -> [Read] {
        guard let place = groups.firstIndex(where: { $0.number == ticket.generation }) else {
            return []
        }
        let ready = groups.remove(at: place).reads
        count -= ready.count
        return ready
    }

    /// The reads whose time is over, which then wait no more.
    mutating func takeOverdue(now: Tick) -> [Read] {
        guard count > 0 else { return [] }
        var overdue: [Read] = []
        for place in groups.indices {
            overdue += groups[place].reads.filter { $0.deadline <= now }
            groups[place].reads.removeAll { $0.deadline <= now }
        }
        count -= overdue.count
        // The answer to a question that nobody waits for any more may come all the same.
        groups.removeAll { $0.reads.isEmpty }
        return overdue
    }
}
