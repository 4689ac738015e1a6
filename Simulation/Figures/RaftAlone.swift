// RaftAlone.swift: three members of the consensus core that have nothing to do, under virtual time.
// Belongs here: the loop around the core alone. Never here: stores, clients, faults (World/).

import Raft

/// A cluster of cores without anything around them.
struct RaftAlone {
    private var nodes: [RaftNode]
    private var now = Moment.beginning
    private var ticks: [UInt64]
    /// Inputs that the cores took.
    private(set) var steps = 0

    private enum Event {
        case wake(Int)
        case message(Message)
    }

    /// Four ticks a heartbeat of 100 ms, as the server has it.
    private static let tickMicroseconds: UInt64 = .milliseconds(25)
    private static let delayMicroseconds: UInt64 = .milliseconds(1)
    private static let members = 3

    init(seed: UInt64) {
        let voters = (1...UInt64(Self.members)).map { MemberID($0) }
        nodes = voters.map { voter in
            var configuration = Configuration(id: voter, seed: seed ^ voter.rawValue)
            configuration.heartbeatTicks = 4
            configuration.electionTimeoutTicks = 40
            configuration.electionJitterTicks = 40
            return RaftNode(configuration: configuration, restoring: Restored(voters: voters))
        }
        ticks = nodes.map { _ in 0 }
    }

    /// Lets virtual time pass; true if somebody leads at the end.
    mutating func run(seconds: UInt64) -> Bool {
        var events = Events()
        for place in nodes.indices { events.add(now, .wake(place)) }
        let end = now.after(microseconds: .seconds(seconds))
        while let (time, event) = events.removeFirst(), time <= end {
            now = time
            switch event {
            case .wake(let place):
                let due = now.microseconds / Self.tickMicroseconds
                while ticks[place] < due {
                    ticks[place] += 1
                    take(.tick, place, &events)
                }
                let next = ticks[place] + UInt64(max(1, nodes[place].ticksUntilDue))
                events.add(Moment(microseconds: next * Self.tickMicroseconds), .wake(place))
            case .message(let message):
                take(.received(message), Int(message.to.rawValue) - 1, &events)
            }
        }
        return nodes.contains { $0.role == .leader }
    }

    /// A step; what is to be saved is saved at once.
    private mutating func take(_ input: Input, _ place: Int, _ events: inout Events) {
        steps += 1
        let effects = nodes[place].step(input)
        for message in effects.sendNow { send(message, &events) }
        for message in effects.sendAfterSave { send(message, &events) }
        if let committed = effects.committed {
            take(.applied(through: committed.upperBound.previous), place, &events)
        }
        if effects.needsSave { take(.saved(effects.saveNumber), place, &events) }
    }

    private func send(_ message: Message, _ events: inout Events) {
        events.add(now.after(microseconds: Self.delayMicroseconds), .message(message))
    }

    /// Events by time, those of one moment in the order in which they came.
    private struct Events {
        /// A few only; the last happens first.
        private var waiting: [(time: Moment, event: Event)] = []

        mutating func add(_ time: Moment, _ event: Event) {
            waiting.insert(
                (time, event), at: waiting.firstIndex { $0.time <= time } ?? waiting.count)
        }

        mutating func removeFirst() -> (Moment, Event)? {
            waiting.popLast().map { ($0.time, $0.event) }
        }
    }
}
