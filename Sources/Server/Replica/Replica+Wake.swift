// Replica+Wake.swift: when the replica has to work next, and what may wait until then.
// Belongs here: times and what is gathered. Never here: the work (Replica.swift).
// Source: design section 3: requests that come together leave together.

internal import Raft
internal import Storage

extension Replica {
    /// When `turn` has to be called next even if nothing comes in; nil for never.
    var nextWake: Tick? {
        guard failure == nil else { return nil }
        let soon = isWaiting ? now.advanced(milliseconds: settings.tickMilliseconds) : nil
        let tick = nextTick.advanced(
            milliseconds: UInt64(node.ticksUntilDue - 1) * settings.tickMilliseconds)
        // What gathers may be waiting outside still.
        let gathered = reads.gather.until > now ? reads.gather.until : nil
        var wake = Earliest()
        wake.add(soon)
        wake.add(gathered)
        guard let tip else {
            wake.add(tick)
            return wake.tick
        }
        wake.add(reads.hurry)
        if isAlone { wake.add(reads.nextRetry) }
        wake.add(tip.executor.leases.nextDeadline.map { max($0, background.nextLeaseCheck) })
        wake.add(tip.executor.logins.nextDeadline.map { max($0, background.nextLoginCheck) })
        wake.add(background.nextWake)
        if !isAlone { wake.add(tick) }
        if isDiskFull { wake.add(now.advanced(milliseconds: SpaceGuard.lookMilliseconds)) }
        return wake.tick
    }

    /// Whether something waits that is tried again from time to time.
    private var isWaiting: Bool {
        damage != nil || reads.waitingCount > 0 || !lateLoads.isEmpty || isPaced && !backlog.isEmpty
            || (tip == nil && (!backlog.isEmpty || !forwards.maySend(now: now)))
    }

    /// Which requests that come now can only wait for those before them.
    ///
    /// They then gather: larger batches cost less. What they wait for, or at the latest the next tick, wakes
    /// the replica.
    var gathering: Gathering {
        if tip == nil ? !forwards.maySend(now: now) : inFlight.count >= window {
            return .everything
        }
        if reads.isAsking { return .reads(below: .max) }
        if reads.gather.holds(reads.waitingCount, now: now) {
            return .reads(below: reads.gather.wanted - reads.waitingCount)
        }
        return .nothing
    }
}
