// LoopDispatcher.swift: carries the replica's messages to the event loops, one wake-up for many messages.
// Belongs here: mailboxes. Never here: what a message means (Front).

internal import NIOCore
internal import Raft
internal import Storage
internal import Synchronization

/// The mailbox of one event loop.
final class LoopMailbox: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards `messages` and `isScheduled`; `receiver` belongs to the loop.
    private let monitor = Monitor()
    private let loop: any EventLoop
    private var messages: [LoopMessage] = []
    private var isScheduled = false
    private let eventBytes = Atomic<Int>(0)
    private let events = Atomic<Int>(0)
    /// Takes the messages, on the loop; set there before the first is posted.
    var receiver: ((LoopMessage) -> Void)?

    init(loop: any EventLoop) {
        self.loop = loop
    }

    /// Bytes of events that the loop has not taken yet.
    var eventBytesWaiting: Int { eventBytes.load(ordering: .relaxed) }

    /// Events that the loop has not taken yet.
    var eventsWaiting: Int { events.load(ordering: .relaxed) }

    /// Adds messages and wakes the loop if need be.
    func post(_ batch: inout [LoopMessage]) {
        for case .events(let batch) in batch {
            eventBytes.wrappingAdd(batch.byteCount, ordering: .relaxed)
            events.wrappingAdd(batch.events.count, ordering: .relaxed)
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
        // Taken off the end: a message moves out of the array without counting references.
        taken.reverse()
        while let message = taken.popLast() {
            if case .events(let batch) = message {
                eventBytes.wrappingSubtract(batch.byteCount, ordering: .relaxed)
                events.wrappingSubtract(batch.events.count, ordering: .relaxed)
            }
            receiver?(message)
        }
    }
}

/// Collects what the replica says during one turn; confined to its thread.
final class LoopDispatcher: ReplicaOutput {
    private let mailboxes: [LoopMailbox]
    private let peers: PeerNetwork
    private var outgoing: [[LoopMessage]]
    /// Bytes of events in `outgoing`, for each loop.
    private var outgoingEventBytes: [Int]
    private var traffic: [PeerTraffic] = []
    private let events: @Sendable (ReplicaEvent) -> Void
    let meter: ReplicaMeter

    init(
        mailboxes: [LoopMailbox], peers: PeerNetwork, meter: ReplicaMeter,
        events: @escaping @Sendable (ReplicaEvent) -> Void
    ) {
        self.mailboxes = mailboxes
        self.peers = peers
        self.meter = meter
        self.events = events
        outgoing = Array(repeating: [], count: mailboxes.count)
        outgoingEventBytes = Array(repeating: 0, count: mailboxes.count)
    }

    func post(_ message: LoopMessage, to loop: Int) {
        if case .events(let batch) = message { outgoingEventBytes[loop] += batch.byteCount }
        outgoing[loop].append(message)
    }

    func eventBytesWaiting(on loop: Int) -> Int {
        mailboxes[loop].eventBytesWaiting + outgoingEventBytes[loop]
    }

    func report(_ event: ReplicaEvent) {
        if case .compacted = event { meter.compacted() }
        events(event)
    }

    func note(_ activity: ReplicaActivity) {
        meter.note(activity)
    }

    func send(_ message: Message) {
        traffic[place(of: message.to.rawValue)].messages.append(message)
    }

    func forward(_ requests: [ForwardedRequest], to member: UInt64) {
        traffic[place(of: member)].requests += requests
    }

    func answer(_ answer: ForwardedAnswer, to member: UInt64) {
        traffic[place(of: member)].answers.append(answer)
    }

    func answer(_ content: ForwardedAnswer.Content, toNewcomer number: UInt64) {
        peers.answer(content, toNewcomer: number)
    }

    func fetchSnapshot(from member: UInt64) {
        peers.fetchSnapshot(from: member, damage: nil)
    }

    func repair(_ damage: Damage, from member: UInt64) -> Bool {
        peers.fetchSnapshot(from: member, damage: damage)
    }

    private func place(of member: UInt64) -> Int {
        if let found = traffic.firstIndex(where: { $0.member == member }) { return found }
        traffic.append(PeerTraffic(member: member))
        return traffic.count - 1
    }

    /// Hands everything over, to the members first: they have the longer way.
    func flush() {
        for place in traffic.indices { peers.send(&traffic[place]) }
        for loop in outgoing.indices where !outgoing[loop].isEmpty {
            mailboxes[loop].post(&outgoing[loop])
            outgoingEventBytes[loop] = 0
        }
    }
}

/// What one turn of the replica has for one member.
struct PeerTraffic {
    let member: UInt64
    var messages: [Message] = []
    var requests: [ForwardedRequest] = []
    var answers: [ForwardedAnswer] = []

    var isEmpty: Bool { messages.isEmpty && requests.isEmpty && answers.isEmpty }

    mutating func removeAll() {
        messages.removeAll(keepingCapacity: true)
        requests.removeAll(keepingCapacity: true)
        answers.removeAll(keepingCapacity: true)
    }
}
