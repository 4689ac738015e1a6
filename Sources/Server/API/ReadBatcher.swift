// ReadBatcher.swift: linearizable reads of one event loop that share their way to a read index.
// Belongs here: which read joins which question. Never here: the index (Replica+Reads.swift), reading.
// Source: etcd semantics G7; thesis §6.4. Invariant: a read joins only a question asked after it came.

internal import Transport

/// Reads that wait until local state is known to be new enough; confined to an event loop.
///
/// One question at a time: what comes while it is under way shares the next.
struct ReadBatcher {
    /// A call that reads once it may.
    struct Read {
        let call: any ServiceCall
        let run: () -> Void
        let deadline: Tick
    }

    /// No call has this slot, so answers for a question meet no call.
    private static let slot = UInt32.max

    private let loop: Int32
    private var asked: [Read] = []
    private var joining: [Read] = []
    private var round: UInt32 = 0
    private var isUnderway = false

    init(loop: Int32) {
        self.loop = loop
    }

    /// Reads that wait.
    var count: Int { asked.count + joining.count }

    static func owns(_ ticket: CallTicket) -> Bool { ticket.slot == slot }

    /// Adds a read; returns the ticket to ask under unless a question is under way.
    mutating func add(_ read: Read) -> CallTicket? {
        joining.append(read)
        return isUnderway ? nil : begin()
    }

    /// Takes the reads that a question was asked for, and the ticket for the next question.
    mutating func take(_ ticket: CallTicket) -> (reads: [Read], next: CallTicket?) {
        guard isUnderway, ticket.generation == round else { return ([], nil) }
        let ready = asked
        asked = []
        isUnderway = false
        return (ready, joining.isEmpty ? nil : begin())
    }

    /// The reads whose time is over, which then wait no more.
    mutating func takeOverdue(now: Tick) -> [Read] {
        guard count > 0 else { return [] }
        let overdue = (asked + joining).filter { $0.deadline <= now }
        asked.removeAll { $0.deadline <= now }
        joining.removeAll { $0.deadline <= now }
        return overdue
    }

    private mutating func begin() -> CallTicket {
        isUnderway = true
        round &+= 1
        swap(&asked, &joining)
        return CallTicket(loop: loop, slot: Self.slot, generation: round)
    }
}
