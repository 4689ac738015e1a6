// ProcessOutput.swift: what a replica says during a turn, handed to the network and the event loops after it.
// Belongs here: collecting, the codec of peers. Never here: delays and losses (Network/), deciding.
// Source: Server/Runtime/LoopDispatcher.swift and PeerNetwork.swift.

import Raft
import Storage

@testable import Server

/// Collects one turn's output; belongs to one process.
final class ProcessOutput: ReplicaOutput {
    // The process owns its output.
    unowned(unsafe) var process: MemberProcess?
    private var posted: [[LoopMessage]]
    private var traffic: [PeerTraffic] = []

    init(loopCount: Int) {
        posted = Array(repeating: [], count: loopCount)
    }

    func post(_ message: LoopMessage, to loop: Int) { posted[loop].append(message) }

    func eventBytesWaiting(on loop: Int) -> Int {
        var bytes = process?.loops[loop].eventBytesWaiting ?? 0
        for case .events(let batch) in posted[loop] { bytes += batch.byteCount }
        return bytes
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
        guard let process else { return }
        let world = process.world
        let node = process.newcomers[Int(number)]
        let delay = world.network.latency(from: process.node.place, to: node.place)
        world.schedule(after: delay) { world.take(content, for: node) }
    }

    func fetchSnapshot(from member: UInt64) {
        process?.fetchSnapshot(from: member, damage: nil)
    }

    func repair(_ damage: Damage, from member: UInt64) -> Bool {
        process?.fetchSnapshot(from: member, damage: damage) ?? false
    }

    func report(_ event: ReplicaEvent) {
        guard let process else { return }
        let world = process.world
        world.marks.note(event)
        switch event {
        case .damaged, .handingOver, .requestFailed, .diskFull, .compacted:
            world.note(.reported, process.node.place, 0, 0, "\(event)")
        default: break
        }
        switch event {
        case .becameLeader(let term):
            world.note(.becameLeader, process.node.place, term, 0)
            world.reignBegan = world.now
            world.plan.won(process.node)
        case .diskFull(let isFull): process.isHurried = isFull
        case .readable: process.isReadable = true
        case .membersChanged(let rows, let removed):
            process.knowsMembers = true
            process.isAlone = rows.count == 1
            process.directory.set(rows, removed: removed)
            if rows.contains(where: { $0.id == process.node.identity.memberID }) {
                world.network.update(process, process.directory.reachable)
            }
        case .removed: process.ending = .removed
        case .stopped(let error): process.ending = .failed("\(error)")
        case .leaderChanged, .handingOver, .requestFailed, .compacted, .damaged, .quotaNear,
            .quotaReached:
            break
        }
    }

    private func place(of member: UInt64) -> Int {
        if let found = traffic.firstIndex(where: { $0.member == member }) { return found }
        traffic.append(PeerTraffic(member: member))
        return traffic.count - 1
    }

    /// Hands everything over, to the members first.
    func flush() {
        guard let process else { return }
        let world = process.world
        let network: Network = world.network
        for place in traffic.indices where !traffic[place].isEmpty {
            // Taken out: the lists keep their space, and nothing is copied.
            var part = PeerTraffic(member: traffic[place].member)
            swap(&part, &traffic[place])
            for message in part.messages {
                world.invariants.look(at: message, of: process.node)
                if case .voteAnswer(granted: true) = message.body {
                    world.plan.voted(process.node)
                }
                network.send(message, from: process)
            }
            if !part.requests.isEmpty {
                network.forward(part.requests, from: process, to: part.member)
            }
            if !part.answers.isEmpty {
                network.answer(part.answers, from: process, to: part.member)
            }
            part.removeAll()
            if traffic[place].isEmpty { swap(&part, &traffic[place]) }
        }
        for loop in posted.indices where !posted[loop].isEmpty {
            // The loop keeps the list.
            var messages: [LoopMessage] = []
            swap(&messages, &posted[loop])
            process.loops[loop].receive(messages)
        }
    }
}
