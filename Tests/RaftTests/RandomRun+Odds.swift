// RandomRun+Odds.swift: how likely what is in a run, and the cluster it starts with.
// Belongs here: draws made once for a run. Never here: draws during it (RandomRun+Events.swift).
import Raft

/// How likely what is in a run.
struct Odds {
    var lossPercent: Int
    var doublePercent: Int
    var crashPerMille: Int
    var savePercent: Int
    var tickPercent: Int
    var changePercent: Int
    var transferPercent: Int
    var compactPercent: Int
    var isCut: Bool

    init(from generator: inout SeededGenerator) {
        func one<Value>(of values: [Value]) -> Value {
            values[Int.random(in: 0..<values.count, using: &generator)]
        }
        lossPercent = one(of: [0, 2, 20])
        doublePercent = one(of: [0, 10])
        crashPerMille = one(of: [0, 2, 10, 40])
        savePercent = one(of: [5, 20, 40])
        tickPercent = one(of: [5, 15, 40])
        changePercent = one(of: [0, 30, 100])
        transferPercent = one(of: [0, 10, 50])
        compactPercent = one(of: [0, 30, 100])
        isCut = one(of: [true, false])
    }

    /// Members of which some may be in no configuration yet.
    func makeCluster(seed: UInt64, from generator: inout SeededGenerator) -> Cluster {
        func one<Value>(of values: [Value]) -> Value {
            values[Int.random(in: 0..<values.count, using: &generator)]
        }
        let size = one(of: [1, 2, 3, 3, 3, 4, 5, 5] as [UInt64])
        let learners = one(of: [0, 0, 1] as [UInt64])
        let spares = changePercent == 0 ? 0 : one(of: [0, 1, 2] as [UInt64])
        let preVote = one(of: [true, false])
        let checkQuorum = one(of: [true, false])
        let retained = one(of: [0, 200, 1 << 20])
        let window = one(of: [1, 3, 256])
        let jitter = one(of: [3, 10])
        let timeout = one(of: [3, 10])
        let unapplied = one(of: [300, 1 << 20])
        return Cluster(
            voters: Array(1...size), learners: Array(size + 1..<size + 1 + learners),
            spares: Array(size + 1 + learners..<size + 1 + learners + spares)
        ) { configuration in
            configuration.seed = seed &* 31 &+ configuration.id.rawValue
            configuration.preVote = preVote
            configuration.checkQuorum = checkQuorum
            configuration.electionJitterTicks = jitter
            configuration.electionTimeoutTicks = timeout
            configuration.limits.retainedBytesMax = retained
            configuration.limits.inflightAppendsMax = window
            configuration.limits.unappliedBytesMax = unapplied
            configuration.limits.appendBytesMax = 150
        }
    }
}
