// EventQueue.swift: what will happen, in the order in which it will.
// Belongs here: the heaps. Never here: what an event does.
// Invariant: events of the same moment happen in the order in which they were added.
// The heaps move plain numbers only: what an event does stays in its slot.

/// What an event does.
enum Happening {
    case anything(() -> Void)
    /// What the process with this number does on its machine, if it still runs.
    case process(SimulatedNode, number: Int, (MemberProcess) -> Void)
    /// A process looks whether it has waited long enough.
    case wake(SimulatedNode, number: Int)
    /// A packet comes, if the connection is still the one that it was sent on.
    case arrival(Packet, Link, epoch: UInt32, isThere: Bool)
}

/// Events by time.
///
/// Those of the next moments lie in a heap of their own: most events come from there, and the many that wait for
/// seconds, such as the ends of clients' patience, are not passed by each time.
final class EventQueue {
    /// What is due within this many microseconds, when it is added, is near.
    private static let nearMicroseconds: UInt64 = 20_000

    private var near = EventHeap()
    private var far = EventHeap()
    /// What events do, by their slots; nothing in those that are free.
    private var slots: UnsafeMutablePointer<Happening>
    /// The free slots, newest last.
    private var free: UnsafeMutablePointer<Int>
    private var capacity = 1024
    private var count = 0
    private var added: UInt64 = 0
    /// The time of the event that was taken last.
    private var time: UInt64 = 0

    init() {
        slots = .allocate(capacity: capacity)
        free = .allocate(capacity: capacity)
        for slot in 0..<capacity { free[slot] = slot }
    }

    deinit {
        removeAll()
        near.deallocate()
        far.deallocate()
        slots.deallocate()
        free.deallocate()
    }

    /// When the next one happens.
    var nextTime: Moment? {
        guard count > 0 else { return nil }
        return Moment(microseconds: isNearFirst ? near.first.time : far.first.time)
    }

    private var isNearFirst: Bool {
        guard !near.isEmpty else { return false }
        return far.isEmpty || near.first < far.first
    }

    func add(at moment: Moment, _ happening: consuming Happening) {
        if count == capacity { grow() }
        added += 1
        let slot = free[capacity - count - 1]
        count += 1
        (slots + slot).initialize(to: happening)
        let event = EventHeap.Event(time: moment.microseconds, number: added, slot: slot)
        if event.time <= time + Self.nearMicroseconds { near.add(event) } else { far.add(event) }
    }

    /// Takes the next event; there has to be one.
    func removeFirst() -> Happening {
        precondition(count > 0, "no event is left")
        let event = isNearFirst ? near.removeFirst() : far.removeFirst()
        time = event.time
        return take(event.slot)
    }

    private func take(_ slot: Int) -> Happening {
        count -= 1
        free[capacity - count - 1] = slot
        return (slots + slot).move()
    }

    /// Lets go of all events.
    func removeAll() {
        // What they hold may add others while it goes.
        while let event = near.removeLast() ?? far.removeLast() { _ = take(event.slot) }
    }

    private func grow() {
        let larger = UnsafeMutablePointer<Happening>.allocate(capacity: 2 * capacity)
        larger.moveInitialize(from: slots, count: capacity)
        slots.deallocate()
        slots = larger
        free.deallocate()
        free = .allocate(capacity: 2 * capacity)
        for place in 0..<capacity { free[place] = capacity + place }
        capacity *= 2
    }
}

/// When events happen, the first on top.
private struct EventHeap {
    struct Event {
        let time: UInt64
        let number: UInt64
        let slot: Int

        @inline(__always)
        static func < (left: Event, right: Event) -> Bool {
            left.time != right.time ? left.time < right.time : left.number < right.number
        }
    }

    /// Children of a place: with more of them than two the heap is less deep, and they lie side by side.
    private static let branches = 4

    private var events = UnsafeMutablePointer<Event>.allocate(capacity: 256)
    private var capacity = 256
    private var count = 0

    func deallocate() { events.deallocate() }

    var isEmpty: Bool { count == 0 }

    /// The next one; there has to be one.
    var first: Event { events[0] }

    mutating func add(_ event: Event) {
        if count == capacity { grow() }
        var place = count
        count += 1
        while place > 0 {
            let parent = (place - 1) / Self.branches
            guard event < events[parent] else { break }
            events[place] = events[parent]
            place = parent
        }
        events[place] = event
    }

    mutating func removeFirst() -> Event {
        let first = events[0]
        count -= 1
        if count > 0 { sink(events[count]) }
        return first
    }

    /// Takes any event; nil if there is none.
    mutating func removeLast() -> Event? {
        guard count > 0 else { return nil }
        count -= 1
        return events[count]
    }

    /// Puts an event where it belongs, beginning at the top.
    private mutating func sink(_ event: Event) {
        var place = 0
        while true {
            var child = Self.branches * place + 1
            guard child < count else { break }
            let end = min(child + Self.branches, count)
            var least = child
            child += 1
            while child < end {
                if events[child] < events[least] { least = child }
                child += 1
            }
            guard events[least] < event else { break }
            events[place] = events[least]
            place = least
        }
        events[place] = event
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Event>.allocate(capacity: 2 * capacity)
        larger.moveInitialize(from: events, count: count)
        events.deallocate()
        events = larger
        capacity *= 2
    }
}
