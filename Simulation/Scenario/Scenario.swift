// Scenario.swift: a workload and the faults around it, as ranges from which every seed draws its own.
// Belongs here: plain descriptions. Elsewhere: ScenarioParser.swift (text), Faults/Swarm.swift (drawing).

/// What a batch of seeds has in common.
public struct Scenario {
    /// As reports show it.
    public var name = "standard"
    var members: ClosedRange<UInt64> = 3...3
    var duration: ClosedRange<UInt64> = UInt64.seconds(10)...UInt64.seconds(30)
    var election: ClosedRange<UInt64> = UInt64.milliseconds(300)...UInt64.milliseconds(1000)
    var delay: ClosedRange<UInt64> = 100...UInt64.milliseconds(5)
    var loss: ClosedRange<UInt64> = 0...20_000
    var duplicate: ClosedRange<UInt64> = 0...20_000
    var reset: ClosedRange<UInt64> = 0...500
    var reorder: ClosedRange<UInt64> = 0...0
    var sync: ClosedRange<UInt64> = 100...UInt64.milliseconds(5)
    var stall: ClosedRange<UInt64> = 0...0
    var drift: ClosedRange<UInt64> = 0...10_000
    /// Bytes of log that stay behind checkpoints.
    var retention: ClosedRange<UInt64> = 16 << 10...512 << 10
    /// How often something unusual happens at points in the code, see `ChancePoint`.
    var chance: ClosedRange<UInt64> = 0...0
    var workloads: [Workload] = []
    var rules: [FaultRule] = []
    /// Every rule is part of every run; otherwise each seed leaves some out.
    var keepsAllRules = false

    /// A scenario without workload and faults.
    public init() {}

    /// The same in a moment: worlds of a few seconds in which as many faults happen, each for a shorter time.
    public func shortened() -> Scenario {
        var short = self
        short.duration = UInt64.seconds(1)...UInt64.seconds(3)
        for place in short.rules.indices {
            short.rules[place].every = Self.shortened(rules[place].every)
            short.rules[place].last = Self.shortened(rules[place].last)
        }
        return short
    }

    private static let shortening: UInt64 = 8

    private static func shortened(_ range: ClosedRange<UInt64>) -> ClosedRange<UInt64> {
        range.lowerBound / shortening...range.upperBound / shortening
    }
}
