// MessageFilter.swift: kinds of messages that a fault can hold back while others pass.
// Belongs here: which message is of which kind. Never here: when (Faults/), the ways (Network.swift).

import Raft

/// A kind of messages of the consensus core.
enum MessageFilter: CaseIterable {
    case appends, appendAnswers, heartbeats, heartbeatAnswers, votes, readAnswers

    /// Whether a message is of this kind.
    func stops(_ body: Message.Body) -> Bool {
        switch body {
        case .append, .snapshotOffer: self == .appends
        case .appendAccepted, .appendRejected: self == .appendAnswers
        case .heartbeat: self == .heartbeats
        case .heartbeatAnswer: self == .heartbeatAnswers
        case .preVoteRequest, .preVoteAnswer, .voteRequest, .voteAnswer, .timeoutNow: self == .votes
        case .readIndexRequest, .readIndexAnswer: self == .readAnswers
        }
    }
}
