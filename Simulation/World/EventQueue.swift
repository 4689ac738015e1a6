// EventQueue.swift: what will happen, in the order in which it will.
// Belongs here: the heap. Never here: what an event does.
// Invariant: events of the same moment happen in the order in which they were added.
// The heap moves plain numbers only: what an event does stays in its slot.

/// Events by time.
struct EventQueue {
    private struct Event {
        let time: UInt64
        let number: UInt64
        let slot: Int

        @inline(__always)
        static func < (left: Event, right: Event) -> Bool {
            left.time != right.time ? left.time < right.time : left.number < right.number
        }
    }

    private var heap: [Event] = []
    private var bodies: [(() -> Void)?] = []
    private var free: [Int] = []
    private var added: UInt64 = 0

    /// When the next one happens.
    var nextTime: Moment? { heap.first.map { Moment(microseconds: $0.time) } }

    mutating func add(at time: Moment, _ body: @escaping () -> Void) {
        added += 1
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            bodies[slot] = body
        } else {
            slot = bodies.count
            bodies.append(body)
        }
        let event = Event(time: time.microseconds, number: added, slot: slot)
        heap.append(event)
        var place = heap.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard event < heap[parent] else { break }
            heap[place] = heap[parent]
            place = parent
        }
        heap[place] = event
    }

    /// Takes the next event.
    mutating func removeFirst() -> (time: Moment, body: () -> Void)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty { sink(last) }
        guard let body = bodies[first.slot] else {
            preconditionFailure("event \(first.number) does nothing")
        }
        bodies[first.slot] = nil
        free.append(first.slot)
        return (Moment(microseconds: first.time), body)
    }

    /// Puts an event where it belongs, beginning at the top.
    private mutating func sink(_ event: Event) {
        var place = 0
        while true {
            var child = 2 * place + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < event else { break }
            heap[place] = heap[child]
            place = child
        }
        heap[place] = event
    }
}
