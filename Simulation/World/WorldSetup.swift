// WorldSetup.swift: everything that is fixed about a world before it begins.
// Belongs here: plain settings. Never here: how a seed draws them (Faults/Swarm.swift).

/// The settings of one run; times in microseconds unless the name says otherwise.
struct WorldSetup {
    let seed: UInt64
    var members = 3
    var segmentBytes = 256 << 10
    var cacheBytes = 1 << 20
    var electionMilliseconds: UInt64 = 1000
    var heartbeatMilliseconds: UInt64 = 100
    var preVote = true
    var loopCount = 1
    var compactionBatch = 1000
    var progressMilliseconds: UInt64 = 1000
    /// The longest wait of a thread before it takes what came in.
    var turnMicroseconds: UInt64 = 50
    var checkpointLookMicroseconds: UInt64 = .seconds(1)
    var checkpointOverlayBytes = 256 << 10
    var looksPerCheckpoint = 20
    var checkpointPagesPerStep: UInt64 = 64
    /// Pages of the database file that are compared with their checksums at each look.
    var scrubbedPages = 4
    /// Bytes of entries in one append message.
    var appendBytesMax = 1 << 20
    var logRetentionBytes = 256 << 10
    /// Millionths by which clocks may be wrong, either way.
    var clockDriftPerMillion: UInt64 = 0
    var network = NetworkSettings()
    var disk = DiskFaults()
    var rules: [FaultRule] = []
    /// Points at which something unusual may happen, and how often it does, of a million visits.
    var chancePoints: [ChancePoint] = []
    var chanceOdds: UInt64 = 0
    var workloads: [Workload] = []
    var safetyMicroseconds: UInt64 = .seconds(20)
    /// How long a healed cluster may take to serve and to converge.
    var livenessMicroseconds: UInt64 = .seconds(60)

    init(seed: UInt64) {
        self.seed = seed
    }
}
