// LeaseClock.swift: when each lease runs out, by the leader's monotonic clock.
// Belongs here: deadlines and their order. Never here: stored leases (Storage), revoking (Replica).
// Source: etcd semantics L1, L3-L7, L11. Invariant: each lease has at least one heap entry at or before
// its deadline, so none is forgotten; a stale entry is pushed again when it comes up.

/// Milliseconds of a clock that never goes back; its zero means nothing.
struct Tick: Hashable, Comparable, Sendable {
    let milliseconds: UInt64

    static func < (left: Tick, right: Tick) -> Bool { left.milliseconds < right.milliseconds }

    func advanced(milliseconds: UInt64) -> Tick {
        Tick(milliseconds: self.milliseconds + milliseconds)
    }

    /// Milliseconds from `earlier` to this; 0 if it lies ahead.
    func since(_ earlier: Tick) -> UInt64 {
        milliseconds > earlier.milliseconds ? milliseconds - earlier.milliseconds : 0
    }
}

/// A lease that is granted and not yet revoked.
struct Lease: Equatable, Sendable {
    let id: Int64
    /// Granted seconds.
    let timeToLive: Int64
    var deadline: Tick
    /// Seconds last written down by `LeaseTable`; below `timeToLive` only after a checkpoint.
    var checkpointed: Int64

    /// Gives it its full time again, from `now` on or from a later renewal.
    mutating func renew(now: Tick) {
        deadline = max(deadline, now.advanced(milliseconds: UInt64(timeToLive) * 1000))
    }
}

/// All leases with their deadlines; on the leader only.
struct LeaseClock: Sendable {
    // Looked up by id, never iterated.
    private var leases: [Int64: Lease] = [:]
    // A binary heap, soonest first; ties by id, so that expiry is the same on every run.
    private var heap: [(deadline: Tick, id: Int64)] = []
    // Where loops renew leases; copies of this share it.
    private var board = LeaseBoard()

    /// The number of leases.
    var count: Int { leases.count }

    subscript(id: Int64) -> Lease? { leases[id].map(withRenewal) }

    private func withRenewal(_ lease: Lease) -> Lease {
        var lease = lease
        if let renewed = board.renewed(lease.id) { lease.renew(now: renewed) }
        return lease
    }

    /// Adds a lease or replaces one of the same id.
    mutating func insert(_ lease: Lease) {
        _ = board.takeOff(lease.id)
        leases[lease.id] = lease
        push((lease.deadline, lease.id))
    }

    /// Forgets a lease.
    mutating func remove(_ id: Int64) {
        _ = board.takeOff(id)
        // Its heap entry goes when it comes up.
        leases[id] = nil
    }

    /// Gives a lease its full time again; nil if there is none (L3).
    mutating func renew(_ id: Int64, now: Tick) -> Lease? {
        #if SIMULATION
            if ServerBug.leaseRenewalIgnored.isPlanted { return leases[id] }
        #endif
        settle(id)
        leases[id]?.renew(now: now)
        return leases[id]
    }

    /// Takes a lease off the board, with what loops did to it.
    mutating func settle(_ id: Int64) {
        if let renewed = board.takeOff(id) { leases[id]?.renew(now: renewed) }
    }

    /// Takes all leases off the board: from now on only the replica renews them, and what is said of them
    /// misses no renewal.
    mutating func settleAll() {
        for lease in bySoonestExpiry() { settle(lease.id) }
    }

    /// Notes what was written down.
    mutating func checkpoint(_ id: Int64, remaining: Int64) {
        // The next renewal has to come by the replica again, which writes down that it was one.
        settle(id)
        leases[id]?.checkpointed = remaining
    }

    /// Begins to share leases by an empty board.
    mutating func use(_ board: LeaseBoard) {
        board.clear()
        self.board = board
    }

    /// Lets event loops renew a lease, unless a renewal has to be written down.
    func share(_ lease: Lease) {
        guard lease.checkpointed >= lease.timeToLive else { return }
        board.put(lease.id, timeToLive: lease.timeToLive)
    }

    /// When to look again; nil without leases.
    var nextDeadline: Tick? { heap.first?.deadline }

    /// Up to `limit` leases whose time is over, soonest first.
    ///
    /// They stay until `remove`.
    mutating func expired(now: Tick, limit: Int) -> [Int64] {
        var ids: [Int64] = []
        while ids.count < limit, let first = heap.first, first.deadline <= now {
            pop()
            settle(first.id)
            guard let lease = leases[first.id] else { continue }
            #if SIMULATION
                if ServerBug.leaseOverstays.isPlanted, now.since(lease.deadline) < 60_000 {
                    push((now.advanced(milliseconds: 1000), first.id))
                    continue
                }
            #endif
            if lease.deadline > now {
                push((lease.deadline, lease.id))
            } else if ids.last != first.id {
                ids.append(first.id)
            }
        }
        return ids
    }

    /// Puts expired leases back that could not be revoked now.
    mutating func retry(_ ids: [Int64], at tick: Tick) {
        for id in ids where leases[id] != nil {
            push((tick, id))
        }
    }

    /// All leases, soonest expiry first (L5).
    func bySoonestExpiry() -> [Lease] {
        leases.values.map(withRenewal).sorted { ($0.deadline, $0.id) < ($1.deadline, $1.id) }
    }

    private mutating func push(_ entry: (deadline: Tick, id: Int64)) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child] < heap[parent] else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func pop() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
