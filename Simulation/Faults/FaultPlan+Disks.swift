// FaultPlan+Disks.swift: disks that are slow, full, broken, or that change what was written.
// Belongs here: which disk, which file, which page. Elsewhere: FaultAtlas.swift (what may be damaged). Never here:
// the disk (Disk/).

import Raft
import Storage

@testable import Server

extension FaultPlan {
    /// A disk that is slow, full or returns errors for a while.
    func disk(_ word: FaultWord, _ duration: UInt64) {
        guard let node = victim() else { return }
        let former = node.disk.faults
        switch word {
        case .slowdisk:
            node.disk.faults.syncMicroseconds = world.faultDice.within(
                UInt64.milliseconds(5)...UInt64.milliseconds(300))
            band(.diskStall, [node.place], duration)
        case .fulldisk:
            node.disk.faults.capacityBytes = node.disk.usedBytes
            band(.diskFull, [node.place], duration)
        default:
            let kind = world.faultDice.below(3)
            let odds = world.faultDice.within(1000...200_000)
            if kind == 0 { node.disk.faults.readErrors = odds }
            if kind == 1 { node.disk.faults.writeErrors = odds }
            if kind == 2 { node.disk.faults.syncErrors = odds }
            let kinds: [FaultKind] = [.readError, .writeError, .syncError]
            band(kinds[kind], [node.place], duration)
        }
        until(duration) { node.disk.faults = former }
    }

    /// Bits turn over on a machine of the minority that may lose everything.
    func flip() {
        guard let place = world.faultDice.pick(atlas.expendable) else { return }
        let node = world.nodes[place]
        let files = flippable(node)
        // A few at once: most bits of a database are never looked at.
        let flips = 1 + world.faultDice.below(8)
        var isFlipped = false
        for _ in 0..<flips { isFlipped = node.disk.flipBit(in: files) || isFlipped }
        if isFlipped { band(.bitFlip, [place], 0) }
    }

    /// Mostly the database, sometimes what belongs to it, sometimes the log.
    private func flippable(_ node: SimulatedNode) -> [String] {
        switch world.faultDice.below(10) {
        case 0: return node.disk.files { $0.hasSuffix("/db.pages") }
        case 1: return node.disk.files { $0.hasSuffix("/db.meta") }
        case 2:
            // Never the newest segment: damage in its last frame is taken for a torn write, which no member
            // can tell by itself, and a promise would be lost.
            let segments = node.process?.segmentPaths ?? []
            return Array(segments.dropLast())
        default: return node.disk.files { $0.hasSuffix("/db") }
        }
    }

    /// Writes of database pages land elsewhere for a while.
    func misdirect(_ duration: UInt64) {
        guard let place = world.faultDice.pick(atlas.expendable) else { return }
        let node = world.nodes[place]
        node.disk.faults.misdirects = world.faultDice.within(10_000...500_000)
        band(.misdirectedWrite, [place], duration)
        until(duration) { node.disk.faults.misdirects = 0 }
    }

    /// A machine that may lose everything does, and comes back empty.
    func loseDisk() {
        guard let place = world.faultDice.pick(atlas.expendable) else { return }
        let node = world.nodes[place]
        // One at a time, and only a member that the others have: what is being replaced is not lost again.
        guard node.process != nil,
            let core = world.clients.operators.leader?.process?.replica.node,
            world.clients.operators.isWhole(core),
            core.membership.voters.count == world.setup.members, !core.membership.isJoint,
            core.membership.voters.contains(where: { $0.rawValue == node.identity.memberID })
        else { return }
        band(.diskLost, [place], 0)
        world.end(node, .powerLost(.nothing))
        node.disk.wipe()
        node.awaitsIdentity = true
        world.askForIdentity(node)
    }

    /// One machine at a time beyond the expendable ones, and none while a member is lost: members hand each
    /// other whole states, so two damaged ones of which neither is as new as the other's pages can't mend each
    /// other without a third.
    private func mayRot(_ node: SimulatedNode, beside other: SimulatedNode) -> Bool {
        if other === node { return true }
        return !other.isRetired && !other.awaitsIdentity
            && (other.disk.rottenPages.isEmpty || atlas.expendable.contains(other.place))
            && other.process?.replica.damage == nil
    }

    /// Bits of some pages turn over on any machine, as long as another has the page whole.
    func rot() {
        guard let node = victim(), world.nodes.allSatisfy({ mayRot(node, beside: $0) }) else {
            return
        }
        let pages = node.disk.databasePages
        guard pages > 0 else { return }
        var struck: [UInt32] = []
        for _ in 0..<1 + world.faultDice.below(4) {
            let page = UInt32(1 + world.faultDice.below(pages))
            guard atlas.mayDamage(node.place, page) else { continue }
            node.disk.flipBit(inPage: page)
            atlas.damage(node.place, page)
            struck.append(page)
        }
        if !struck.isEmpty { band(.bitFlip, [node.place], 0) }
    }
}
