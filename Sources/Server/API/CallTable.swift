// CallTable.swift: the calls of one event loop that wait for the replica.
// Belongs here: tickets and what to do with an answer. Never here: what was asked.

internal import Transport

/// Calls by ticket; confined to an event loop.
///
/// A slot is used again under another generation, so that an answer which comes after its call timed out
/// meets nobody else's call.
struct CallTable {
    /// What an answer is for.
    enum Purpose {
        /// The one response of a unary call.
        case unary
        /// One of many responses of a stream.
        case stream(KeepAliveStream)
        /// The login behind a token of this secret, which only this member knows.
        case login(secret: String)
    }

    private struct Slot {
        var generation: UInt32 = 0
        var call: (any ServiceCall)?
        var purpose = Purpose.unary
        var deadline = Tick(milliseconds: 0)
    }

    private let loop: Int32
    private var slots: [Slot] = []
    private var free: [UInt32] = []

    init(loop: Int32) {
        self.loop = loop
    }

    /// Calls that wait.
    var count: Int { slots.count - free.count }

    mutating func insert(
        _ call: any ServiceCall, _ purpose: Purpose, deadline: Tick
    ) -> CallTicket {
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
        } else {
            slot = UInt32(slots.count)
            slots.append(Slot())
        }
        let place = Int(slot)
        slots[place].call = call
        slots[place].purpose = purpose
        slots[place].deadline = deadline
        return CallTicket(loop: loop, slot: slot, generation: slots[place].generation)
    }

    /// The call of a ticket, which then waits no more; nil if it timed out.
    mutating func take(_ ticket: CallTicket) -> (call: any ServiceCall, purpose: Purpose)? {
        let place = Int(ticket.slot)
        guard slots.indices.contains(place), slots[place].generation == ticket.generation,
            let call = slots[place].call
        else { return nil }
        let purpose = slots[place].purpose
        release(place)
        return (call, purpose)
    }

    /// The calls whose time is over, which then wait no more.
    mutating func takeOverdue(now: Tick) -> [(call: any ServiceCall, purpose: Purpose)] {
        var overdue: [(any ServiceCall, Purpose)] = []
        for place in slots.indices {
            guard let call = slots[place].call, slots[place].deadline <= now else { continue }
            overdue.append((call, slots[place].purpose))
            release(place)
        }
        return overdue
    }

    private mutating func release(_ place: Int) {
        slots[place].call = nil
        slots[place].purpose = .unary
        slots[place].generation &+= 1
        free.append(UInt32(place))
    }
}

/// A keep-alive stream: its answers in flight, and whether the client is done.
final class KeepAliveStream {
    let call: any ServiceCall
    var waiting = 0
    var isHalfClosed = false

    init(call: any ServiceCall) {
        self.call = call
    }
}
