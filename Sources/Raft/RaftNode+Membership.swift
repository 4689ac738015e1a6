// RaftNode+Membership.swift: changing who takes part.
// Belongs here: when a change may begin, and what it causes. Never here: which configuration may
// follow which (Membership/), counting (Quorum/).
// Source: Raft paper §6; thesis §4.1 to §4.3; for the rule on the leader's own term, the fault of
// single-server changes that D. Ongaro reported to the raft-dev list in 2015.

extension RaftNode {
    mutating func proposeMembership(_ next: Membership, payload: [UInt8]) {
        if let rejection = proposalRejection ?? rejection(of: next) {
            effects.proposal = .rejected(rejection)
            return
        }
        effects.proposal = .accepted(first: EntryID(term: term, index: log.last.index.next))
        #if SIMULATION
            let former = quorum
        #endif
        appendOwn(kind: .membership, payload: next.payload(with: payload))
        history.append(next, at: log.last.index)
        useNewestMembership()
        #if SIMULATION
            if RaftBug.quorumOfOldMembers.isPlanted { quorum = former }
        #endif
        trackMembers()
        sendAppendsToAll(evenIfEmpty: false)
        // What was short of a quorum of the old voters may be one of the new.
        advanceCommit()
    }

    private func rejection(of next: Membership) -> ProposalRejection? {
        // An older leader may have begun a change that we do not know of. A quorum of ours that has
        // an entry of our term keeps that change from ever being committed.
        guard hasCommittedInTerm else { return .leaderHasNotCommitted }
        #if SIMULATION
            if RaftBug.changeUnderway.isPlanted {
                return membership.problem(withNext: next).map { .invalidMembership($0) }
            }
        #endif
        guard membershipIndex <= hard.commit else { return .membershipChangeUnderway }
        if membership.isJoint { return next == membership.left ? nil : .membershipChangeUnderway }
        return membership.problem(withNext: next).map { .invalidMembership($0) }
    }

    /// Puts the configuration of an entry in the log in force (§6: at once, committed or not).
    mutating func adopt(_ entry: Entry) {
        guard let (next, _) = Membership.split(entry.payload) else {
            preconditionFailure("membership entry \(entry.id.index.rawValue) can't be read")
        }
        history.append(next, at: entry.id.index)
        useNewestMembership()
    }

    /// Decides by the newest configuration from here on; `finishStep` tells if it is another one.
    mutating func useNewestMembership() {
        quorum = JointQuorum(membership)
        #if SIMULATION
            if RaftBug.learnerCounts.isPlanted {
                quorum = JointQuorum(Membership(voters: membership.members))
            }
        #endif
        effects.membership = membership
    }

    /// Begins to send to members that are new, and marks those that are no more.
    private mutating func trackMembers() {
        guard case .leader(var leader) = state else { return }
        state = .follower(leader: nil)
        for position in leader.peers.indices {
            let isMember = membership.contains(leader.peers[position].member)
            let departure = leader.peers[position].departure ?? membershipIndex
            leader.peers[position].departure = isMember ? nil : departure
        }
        for member in membership.members
        where member != id && leader.position(of: member) == nil {
            var peer = Progress(
                member: member, next: membershipIndex, limits: configuration.limits)
            // It had no time to be heard from: let the first check of the quorum pass it.
            peer.isActive = true
            leader.peers.append(peer)
        }
        leader.peers.sort { $0.member < $1.member }
        state = .leader(leader)
    }

    /// Stops sending to members whose removal is committed and told to them.
    ///
    /// Those not told by the next check of the quorum are let go then: they may be gone for good.
    mutating func forgetDeparted() {
        guard case .leader(var leader) = state else { return }
        leader.forgetDeparted(by: hard.commit, evenIfUntold: false)
        state = .leader(leader)
    }

    /// Ends our leadership once the configuration without us is committed (§6).
    ///
    /// The most complete voter is asked to stand, so that no timeout is lost (thesis §4.2.2).
    mutating func leaveIfRemoved() {
        guard case .leader(let leader) = state, !isVoter, membershipIndex <= hard.commit else {
            return
        }
        var successor: Progress?
        for peer in leader.peers
        where membership.voters.contains(peer.member) && peer.match >= membershipIndex {
            if peer.match > successor?.match ?? .zero { successor = peer }
        }
        if let successor { sendTimeoutNow(to: successor.member) }
        follow(nil, term: term)
    }

    /// Whether the joint configuration has done its work and nobody has asked to leave it.
    var mayLeaveJoint: Bool {
        quorum.isJoint && role == .leader && membershipIndex <= applied && hasCommittedInTerm
    }
}
