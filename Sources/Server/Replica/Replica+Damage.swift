// Replica+Damage.swift: pages that are not what they should be, and the way back.
// Belongs here: what a member does about damage to its own database. Never here: finding it (Storage, the
// runtime's scrubber), fetching (Runtime/SnapshotExchange.swift).
// Source: design section 7: detected by checksum, never served, never replicated, repaired from a peer.
//
//   found --(leads)--> hands leadership over
//   found --> fetches a snapshot with these pages --> starts anew
//         (the one asked can't)--> asks the next member
//   found --(nobody else has the data)--> alarm CORRUPT
//
// The alarm CORRUPT ends all writes of the whole cluster (etcd semantics M4). Where others have the data, one damaged
// page of one member must not: there the damage is an alarm of this member alone: /readyz fails, a metric and the log
// say so, and it serves nothing of what is damaged. All of that ends with the repair, for which it starts anew.
//
// Every entry carries the hash of the whole database after it, so that each member compares itself with the
// leader at every entry it applies.

internal import Raft
internal import Storage

/// What of the database is known to be wrong.
enum Damage: Equatable, Sendable {
    /// These pages do not match their checksums.
    case pages([UInt32])
    /// The database differs from the leader's in an unknown place.
    case everything

    func merged(with other: Damage) -> Damage {
        guard case .pages(let known) = self, case .pages(let more) = other else {
            return .everything
        }
        return .pages(known + more.filter { !known.contains($0) })
    }

    /// What an error of the store says about the database; nil if it says nothing.
    init?(_ error: StorageError) {
        switch error {
        case .corruptPage(let page, _): self = .pages([page])
        case .corrupt: self = .everything
        case .busy, .disk, .incompatible, .sqlite, .unfinished, .occupied: return nil
        }
    }
}

extension Replica {
    /// Notes damage that was found; what can be done about it follows in the next turns.
    func found(_ more: Damage, because error: StorageError) {
        let all = damage?.merged(with: more) ?? more
        guard all != damage else { return }
        damage = all
        status.isDamaged = true
        nextRepair = now
        output.report(.damaged(error))
    }

    /// Notes pages that somebody found damaged: readers, the writer, or who sends a snapshot.
    func lookForDamage() {
        for error in pages.takeFailures() {
            if let more = Damage(error) { found(more, because: error) }
        }
    }

    /// Does what is due about damage.
    func repair() {
        guard let damage, now >= nextRepair else { return }
        nextRepair = now.advanced(milliseconds: settings.electionTimeoutMilliseconds)
        guard node.membership.members != [node.id] else { return background.raiseCorrupt() }
        if node.role == .leader { handOverToBest(reason: "this member's database is damaged") }
        // Also while it leads: who takes over may be damaged as well, and hand leadership back.
        let others = repairSources
        guard !others.isEmpty else { return }
        // Only what was begun counts: else the same member could be asked each time, and the next one never.
        if output.repair(damage, from: others[repairAttempts % others.count]) {
            repairAttempts += 1
        }
    }

    /// Who may have a good copy: the leader first, then the others, for the leader's may be damaged too.
    ///
    /// A member that could not read who the members are asks the founders: without it there may be no leader.
    private var repairSources: [UInt64] {
        let known = node.membership.members.map(\.rawValue)
        let others = (known.isEmpty ? settings.founders.map(\.id) : known).filter {
            $0 != settings.identity.memberID
        }
        guard let leader = node.leader?.rawValue, others.contains(leader) else { return others }
        return [leader] + others.filter { $0 != leader }
    }

    /// Applies entries, unless the store can't: then it stands still until it is repaired.
    func applyUnlessDamaged(_ entry: Entry) throws(StorageError) -> Bool {
        guard !isStalled else { return false }
        do throws(StorageError) {
            try apply(entry)
            return true
        } catch {
            guard let more = Damage(error) else { throw error }
            isStalled = true
            found(more, because: error)
            return false
        }
    }
}
