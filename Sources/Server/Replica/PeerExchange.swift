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
}
