// Progress.swift: what a leader knows of one other member.
// Belongs here: the state of replication to it. Never here: messages (RaftNode+Replication.swift).
// Source: Raft paper figure 2 (nextIndex, matchIndex); states as in thesis §10.2.1 and §5.1.
//
//   probe ──accepted──▶ replicate           any ──disconnected, rejected──▶ probe
//   probe, replicate ──entries not held──▶ load ──loaded──▶ probe or replicate
//   probe, replicate ──entries compacted──▶ snapshot ──accepted──▶ replicate

/// What a leader knows of one other member.
struct Progress: Sendable {
    /// How entries are sent to the member.
    enum Mode: Equatable, Sendable {
        /// One message at a time, to find where the logs part; nothing while one is unanswered.
        case probe(isPaused: Bool)
        /// As many messages as the window allows.
        case replicate
        /// The caller is reading entries from its disk; nothing is sent.
        case load
        /// The log has no longer what the member needs, and the member is told so.
        case snapshot
    }

    let member: MemberID

    var mode = Mode.probe(isPaused: false)

    /// The member's log equals ours through here, and is on its disk; never falls in a term.
    private(set) var match = LogIndex.zero

    /// The next entry to send; always after `match`.
    private(set) var next: LogIndex

    /// The commit index last sent.
    var sentCommit = LogIndex.zero

    /// The newest round of heartbeats it answered.
    var answeredRound = ReadRound.zero

    /// Set when a whole heartbeat interval brought no acknowledgement.
    private var isSuspect = false
    private var matchAtHeartbeat = LogIndex.zero

    /// Whether it was heard from since the last check of the quorum.
    var isActive = false

    /// Whether it was heard from between the last two checks.
    var wasActive = false

    /// The entry that removed the member from the configuration; nil while it is in it.
    var departure: LogIndex?

    var window: InflightWindow

    init(member: MemberID, next: LogIndex, limits: Limits) {
        self.member = member
        self.next = next
        window = InflightWindow(
            appendsMax: limits.inflightAppendsMax, bytesMax: limits.inflightBytesMax)
    }

    /// Whether an append may be sent now.
    var canSend: Bool {
        switch mode {
        case .probe(let isPaused): !isPaused
        case .replicate: !window.isFull
        case .load, .snapshot: false
        }
    }

    /// Notes an acknowledgement; false if it told nothing new.
    mutating func accept(match index: LogIndex) -> Bool {
        let isNews = index > match
        match = max(match, index)
        next = max(next, index.next)
        window.acknowledge(through: index)
        return isNews
    }

    /// Notes that entries through `index` were sent, which uses up the window or the probe.
    mutating func sent(through index: LogIndex, bytes: Int) {
        switch mode {
        case .probe:
            mode = .probe(isPaused: true)
        case .replicate:
            next = index.next
            if bytes > 0 { window.add(through: index, bytes: bytes) }
        case .load, .snapshot:
            preconditionFailure("nothing is sent in mode \(mode)")
        }
    }

    /// Goes back to finding out what the member has, starting with the entry `next`.
    mutating func probe(from index: LogIndex) {
        next = max(index, match.next)
        mode = .probe(isPaused: false)
        window.removeAll()
    }

    /// Starts to send without waiting for answers.
    mutating func replicate() {
        next = match.next
        mode = .replicate
        window.removeAll()
    }

    /// Whether a rejection of an append after `previous` is about the last one we sent.
    func isCurrentRejection(previous: LogIndex) -> Bool {
        switch mode {
        case .replicate: previous > match
        case .probe: previous.next == next && previous > match
        case .load, .snapshot: false
        }
    }

    /// Suspects, once per heartbeat interval, that what was sent is lost if nothing was accepted.
    mutating func suspectIfIdle() {
        isSuspect = match == matchAtHeartbeat
        matchAtHeartbeat = match
    }

    /// Lets one more append go to a member that is alive and behind; false if none is needed.
    ///
    /// It finds out what was lost on the way.
    mutating func resume() -> Bool {
        switch mode {
        case .probe(isPaused: false):
            return true
        case .load, .snapshot:
            return false
        case .probe(isPaused: true):
            guard isSuspect else { return false }
            mode = .probe(isPaused: false)
        case .replicate:
            guard isSuspect else { return false }
            if window.isFull { window.forgetOldest() }
        }
        isSuspect = false
        return true
    }
}
