// Gather.swift: when what comes next is better sent together, and for how long it may wait for that.
// Belongs here: the rule. Never here: what is sent (Replica+Reads.swift).
// Why: a message between members costs as much as twenty of the requests in it. When an answer comes, those it
// was for are about to ask again; who sends at once what is there splits them into ever smaller groups.

internal import Storage

/// Whether requests should wait for those that the last group suggests.
struct Gather {
    /// How many the last group had.
    private var last = 0
    /// As many as are worth sending.
    private(set) var wanted = 0
    /// When they go whatever their number.
    private(set) var until = Tick(milliseconds: 0)

    /// Notes a group that was sent.
    mutating func sent(_ count: Int) { last = count }

    /// Notes that the answer to a group came: the next one begins to gather.
    mutating func answered(now: Tick) {
        guard last >= ReplicaLimits.gatheringMin else { return }
        wanted = last * 3 / 4
        until = now.advanced(milliseconds: ReplicaLimits.gatheringMilliseconds)
    }

    /// Whether a group of so many should wait for others.
    func holds(_ count: Int, now: Tick) -> Bool { now < until && count < wanted }
}
