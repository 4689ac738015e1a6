// LoginClock.swift: when each login ends that nobody uses, by the leader's monotonic clock.
// Belongs here: deadlines and their order, counts. Never here: stored logins (Storage), tokens (LoopAuth.swift).
// Source: etcd semantics A4: a token dies so long after its last use. Invariant: each login has an entry in the queue
// at its deadline, and entries ascend, for all logins live equally long.

/// All logins with their deadlines; on the leader only.
struct LoginClock {
    private struct Login {
        let user: [UInt8]
        var deadline: Tick
    }

    /// How long a login lives after its last use, in milliseconds.
    private let lifetimeMilliseconds: UInt64
    // Looked up by digest and name; never iterated but to drop some.
    private var logins: [[UInt8]: Login] = [:]
    private var counts: [[UInt8]: Int] = [:]
    private var queue: [(deadline: Tick, digest: [UInt8])] = []
    private var queueStart = 0

    init(lifetimeMilliseconds: UInt64) {
        self.lifetimeMilliseconds = lifetimeMilliseconds
    }

    /// The number of logins.
    var count: Int { logins.count }

    /// The number of a user's logins.
    func count(of user: [UInt8]) -> Int { counts[user] ?? 0 }

    /// When to look again; nil without logins.
    var nextDeadline: Tick? { queueStart < queue.count ? queue[queueStart].deadline : nil }

    /// Adds a login.
    mutating func add(_ digest: [UInt8], of user: [UInt8], now: Tick) {
        if logins[digest] == nil { counts[user, default: 0] += 1 }
        let deadline = now.advanced(milliseconds: lifetimeMilliseconds)
        logins[digest] = Login(user: user, deadline: deadline)
        queue.append((deadline, digest))
    }

    /// Gives a login its full time again; unknown is no error.
    mutating func renew(_ digest: [UInt8], now: Tick) {
        guard let login = logins[digest] else { return }
        let deadline = now.advanced(milliseconds: lifetimeMilliseconds)
        guard deadline > login.deadline else { return }
        logins[digest]?.deadline = deadline
        queue.append((deadline, digest))
    }

    /// Forgets a login.
    mutating func remove(_ digest: [UInt8]) {
        // Its entry in the queue goes when it comes up.
        guard let login = logins.removeValue(forKey: digest) else { return }
        let left = count(of: login.user) - 1
        counts[login.user] = left > 0 ? left : nil
    }

    /// Forgets a user's logins; returns their digests, ascending.
    mutating func removeAll(of user: [UInt8]) -> [[UInt8]] {
        guard count(of: user) > 0 else { return [] }
        let digests = logins.filter { $0.value.user == user }.keys
            .sorted { $0.lexicographicallyPrecedes($1) }
        digests.forEach { remove($0) }
        return digests
    }

    /// Forgets all logins.
    mutating func removeAll() {
        self = LoginClock(lifetimeMilliseconds: lifetimeMilliseconds)
    }

    /// Up to `limit` logins whose time is over, soonest first; they stay until `remove`.
    mutating func expired(now: Tick, limit: Int) -> [[UInt8]] {
        var digests: [[UInt8]] = []
        while digests.count < limit, queueStart < queue.count, queue[queueStart].deadline <= now {
            let (deadline, digest) = queue[queueStart]
            queueStart += 1
            // One that was renewed has a later entry.
            if let login = logins[digest], login.deadline <= deadline { digests.append(digest) }
        }
        if queueStart > 1024 || queueStart == queue.count {
            queue.removeFirst(queueStart)
            queueStart = 0
        }
        return digests
    }
}
