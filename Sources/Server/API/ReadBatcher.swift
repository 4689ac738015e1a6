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

    /// Questions of a loop that may wait for their answer; the reads of later turns then share the next one.
    static let questionsMax = 64

    /// Reads that share a question.
    private struct Group {
        let number: UInt32
        /// In which the question is handed over, so that more may join it until then; nil while it waits for one to
        /// be answered.
        var turn: UInt64?
        var reads: [Read]
    }

    private let loop: Int32
    /// In the order of asking.
    ///
    /// A question stays until it is answered, and be it that nobody waits any more: so their number is bounded at
    /// the replica, too, however long there is no leader.
    private var groups: [Group] = []
    private var lastNumber: UInt32 = 0
    /// Reads that wait.
    private(set) var count = 0

    init(loop: Int32) {
        self.loop = loop
    }

    static func owns(_ ticket: CallTicket) -> Bool { ticket.slot == slot }

    /// Adds a read; returns the ticket to ask under unless it joins others, or has to wait.
    mutating func add(_ read: Read, turn: UInt64) -> CallTicket? {
        count += 1
        if let last = groups.indices.last, groups[last].turn ?? turn == turn {
            groups[last].reads.append(read)
            return nil
        }
        lastNumber &+= 1
        groups.append(Group(number: lastNumber, turn: nil, reads: [read]))
        return next(turn: turn)
    }

    /// The ticket to ask under for the reads that wait for a question; nil if none do, or enough are asked.
    mutating func next(turn: UInt64) -> CallTicket? {
        guard let last = groups.indices.last, groups[last].turn == nil,
            groups.count <= Self.questionsMax
        else { return nil }
        guard !groups[last].reads.isEmpty else {
            groups.removeLast()
            return nil
        }
        groups[last].turn = turn
        return CallTicket(loop: loop, slot: Self.slot, generation: groups[last].number)
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
        return overdue
    }
}
