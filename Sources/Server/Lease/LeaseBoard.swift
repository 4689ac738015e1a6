// LeaseBoard.swift: leases that event loops may renew themselves, without asking the replica.
// Belongs here: what was renewed when. Never here: deadlines and expiry (LeaseClock.swift).
// Source: etcd semantics L3. Only for a sole voter that leads: nobody else can end a lease meanwhile.
//
//   kept alive through the replica --> on the board --(revoked, expired, written down, leadership lost)--> off
//
// Invariants: a lease on the board is committed and not revoked; taking it off and learning of its last
// renewal are one step, so that no lease expires whose renewal was answered.

internal import Storage

/// What loops and the replica share about leases; at most one entry for each lease.
final class LeaseBoard: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards `entries`.
    private struct Entry {
        let timeToLive: Int64
        /// When a loop renewed it last, since it came on the board.
        var renewed: Tick?
    }

    private let monitor = Monitor()
    // Looked up by id, never iterated.
    private var entries: [Int64: Entry] = [:]

    /// Renews a lease from an event loop; its time to live, or nil if the replica has to be asked.
    func renew(_ id: Int64, now: Tick) -> Int64? {
        monitor.lock()
        defer { monitor.unlock() }
        guard let place = entries.index(forKey: id) else { return nil }
        entries.values[place].renewed = max(entries.values[place].renewed ?? now, now)
        return entries.values[place].timeToLive
    }

    /// When a loop renewed a lease last; nil if none did.
    func renewed(_ id: Int64) -> Tick? {
        monitor.lock()
        defer { monitor.unlock() }
        return entries[id]?.renewed
    }

    /// Lets loops renew a lease from now on.
    func put(_ id: Int64, timeToLive: Int64) {
        monitor.lock()
        defer { monitor.unlock() }
        entries[id] = Entry(timeToLive: timeToLive, renewed: nil)
    }

    /// Ends that for one lease, and says when a loop renewed it last.
    func takeOff(_ id: Int64) -> Tick? {
        monitor.lock()
        defer { monitor.unlock() }
        return entries.removeValue(forKey: id)?.renewed
    }

    /// Ends that for all leases; what loops renewed is forgotten.
    func clear() {
        monitor.lock()
        defer { monitor.unlock() }
        entries = [:]
    }
}
