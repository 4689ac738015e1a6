// RaftNode+Transfer.swift: handing leadership to another member.
// Belongs here: both ends of a transfer. Never here: votes (RaftNode+Election.swift).
// Source: thesis §3.10.
//
//   asked ──refused
//     └──▶ underway ──the target has our whole log──▶ told ──another leads──▶ done
//             └──a timeout passes, or the target is cut off──▶ aborted ◀──┘

extension RaftNode {
    mutating func transferLeadership(to target: MemberID) {
        guard case .leader(var leader) = state else {
            return refuseTransfer(.notLeader(leader: leader))
        }
        if let transfer = leader.transfer {
            if transfer.target == target { return }
            return refuseTransfer(.transferUnderway(to: transfer.target))
        }
        guard target != id else { return refuseTransfer(.leadsAlready) }
        guard membership.voters.contains(target), let position = leader.position(of: target) else {
            return refuseTransfer(.notVoter)
        }
        guard leader.peers[position].view.isActive else { return refuseTransfer(.notActive) }
        leader.transfer = LeadershipTransfer(target: target)
        state = .leader(leader)
        if leader.peers[position].match < log.last.index {
            // Even without entries it finds out at once if what was sent is lost.
            sendAppends(to: target, evenIfEmpty: true)
        }
        completeTransfer()
    }

    private mutating func refuseTransfer(_ refusal: TransferRefusal) {
        effects.transfer = .refused(refusal)
    }

    /// Asks the target to stand if it has everything.
    ///
    /// Asked again at each heartbeat, for the message may be lost. Until then nothing is added to
    /// the log, so the target gets there.
    mutating func completeTransfer() {
        guard case .leader(let leader) = state, let target = leader.transfer?.target,
            let position = leader.position(of: target),
            leader.peers[position].match == log.last.index
        else { return }
        sendTimeoutNow(to: target)
    }

    mutating func sendTimeoutNow(to member: MemberID) {
        effects.sendNow.append(Message(from: id, to: member, term: term, body: .timeoutNow))
    }

    /// Counts the time of a transfer; after an election timeout the cluster needs its leader back.
    mutating func tickTransfer() {
        guard case .leader(var leader) = state, var transfer = leader.transfer else { return }
        transfer.elapsedTicks += 1
        leader.transfer = transfer
        state = .leader(leader)
        if transfer.elapsedTicks >= configuration.electionTimeoutTicks {
            abortTransfer(to: transfer.target)
        }
    }

    /// Takes proposals again, if this was the transfer underway.
    ///
    /// The target may still win: then it leads, as after any election.
    mutating func abortTransfer(to target: MemberID) {
        guard case .leader(var leader) = state, leader.transfer?.target == target else { return }
        leader.transfer = nil
        state = .leader(leader)
        effects.transfer = .aborted(to: target)
    }

    /// Stands at once, without a pre-vote: the leader wants to be replaced.
    mutating func receiveTimeoutNow(_ message: Message) {
        recognise(message.from)
        if mayStand { beginElection(isTransfer: true) }
    }
}
