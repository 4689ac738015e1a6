// StopSignal.swift: tells a thread that pauses now and then to end.
// Belongs here: pausing until a moment or the signal. Never here: the thread (SystemThread.swift).

internal import Storage

/// Given once, by any thread.
final class StopSignal: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards `isGiven`.
    private let monitor = Monitor()
    private let changed = MonitorCondition()
    private var isGiven = false

    /// Ends the pause that is under way, and all to come.
    func give() {
        monitor.lock()
        isGiven = true
        changed.signal()
        monitor.unlock()
    }

    /// Pauses the thread until a moment of the monotonic clock, in nanoseconds; false once the signal was given.
    func pause(until moment: UInt64) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while !isGiven, MonotonicClock.nanoseconds < moment {
            changed.wait(monitor, untilNanoseconds: moment)
        }
        return !isGiven
    }
}
