// NodeClock.swift: what one machine's monotonic clock shows: it drifts, jumps ahead now and then, or stands still.
// Belongs here: the arithmetic. Never here: when a clock jumps (Faults/).
// Invariant: it never goes back, as CLOCK_MONOTONIC never does.

@testable import Server

/// A machine's clock.
struct NodeClock {
    /// Millionths by which it is too fast, or too slow if negative.
    private let driftPerMillion: Int64
    private var base: UInt64
    /// When it showed `base`; ahead of the present while it stands still.
    private var since = Moment.beginning

    init(startMicroseconds: UInt64, driftPerMillion: Int64) {
        base = startMicroseconds
        self.driftPerMillion = driftPerMillion
    }

    /// Whether it is too fast or too slow.
    var isWrong: Bool { driftPerMillion != 0 }

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
        advance(to: moment)
        base += microseconds
    }

    /// Stops the clock for a while; what is asked of it then it shows later.
    mutating func freeze(microseconds: UInt64, at moment: Moment) {
        advance(to: moment)
        since = max(since, moment.after(microseconds: microseconds))
    }

    /// Lets the clock go on.
    mutating func thaw(at moment: Moment) { since = min(since, moment) }

    private mutating func advance(to moment: Moment) {
        guard moment > since else { return }
        let passed = Int64(moment.since(since))
        base += UInt64(max(0, passed + passed * driftPerMillion / 1_000_000))
        since = moment
    }
}
