// Network.swift: what members send each other: encoded, delayed, lost, repeated, cut off.
// Belongs here: links, delivery. Elsewhere: +Links (dialling, breaking), +Faults (ways). Never here: when faults
// happen (Faults/). Everything passes the production codec, as on real connections.

import Raft
import Storage

@testable import Server

/// How the network of a world behaves.
struct NetworkSettings: Equatable {
    /// The usual time of a packet one way, in microseconds.
    var delayMicroseconds: UInt64 = 300
    /// Raft messages lost and doubled, of a million.
    var losses: UInt64 = 0
    var duplicates: UInt64 = 0
    /// Connections reset for each packet, of a million.
    var resets: UInt64 = 0
    /// Raft messages that don't keep their place, of a million: the core promises to bear it.
    var reorders: UInt64 = 0
    /// Packets that a link takes before it refuses more.
    var capacity = 200
    /// A silent connection is given up after this.
    var silenceMicroseconds: UInt64 = .seconds(5)
}

/// The network between members.
final class Network {
    unowned(unsafe) let world: World
    var settings: NetworkSettings
    var dice: Dice
    private(set) var links: [Link] = []
    /// By dialer, acceptor and channel.
    private var index = [Link?](repeating: nil, count: 64 * 64 * 2)
    /// How many faults block a way, by `from * 64 + to`.
    var blocks = [Int](repeating: 0, count: 64 * 64)
    /// Added to the time of a packet on a way.
    var delays = [UInt64](repeating: 0, count: 64 * 64)
    /// Kinds of messages that don't get through, by way.
    var filters = [[MessageFilter]](repeating: [], count: 64 * 64)

    init(world: World, settings: NetworkSettings, dice: Dice) {
        self.world = world
        self.settings = settings
        self.dice = dice
    }

    static func way(_ from: Int, _ to: Int) -> Int { from * 64 + to }

    /// Whether packets get through one way.
    func isOpen(from: Int, to: Int) -> Bool { blocks[Self.way(from, to)] == 0 }

    /// The time of one packet.
    func latency(from: Int, to: Int) -> UInt64 {
        20 + dice.heavyTail(mean: settings.delayMicroseconds) + delays[Self.way(from, to)]
    }

    func link(_ dialer: Int, _ acceptor: Int, _ channel: LinkChannel) -> Link {
        let key = Self.way(dialer, acceptor) * 2 + Int(channel.rawValue)
        if let found = index[key] { return found }
        let made = Link(dialer: dialer, acceptor: acceptor, channel: channel)
        index[key] = made
        links.append(made)
        return made
    }

    // MARK: sending

    /// Sends a message of the consensus core; it may be lost.
    func send(_ message: Message, from process: MemberProcess) {
        let world = world
        guard let to = world.place(of: message.to.rawValue) else { return }
        let link = link(process.node.place, to, .log)
        guard link.isUp else { return }
        guard link.underWay < settings.capacity else { return world.faults.count(.pathFull) }
        let way = Self.way(process.node.place, to)
        if !filters[way].isEmpty, filters[way].contains(where: { $0.stops(message.body) }) {
            return world.faults.count(.messageLost)
        }
        if dice.chance(perMillion: settings.losses) {
            return world.faults.count(.messageLost)
        }
        let bytes = RaftMessageFields(message).encoded()
        world.noteMessage(message, process.node.place, to, bytes.count)
        carry(.raft(bytes), on: link, isThere: true)
        if dice.chance(perMillion: settings.duplicates) {
            world.faults.count(.messageDuplicated)
            carry(.raft(bytes), on: link, isThere: true)
        }
    }

    /// Passes requests on; those that can't be sent come back.
    func forward(_ requests: [ForwardedRequest], from process: MemberProcess, to member: UInt64) {
        guard let to = world.place(of: member) else {
            return process.add(.forwardRefused(requests.map(\.sequence)))
        }
        let link = link(process.node.place, to, .forward)
        guard link.isUp, link.underWay < settings.capacity else {
            if link.isUp { world.faults.count(.pathFull) }
            return process.add(.forwardRefused(requests.map(\.sequence)))
        }
        let list = WireList(elements: requests.compactMap(ForwardedRequestFields.init))
        world.marks.reach(.requestForwarded)
        carry(.requests(list.encoded()), on: link, isThere: true)
    }

    /// Answers what a member forwarded, on its connection; lost if that is.
    func answer(_ answers: [ForwardedAnswer], from process: MemberProcess, to member: UInt64) {
        guard let to = world.place(of: member) else { return }
        let link = link(to, process.node.place, .forward)
        guard link.isUp else { return }
        let list = WireList(elements: answers.map(ForwardedAnswerFields.init))
        carry(.answers(list.encoded()), on: link, isThere: false)
    }

    private func carry(_ packet: Packet, on link: Link, isThere: Bool) {
        let world = world
        if dice.chance(perMillion: settings.resets) {
            world.faults.count(.connectionReset)
            return breakLink(link)
        }
        let (from, to) =
            isThere ? (link.dialer, link.acceptor) : (link.acceptor, link.dialer)
        let arrival = arrival(of: packet, on: link, isThere, latency(from: from, to: to))
        link.underWay += 1
        world.trace.mix(packet.bytes)
        world.schedule(
            at: arrival, .arrival(packet, link, epoch: link.epoch, isThere: isThere))
    }

    /// What one end sends arrives in order, unless a message loses its place.
    private func arrival(
        of packet: Packet, on link: Link, _ isThere: Bool, _ latency: UInt64
    ) -> Moment {
        if case .raft = packet, dice.chance(perMillion: settings.reorders) {
            world.faults.count(.messageReordered)
            let late = dice.within(0...4 * settings.delayMicroseconds)
            return world.now.after(microseconds: latency + late)
        }
        let earliest = (isThere ? link.arrivals.there : link.arrivals.back).after(microseconds: 1)
        let arrival = max(earliest, world.now.after(microseconds: latency))
        if isThere { link.arrivals.there = arrival } else { link.arrivals.back = arrival }
        return arrival
    }

    /// A packet comes.
    func arrive(_ packet: Packet, on link: Link, epoch: UInt32, isThere: Bool) {
        guard link.epoch == epoch else { return }
        let (from, to) =
            isThere ? (link.dialer, link.acceptor) : (link.acceptor, link.dialer)
        let isHolding = isThere ? !link.heldThere.isEmpty : !link.heldBack.isEmpty
        if isHolding || !isOpen(from: from, to: to) {
            if isThere { link.heldThere.append(packet) } else { link.heldBack.append(packet) }
            return
        }
        let world = world
        let node = world.nodes[to]
        guard !world.isPaused(node) else {
            return node.parked.append { [self] in hand(packet, from: from, to: node, link, epoch) }
        }
        hand(packet, from: from, to: node, link, epoch)
    }

    private func hand(
        _ packet: Packet, from: Int, to node: SimulatedNode, _ link: Link, _ epoch: UInt32
    ) {
        guard link.epoch == epoch, let process = node.process else { return }
        link.underWay -= 1
        take(packet, from: world.nodes[from].identity.memberID, by: process)
    }

    /// What a blocked way held back goes on.
    func release(_ link: Link) {
        let there = link.heldThere
        let back = link.heldBack
        link.heldThere = []
        link.heldBack = []
        link.underWay -= there.count + back.count
        for packet in there { carry(packet, on: link, isThere: true) }
        for packet in back { carry(packet, on: link, isThere: false) }
    }

    // MARK: receiving

    private func take(_ packet: Packet, from member: UInt64, by process: MemberProcess) {
        do throws(WireError) {
            switch packet {
            case .raft(let bytes):
                guard let message = try RaftMessageFields(decoding: bytes).message else {
                    return world.fail("codec", "a message of the core can't be read back")
                }
                guard message.to.rawValue == process.node.identity.memberID else { return }
                process.add(.message(message))
            case .requests(let bytes):
                try takeRequests(bytes, from: member, by: process)
            case .answers(let bytes):
                let list = try WireList<ForwardedAnswerFields>(decoding: bytes)
                process.add(.answers(list.elements.compactMap(\.answer)))
            }
        } catch {
            world.fail("codec", "what was encoded can't be decoded: \(error)")
        }
    }

    private func takeRequests(
        _ bytes: [UInt8], from member: UInt64, by process: MemberProcess
    ) throws(WireError) {
        let list = try WireList<ForwardedRequestFields>(decoding: bytes)
        var requests: [ReplicaRequest] = []
        for fields in list.elements {
            requests.append(try fields.request(from: member))
        }
        guard !process.add(requests) else { return }
        answer(
            list.elements.map {
                ForwardedAnswer(
                    sequence: $0.sequence, index: 0,
                    content: .failure(EtcdError.tooManyRequests.status))
            }, from: process, to: member)
    }
}
