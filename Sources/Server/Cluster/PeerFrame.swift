// PeerFrame.swift: the kinds of frames that members send each other.
// Belongs here: the numbers, and which channel each belongs to. Never here: their content.
// Numbers are never used again for something else; Transport keeps 0 for its own pings.

/// What a frame between members holds.
enum PeerFrame: UInt8 {
    /// Channel log: one message of the consensus core.
    case raft = 1
    /// Channel forward: requests for the leader to carry out.
    case requests = 2
    /// Channel forward: what became of them.
    case answers = 3
    /// Channel snapshot, to the source: what the asking member has.
    case snapshotHave = 4
    /// Channel snapshot, from the source: the state that follows, then its pages, then the end.
    case snapshotState = 5
    case snapshotPages = 6
    case snapshotEnd = 7
    /// Channel bootstrap: a member that is about to join asks, and is answered.
    case bootstrapQuestion = 8
    case bootstrapAnswer = 9
    /// Channel bootstrap: a member that lost its data asks for a fresh identity.
    case replaceQuestion = 10
    /// Channel forward: the beginning of an `answers` frame that is too large for one.
    case answersPart = 11
    /// Channel log: eight bytes that come back as `echoAnswer`, which measures the way.
    case echo = 12
    case echoAnswer = 13
}
