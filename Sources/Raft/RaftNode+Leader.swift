// RaftNode+Leader.swift: what a leader does: proposals, commit, heartbeats.
// Belongs here: the leader's decisions. Never here: what is sent to whom (RaftNode+Replication.swift).
// Source: Raft paper §5.3, §5.4.2 (figure 8), §8 (no-op); thesis §6.2 (check-quorum).

extension RaftNode {
    /// Becomes the leader of the current term; the caller has seen to it that the vote is won.
    mutating func lead() {
        precondition(hard.vote == id, "leads term \(term.rawValue) without its own vote")
        resetElectionTimer()
        var peers: [Progress] = []
        for member in membership.members where member != id {
            peers.append(
                Progress(
                    member: member, next: log.last.index.next, limits: configuration.limits))
        }
        state = .leader(LeaderState(peers: peers))
        // Entries of older terms commit only under one of our own (§5.4.2), so here is one (§8).
        appendOwn(kind: .noop, payload: [])
        sendAppendsToAll(evenIfEmpty: true)
    }

    mutating func propose(_ payloads: [[UInt8]]) {
        precondition(!payloads.isEmpty, "a proposal has one payload at least")
        if let rejection = proposalRejection {
            effects.proposal = .rejected(rejection)
            return
        }
        effects.proposal = .accepted(first: EntryID(term: term, index: log.last.index.next))
        effects.append.reserveCapacity(payloads.count)
        for payload in payloads { appendOwn(kind: .normal, payload: payload) }
        sendAppendsToAll(evenIfEmpty: false)
    }

    /// Why no proposal of any kind is taken at the moment.
    var proposalRejection: ProposalRejection? {
        guard case .leader(let leader) = state else { return .notLeader(leader: leader) }
        if let transfer = leader.transfer { return .transferUnderway(to: transfer.target) }
        // At the bound, not beyond the sum: so one proposal of any size passes when nothing waits.
        if uncommittedBytes >= configuration.limits.uncommittedBytesMax {
            return .tooMuchUncommitted
        }
        if unappliedBytes >= configuration.limits.unappliedBytesMax { return .tooMuchUnapplied }
        return nil
    }

    mutating func appendOwn(kind: Entry.Kind, payload: [UInt8]) {
        let entry = Entry(
            id: EntryID(term: term, index: log.last.index.next), kind: kind, payload: payload)
        log.append(entry)
        uncommittedBytes += entry.byteCount
        effects.append.append(entry)
    }

    mutating func tickLeader() {
        guard case .leader(var leader) = state else { return }
        if electionElapsed >= configuration.electionTimeoutTicks {
            electionElapsed = 0
            if configuration.checkQuorum, !quorum.isMet(by: { isActive($0, among: leader.peers) }) {
                return follow(nil, term: term)
            }
            leader.endActivityPeriod()
            leader.forgetDeparted(by: hard.commit, evenIfUntold: true)
        }
        leader.heartbeatElapsed += 1
        let isDue = leader.heartbeatElapsed >= configuration.heartbeatTicks
        if isDue {
            leader.heartbeatElapsed = 0
            leader.heartbeatCount &+= 1
            for position in leader.peers.indices { leader.peers[position].suspectIfIdle() }
        }
        state = .leader(leader)
        tickTransfer()
        guard isDue else { return }
        if leader.heartbeatCount % configuration.answeredHeartbeats == 0 {
            beginRound()
        } else {
            sendSignsOfLife()
        }
        offerSnapshots()
        completeTransfer()
        effects.mayLeaveJoint = mayLeaveJoint
    }

    private func isActive(_ voter: MemberID, among peers: [Progress]) -> Bool {
        voter == id || peers.contains { $0.member == voter && $0.isActive }
    }

    /// Commits what a quorum has on its disks, if it is of our own term (§5.4.2).
    ///
    /// Our own disk counts as any other voter's: the quorum may do without it (thesis §10.2.1), and
    /// has to when we are no voter any more (§6).
    mutating func advanceCommit() {
        guard case .leader(let leader) = state else { return }
        let durable = saves.durable
        let id = id
        let index = quorum.greatest(
            reached: { voter in
                if voter == id { return durable }
                for peer in leader.peers where peer.member == voter { return peer.match }
                return .zero
            }, nobody: LogIndex.zero)
        #if SIMULATION
            if RaftBug.oldTermCommit.isPlanted, index > hard.commit {
                return commitEntries(through: index)
            }
        #endif
        guard index > hard.commit, log.term(at: index) == term else { return }
        let isFirstOfTerm = !hasCommittedInTerm
        let endsChange = hard.commit < membershipIndex && membershipIndex <= index
        commitEntries(through: index)
        sendAppendsToAll(evenIfEmpty: true)
        if isFirstOfTerm { serveWaitingReads() }
        guard endsChange else { return }
        forgetDeparted()
        leaveIfRemoved()
        // Those that had not answered may be no members any more.
        confirmReads()
    }

    /// Whether the leader knows everything that earlier ones committed (§8).
    var hasCommittedInTerm: Bool { log.term(at: hard.commit) == term }

    mutating func receiveAccepted(_ member: MemberID, match: LogIndex) {
        guard match <= log.last.index else { return }
        var isNews = false
        var isDeparting = false
        let base = log.base.index
        withPeer(member) { peer in
            isNews = peer.accept(match: match)
            isDeparting = peer.departure != nil
            switch peer.mode {
            case .probe, .snapshot: peer.replicate()
            case .load: if peer.next > base { peer.replicate() }
            case .replicate: break
            }
        }
        if isNews { advanceCommit() }
        sendAppends(to: member, evenIfEmpty: false)
        if isDeparting { forgetDeparted() }
        if isNews, transferTarget == member { completeTransfer() }
    }

    mutating func receiveRejected(_ member: MemberID, previous: LogIndex, hint: EntryID) {
        guard case .leader(let leader) = state, let position = leader.position(of: member),
            leader.peers[position].isCurrentRejection(previous: previous)
        else { return }
        // Past the hint nothing of the member's can be ours, and past this place nothing of ours
        // can be the member's.
        let limit = min(hint.index, previous.previous)
        let next = min(log.lastPlace(atOrBefore: limit, notAbove: hint.term).index, limit).next
        withPeer(member) { peer in peer.probe(from: next) }
        sendAppends(to: member, evenIfEmpty: true)
    }

    mutating func receiveHeartbeatAnswer(_ member: MemberID, round: ReadRound) {
        let last = log.last.index
        var isWorthTrying = false
        noteRound(round, of: member)
        withPeer(member) { peer in
            isWorthTrying = peer.match < last && peer.resume()
        }
        if isWorthTrying { sendAppends(to: member, evenIfEmpty: true) }
        confirmReads()
    }
}
