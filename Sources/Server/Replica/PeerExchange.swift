// PeerExchange.swift: what replicas of different members hand each other besides Raft's messages.
// Belongs here: forwarded requests and their answers, as values. Never here: bytes (Cluster/).
// Source: design section 3: a follower forwards writes and answers when its own state has them.

internal import Transport

/// A request that a member passes on to the leader.
struct ForwardedRequest: Sendable {
    /// Counts what this member has forwarded; never used twice, not even after a restart.
    let sequence: UInt64
    let body: ReplicaRequest.Body
    let byteCount: Int
    var authority = Authority.nobody
    /// The sender's term, and the newest round that it has heard of and not told of yet.
    var sent = SenderState()
}

/// What the core of a sender was at when it sent something; zero is unknown, or nothing to tell.
struct SenderState: Hashable, Sendable {
    var term: UInt64 = 0
    var round: UInt64 = 0
}

/// What became of a forwarded request.
struct ForwardedAnswer: Sendable {
    enum Content: Sendable {
        /// The bytes of the response message.
        case message([UInt8])
        case failure(RPCStatus)
        /// Nothing was done with it, for the receiver does not lead: it may be sent to who does.
        case notTaken
    }

    let sequence: UInt64
    /// The asking member may pass the answer on once it has applied this.
    let index: UInt64
    let content: Content
    /// The leader's term and a round that waits to be acknowledged, if one does.
    var sent = SenderState()
}
