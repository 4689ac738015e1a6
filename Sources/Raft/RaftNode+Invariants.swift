// RaftNode+Invariants.swift: what holds after every step, checked in release builds too.
// Belongs here: checks. Never here: anything that changes the node.
// Source: Raft paper figure 3 and design §6, as far as one member can see them.

extension RaftNode {
    /// Traps if the node is not as it must be between two steps.
    func checkInvariants() {
        precondition(
            compacted <= applied, "compacted \(compacted.rawValue), applied \(applied.rawValue)")
        precondition(
            log.base.index <= applied,
            "entries through \(log.base.index.rawValue) dropped, applied \(applied.rawValue)")
        precondition(
            applied <= reported, "applied \(applied.rawValue), reported \(reported.rawValue)")
        precondition(
            reported <= hard.commit,
            "reported \(reported.rawValue), committed \(hard.commit.rawValue)")
        precondition(
            hard.commit <= log.last.index,
            "committed \(hard.commit.rawValue), last \(log.last.index.rawValue)")
        precondition(
            membershipIndex <= log.last.index,
            "membership of \(membershipIndex.rawValue), last \(log.last.index.rawValue)")
        precondition(
            saves.durable <= log.last.index,
            "durable \(saves.durable.rawValue), last \(log.last.index.rawValue)")
        precondition(
            log.last.term <= term, "last term \(log.last.term.rawValue), term \(term.rawValue)")
        precondition(uncommittedBytes >= 0, "uncommitted bytes \(uncommittedBytes)")
        precondition(unappliedBytes >= 0, "unapplied bytes \(unappliedBytes)")
        // Before that the old voters may have committed without our disk.
        if isAlone, membershipIndex <= hard.commit {
            precondition(
                hard.commit <= max(saves.durable, applied),
                "committed \(hard.commit.rawValue) alone, durable \(saves.durable.rawValue)")
        }
        checkRole()
        guard configuration.checksWholeLog else { return }
        checkWholeLog()
        checkMembers()
    }

    /// Compares what the leader sends to with the configuration, and the quorum too.
    private func checkMembers() {
        precondition(quorum == JointQuorum(membership), "decides otherwise than by \(membership)")
        guard case .leader(let leader) = state else { return }
        for member in membership.members where member != id {
            precondition(
                leader.position(of: member) != nil, "nothing is sent to member \(member.rawValue)")
        }
    }

    private func checkRole() {
        switch state {
        case .follower, .preCandidate:
            break
        case .candidate(_, let ownVote):
            precondition(hard.vote == id, "stands in term \(term.rawValue) for another")
            precondition(
                ownVote <= saves.issued || effects.needsSave,
                "own vote waits for save \(ownVote.rawValue), asked for \(saves.issued.rawValue)")
        case .leader(let leader):
            precondition(hard.vote == id, "leads term \(term.rawValue) without its own vote")
            precondition(
                isVoter || membershipIndex > hard.commit,
                "leads term \(term.rawValue) though removed by \(membershipIndex.rawValue)")
            for peer in leader.peers {
                precondition(
                    peer.match < peer.next,
                    "member \(peer.member.rawValue): match \(peer.match.rawValue), "
                        + "next \(peer.next.rawValue)")
                precondition(
                    peer.match <= log.last.index,
                    "member \(peer.member.rawValue): match \(peer.match.rawValue), "
                        + "last \(log.last.index.rawValue)")
            }
        }
    }

    /// Compares every counter with the log it counts.
    private func checkWholeLog() {
        var total = 0
        var uncommitted = 0
        var unapplied = 0
        var newest: Membership?
        var previous = log.base
        while previous.index < log.last.index {
            let entry = log[previous.index.next]
            precondition(
                entry.id.index == previous.index.next,
                "entry \(entry.id.index.rawValue) stands after \(previous.index.rawValue)")
            precondition(
                entry.id.term >= previous.term,
                "term falls at \(entry.id.index.rawValue) from \(previous.term.rawValue)")
            total += entry.byteCount
            if entry.kind == .membership { newest = Membership.split(entry.payload)?.membership }
            if entry.id.index > hard.commit {
                uncommitted += entry.byteCount
            } else if entry.id.index > applied {
                unapplied += entry.byteCount
            }
            previous = entry.id
        }
        precondition(previous == log.last, "log ends at \(previous), not \(log.last)")
        if let newest {
            precondition(newest == membership, "log ends with \(newest), in force \(membership)")
        }
        precondition(total == log.byteCount, "\(total) bytes, counted \(log.byteCount)")
        precondition(
            uncommitted == uncommittedBytes, "\(uncommitted) bytes, counted \(uncommittedBytes)")
        precondition(unapplied == unappliedBytes, "\(unapplied) bytes, counted \(unappliedBytes)")
    }
}
