// FaultPlan+Processes.swift: processes that stand still, are slow or never get going, and clocks that go wrong.
// Belongs here: choosing victims. Elsewhere: crashes (FaultPlan.swift). Never here: the process, the clock (Node/).

import Storage

@testable import Server

extension FaultPlan {
    func pause(_ duration: UInt64) {
        guard let node = victim() else { return }
        band(.pause, [node.place], duration)
        let end = world.now.after(microseconds: duration)
        node.pausedUntil = max(node.pausedUntil, end)
        world.schedule(at: node.pausedUntil) { [world] in world.resume(node) }
    }

    /// A process that a supervisor starts again whenever it dies, and that does so at once.
    func restartLoop(_ duration: UInt64) {
        guard let node = victim(), atlas.mayCrash(node) else { return }
        band(.restartLoop, [node.place], duration)
        killAgain(node, until: world.now.after(microseconds: duration))
    }

    private func killAgain(_ node: SimulatedNode, until end: Moment) {
        guard world.now < end, !isOver else { return }
        if node.process != nil {
            let down = world.faultDice.within(1...UInt64.milliseconds(100))
            if world.faultDice.chance(percent: 50) {
                stop(node, .killed, .crash, down)
            } else {
                let loss = world.faultDice.pick(PowerLoss.allCases) ?? .nothing
                stop(node, .powerLost(loss), .powerLoss, down)
            }
        }
        world.schedule(after: world.faultDice.within(1...UInt64.milliseconds(300))) { [self] in
            killAgain(node, until: end)
        }
    }

    func slow(_ duration: UInt64) {
        guard let node = victim(), node.turnMicroseconds == 0 else { return }
        band(.slowTurns, [node.place], duration)
        node.turnMicroseconds = world.faultDice.within(
            UInt64.milliseconds(2)...UInt64.milliseconds(500))
        until(duration) { node.turnMicroseconds = 0 }
    }

    func jump(_ duration: UInt64) {
        guard let node = victim() else { return }
        band(.clockJump, [node.place], 0)
        node.clock.jump(microseconds: duration, at: world.now)
    }

    func freeze(_ duration: UInt64) {
        guard let node = victim() else { return }
        band(.clockFrozen, [node.place], duration)
        node.clock.freeze(microseconds: duration, at: world.now)
    }
}
