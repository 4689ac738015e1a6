// FaultPlan+Lasting.swift: what stays broken for ever while a healed quorum has to serve.
// Belongs here: the kinds, breaking and mending. Elsewhere: which machines are healed (World+Phases.swift).
// A member that is down disturbs nobody: one that is slow, deaf or mute asks for votes, leads, and is waited for.

import Storage

@testable import Server

/// How a machine outside the healed quorum is broken.
enum LastingFault: CaseIterable {
    case down, paused, cut, deaf, mute, slowDisk, slowProcess
}

extension FaultPlan {
    /// Breaks a machine until `mend`.
    func breakForGood(_ node: SimulatedNode, by dice: inout Dice) {
        let kind = dice.pick(LastingFault.allCases) ?? .down
        let resets = dice.chance(percent: 50)
        let others = world.nodes.indices.filter { $0 != node.place }
        world.faults.count(.brokenForGood)
        world.note(
            .fault, node.place, UInt64(FaultKind.brokenForGood.rawValue), 0, "for good: \(kind)")
        switch kind {
        case .down:
            node.isHeldDown = true
            world.end(node, .killed)
        case .paused: node.pausedUntil = .never
        case .cut:
            cutForGood(others.flatMap { [(node.place, $0), ($0, node.place)] }, resets)
        case .deaf: cutForGood(others.map { ($0, node.place) }, resets)
        case .mute: cutForGood(others.map { (node.place, $0) }, resets)
        case .slowDisk: node.disk.faults.syncMicroseconds = .seconds(1)
        case .slowProcess: node.turnMicroseconds = .milliseconds(200)
        }
        // What was down before is as broken as it was to be.
        if kind != .down { world.start(node) }
    }

    private func cutForGood(_ ways: [(from: Int, to: Int)], _ resets: Bool) {
        for way in ways { world.network.block(from: way.from, to: way.to, resets: resets) }
    }

    /// Mends everything that `breakForGood` broke.
    func mend() {
        world.network.healAll()
        for node in world.nodes {
            node.isHeldDown = false
            node.disk.faults = DiskFaults()
            node.turnMicroseconds = 0
            node.pausedUntil = min(node.pausedUntil, world.now)
            world.resume(node)
        }
    }
}
