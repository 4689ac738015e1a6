// Link.swift: one connection that a member dials and another accepts, as TCP would carry it.
// Belongs here: the connection's state. Never here: delays and faults (Network.swift).
// Invariant: what one end sends arrives in order, or the connection breaks and both ends learn of it in time;
// single messages of the core lose their place where a scenario says so (`network reorder`).

@testable import Server

/// What travels on a connection.
enum Packet {
    /// A message of the consensus core.
    case raft([UInt8])
    /// Requests for the leader.
    case requests([UInt8])
    /// What became of such requests.
    case answers([UInt8])

    /// As it travels.
    var bytes: [UInt8] {
        switch self {
        case .raft(let bytes), .requests(let bytes), .answers(let bytes): bytes
        }
    }
}

/// The purpose of a connection.
enum LinkChannel: UInt8, CaseIterable {
    case log, forward
}

/// One connection.
final class Link {
    let dialer: Int
    let acceptor: Int
    let channel: LinkChannel
    var isUp = false
    /// Counts the connections that this link had: what belongs to an older one is void.
    var epoch: UInt32 = 0
    /// The member still wants the connection.
    var isWanted = false
    var isDialing = false
    var failures: UInt64 = 0
    /// The arrival of the newest packet, by direction: to the acceptor, and back.
    var arrivals = (there: Moment.beginning, back: Moment.beginning)
    /// Packets that a blocked way holds back, by direction.
    var heldThere: [Packet] = []
    var heldBack: [Packet] = []
    /// Packets under way, both directions.
    var underWay = 0

    init(dialer: Int, acceptor: Int, channel: LinkChannel) {
        self.dialer = dialer
        self.acceptor = acceptor
        self.channel = channel
    }
}
