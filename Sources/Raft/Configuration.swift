// Configuration.swift: what is fixed for the life of a node, and what it starts from.
// Belongs here: settings and the restored state. Never here: bounds (Limits.swift).
// Source: Raft paper §9.3 (timing); thesis §6.4.1, §9.6 (check-quorum, pre-vote).

/// What is fixed for the life of a node.
public struct Configuration: Sendable {
    /// This member.
    public var id: MemberID

    /// Fixes every random choice of the node; to differ between members, best between starts too.
    public var seed: UInt64

    /// The shortest time without a leader before a member stands for election, in ticks.
    public var electionTimeoutTicks = 10

    /// How many different timeouts are drawn from, starting with the shortest.
    public var electionJitterTicks = 10

    /// The time between two heartbeats of a leader, in ticks.
    public var heartbeatTicks = 1

    /// Ask whether an election could be won before disturbing the cluster with a new term.
    public var preVote = true

    /// A leader that hears from no quorum for a timeout steps down; members hold to a live leader.
    public var checkQuorum = true

    /// A sole voter stands at the first tick: there is nobody to wait for.
    public var soleVoterCampaignsAtFirstTick = true

    /// The bounds.
    public var limits = Limits()

    /// Every which heartbeat is to be answered if nothing else depends on it: three in an election timeout.
    var answeredHeartbeats: Int { max(1, electionTimeoutTicks / (3 * heartbeatTicks)) }

    /// Walk the whole log after every step to check it; for tests and simulation only.
    package var checksWholeLog = false

    /// Settings for a member, the rest at their defaults.
    public init(id: MemberID, seed: UInt64) {
        self.id = id
        self.seed = seed
    }

    /// Traps if the settings contradict each other.
    func check() {
        precondition(heartbeatTicks > 0, "heartbeat every \(heartbeatTicks) ticks")
        precondition(
            electionTimeoutTicks > heartbeatTicks,
            "timeout \(electionTimeoutTicks) ticks, heartbeat \(heartbeatTicks)")
        precondition(electionJitterTicks > 0, "\(electionJitterTicks) timeouts to draw from")
        precondition(limits.inflightAppendsMax > 0, "\(limits.inflightAppendsMax) in flight")
        precondition(limits.inflightBytesMax > 0, "\(limits.inflightBytesMax) bytes in flight")
    }
}

/// What a node knows at its start: read from the disk, or empty for a new one.
public struct Restored: Sendable {
    /// Term, vote and commit as last saved.
    public var hardState = HardState()

    /// The last entry that is no longer in the log on disk; zero if none was ever dropped.
    public var compactedThrough = LogIndex.zero

    /// The entry just before `entries`, at or after `compactedThrough`, at or before `applied`.
    public var base = EntryID.zero

    /// The end of the log on disk, in order and without gaps; at least all that is not applied.
    public var entries: [Entry] = []

    /// How far the state machine has come.
    public var applied = LogIndex.zero

    /// The configuration as of `applied`; what `entries` change after it takes effect at once.
    ///
    /// Empty on a new member that has yet to be told by a leader. Members that found a cluster
    /// together start with the same one.
    public var membership: Membership

    /// A new member's state; set the fields to restore an old one.
    public init(membership: Membership) { self.membership = membership }

    /// A new member's state, in a cluster of voters alone.
    public init(voters: [MemberID]) { self.init(membership: Membership(voters: voters)) }
}
