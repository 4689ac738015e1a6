// Swarm.swift: a seed draws its own settings from the ranges of a scenario.
// Belongs here: drawing. Never here: what the settings do.
// Each seed leaves some faults out: what they would hide then shows (Groce et al., "Swarm testing", 2012).

/// Draws settings.
enum Swarm {
    static func setup(_ scenario: Scenario, seed: UInt64) -> WorldSetup {
        var dice = Dice(seed: seed, .swarm)
        var setup = WorldSetup(seed: seed)
        setup.members = Int(dice.within(scenario.members))
        setup.safetyMicroseconds = dice.within(scenario.duration)
        setup.electionMilliseconds = max(50, dice.within(scenario.election) / 1000)
        setup.heartbeatMilliseconds = max(10, setup.electionMilliseconds / dice.within(5...10))
        setup.preVote = !dice.chance(percent: 35)
        setup.cacheBytes = Int(dice.within(64 << 10...512 << 10))
        setup.loopCount = Int(dice.within(1...2))
        setup.turnMicroseconds = dice.within(1...500)
        setup.compactionBatch = dice.chance(percent: 50) ? 1000 : Int(dice.within(1...50))
        setup.progressMilliseconds = dice.within(200...2000)
        setup.checkpointLookMicroseconds = dice.within(UInt64.milliseconds(100)...UInt64.seconds(1))
        setup.looksPerCheckpoint = Int(dice.within(1...20))
        setup.checkpointOverlayBytes = Int(dice.within(64 << 10...1 << 20))
        setup.checkpointPagesPerStep = dice.within(0...64)
        setup.logRetentionBytes = Int(dice.within(scenario.retention))
        setup.segmentBytes = dice.pick([64 << 10, 128 << 10, 256 << 10]) ?? 256 << 10
        setup.clockDriftPerMillion = dice.within(scenario.drift)
        setup.network.delayMicroseconds = dice.within(scenario.delay)
        if dice.chance(percent: 60) { setup.network.losses = dice.within(scenario.loss) }
        if dice.chance(percent: 60) { setup.network.duplicates = dice.within(scenario.duplicate) }
        if dice.chance(percent: 40) { setup.network.resets = dice.within(scenario.reset) }
        setup.network.capacity = dice.chance(percent: 50) ? 200 : Int(dice.within(2...20))
        setup.disk.syncMicroseconds = dice.within(scenario.sync)
        setup.disk.stalls = dice.within(scenario.stall)
        setup.disk.stallMicroseconds = dice.within(UInt64.milliseconds(50)...UInt64.seconds(1))
        setup.scrubbedPages = Int(dice.within(1...16))
        setup.appendBytesMax = dice.chance(percent: 50) ? 1 << 20 : Int(dice.within(1...2000))
        // Drawn apart: what other scenarios draw stays as it was.
        var apart = Dice(seed: seed, .swarm, number: 1)
        setup.network.reorders = apart.within(scenario.reorder)
        setup.chanceOdds = apart.within(scenario.chance)
        if setup.chanceOdds > 0 {
            setup.chancePoints = ChancePoint.allCases.filter { _ in apart.chance(percent: 50) }
        }
        setup.workloads = scenario.workloads
        setup.rules = scenario.rules.filter { _ in
            dice.chance(percent: 60) || scenario.keepsAllRules
        }
        return setup
    }
}
