// RateWindow.swift: counts events per second.
// Belongs here: the count. Never here: what is counted and what happens above the limit.

struct RateWindow {
    private var start: Int64 = .min
    private var count = 0

    /// Counts one event; false when it is one too many in its second.
    mutating func admit(at now: Int64, max: Int) -> Bool {
        if start == .min || now - start >= 1_000_000_000 {
            start = now
            count = 0
        }
        count += 1
        return count <= max
    }
}
