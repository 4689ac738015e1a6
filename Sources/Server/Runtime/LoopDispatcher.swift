// LoopDispatcher.swift: carries the replica's messages to the event loops, one wake-up for many messages.
// Belongs here: mailboxes. Never here: what a message means (Front).

internal import Atomics
internal import NIOCore
internal import Storage

/// The mailbox of one event loop.
final class LoopMailbox: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards `messages` and `isScheduled`; `receiver` belongs to the loop.
    private let monitor = Monitor()
    private let loop: any EventLoop
    private var messages: [LoopMessage] = []
    private var isScheduled = false
    private let eventBytes = ManagedAtomic<Int>(0)
    /// Takes the messages, on the loop; set there before the first is posted.
    var receiver: ((LoopMessage) -> Void)?

    init(loop: any EventLoop) {
        self.loop = loop
    }

    /// Bytes of events that the loop has not taken yet.
    var eventBytesWaiting: Int { eventBytes.load(ordering: .relaxed) }

    /// Adds messages and wakes the loop if need be.
    func post(_ batch: inout [LoopMessage]) {
        for case .events(let events) in batch {
            eventBytes.wrappingIncrement(by: events.byteCount, ordering: .relaxed)
        }
        monitor.lock()
        if messages.isEmpty {
            swap(&messages, &batch)
        } else {
            messages.append(contentsOf: batch)
        }
        let wakes = !isScheduled
        isScheduled = true
        monitor.unlock()
        batch.removeAll(keepingCapacity: true)
        if wakes { loop.execute { self.drain() } }
    }

    private func drain() {
        var taken: [LoopMessage] = []
        monitor.lock()
        swap(&taken, &messages)
        isScheduled = false
        monitor.unlock()
        for message in taken {
            if case .events(let events) = message {
                eventBytes.wrappingDecrement(by: events.byteCount, ordering: .relaxed)
            }
            receiver?(message)
        }
    }
}

/// Collects what the replica says during one turn; confined to its thread.
final class LoopDispatcher: ReplicaOutput {
    private let mailboxes: [LoopMailbox]
    private var outgoing: [[LoopMessage]]
    private let events: @Sendable (ReplicaEvent) -> Void

    init(mailboxes: [LoopMailbox], events: @escaping @Sendable (ReplicaEvent) -> Void) {
        self.mailboxes = mailboxes
        self.events = events
        outgoing = Array(repeating: [], count: mailboxes.count)
    }

    func post(_ message: LoopMessage, to loop: Int) {
        outgoing[loop].append(message)
    }

    func eventBytesWaiting(on loop: Int) -> Int {
        mailboxes[loop].eventBytesWaiting
    }

    func report(_ event: ReplicaEvent) {
        events(event)
    }

    /// Hands everything over.
    func flush() {
        for loop in outgoing.indices where !outgoing[loop].isEmpty {
            mailboxes[loop].post(&outgoing[loop])
        }
    }
}
