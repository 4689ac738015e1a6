// PeerBackoff.swift: how long a link waits before it tries again.
// Belongs here: arithmetic on time and a seed. Never here: timers.
// Waits are drawn from the upper half of each step, so that members that lost each other at the same
// moment do not meet again at the same moment.

struct PeerBackoff {
    private let minNanoseconds: Int64
    private let maxNanoseconds: Int64
    private var step: Int64 = 0
    private var seed: UInt64

    init(minNanoseconds: Int64, maxNanoseconds: Int64, seed: UInt64) {
        precondition(0 < minNanoseconds && minNanoseconds <= maxNanoseconds, "\(minNanoseconds)")
        self.minNanoseconds = minNanoseconds
        self.maxNanoseconds = maxNanoseconds
        self.seed = seed
    }

    /// A good connection was had: the next wait is none.
    mutating func reset() {
        step = 0
    }

    /// The wait before the next attempt.
    mutating func next() -> Int64 {
        let wait = step
        step = min(maxNanoseconds, max(minNanoseconds, step * 2))
        guard wait > 0 else { return 0 }
        return wait - Int64(draw() % UInt64(wait / 2 + 1))
    }

    // SplitMix64 (Steele, Lea, Flood 2014).
    private mutating func draw() -> UInt64 {
        seed &+= 0x9E37_79B9_7F4A_7C15
        var mixed = seed
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
