// ClusterView.swift: what a leader knows of the other members when a membership change is asked for.
// Belongs here: contact and progress by member. Never here: rules that use them (ReconfigurationRules).
// Source: etcd semantics K3, K5, K6; etcd's HealthInterval of 5 seconds.

/// The other members as the leader sees them.
struct ClusterView: Equatable, Sendable {
    /// How long a member can be heard by now.
    enum Contact: Int, Sendable {
        /// No connection.
        case none
        /// Connected for less than `steadyMilliseconds`.
        case recent
        /// Connected for at least that long, without a break.
        case steady
    }

    /// What is known of one other member.
    struct Peer: Equatable, Sendable {
        let id: UInt64
        var contact: Contact
        /// Its log equals the leader's through here.
        var match: UInt64
    }

    /// How long a connection must have lasted to count in a membership change (K3).
    static let steadyMilliseconds: UInt64 = 5000

    /// All members but the leader; one that is missing counts as not connected.
    var peers: [Peer] = []
    /// The leader's own last entry that is on its disk.
    var lastIndex: UInt64 = 0

    /// How a member can be heard.
    func contact(with id: UInt64) -> Contact {
        peers.first { $0.id == id }?.contact ?? .none
    }

    /// Whether a member's log is near the leader's end: 90 % of the leader's index, as in etcd (K6).
    func isCaughtUp(_ id: UInt64) -> Bool {
        guard let peer = peers.first(where: { $0.id == id }) else { return false }
        return Double(peer.match) >= Double(lastIndex) * 0.9
    }
}
