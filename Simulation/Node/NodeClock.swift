// NodeClock.swift: what one machine's monotonic clock shows: it drifts, and now and then it jumps ahead.
// Belongs here: the arithmetic. Never here: when a clock jumps (Faults/).
// Invariant: it never goes back, as CLOCK_MONOTONIC never does.

@testable import Server

/// A machine's clock.
struct NodeClock {
    /// Millionths by which it is too fast, or too slow if negative.
    private let driftPerMillion: Int64
    private var base: UInt64
    private var since = Moment.beginning

    init(startMicroseconds: UInt64, driftPerMillion: Int64) {
        base = startMicroseconds
        self.driftPerMillion = driftPerMillion
    }

    /// What the clock shows at a moment.
    func tick(at moment: Moment) -> Tick {
        let passed = Int64(moment.since(since))
        let shown = passed + passed * driftPerMillion / 1_000_000
        return Tick(milliseconds: (base + UInt64(max(0, shown))) / 1000)
    }

    /// The first moment at which the clock shows a time, or `now` if it does already.
    func moment(of tick: Tick, now: Moment) -> Moment {
        let wanted = tick.milliseconds * 1000
        guard wanted > base else { return now }
        let shown = Int64(wanted - base)
        var moment = since.after(
            microseconds: UInt64(shown * 1_000_000 / (1_000_000 + driftPerMillion)))
        while self.tick(at: moment) < tick { moment = moment.after(microseconds: 1) }
        return max(now, moment)
    }

    /// Moves the clock ahead.
    mutating func jump(microseconds: UInt64, at moment: Moment) {
        let passed = Int64(moment.since(since))
        base += UInt64(max(0, passed + passed * driftPerMillion / 1_000_000)) + microseconds
        since = moment
    }
}
