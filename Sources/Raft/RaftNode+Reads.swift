// RaftNode+Reads.swift: linearizable reads without a log entry.
// Belongs here: who may be answered, and when. Never here: the bookkeeping (ReadIndex.swift).
// Source: thesis §6.4, steps 1 to 4; what a follower's question proves is our own addition.

extension RaftNode {
    mutating func readIndex(_ context: ReadContext, mayWait: Bool) {
        switch state {
        case .leader:
            take(ReadQueue.Request(member: id, context: context), mayWait: mayWait)
        case .follower(.some(let leader)):
            effects.sendNow.append(
                Message(
                    from: id, to: leader, term: term,
                    body: .readIndexRequest(context: context, heard: heard.round(in: term))))
        case .follower(nil), .preCandidate, .candidate:
            effects.readsFailed.append(context)
        }
    }

    mutating func receiveReadRequest(
        _ member: MemberID, context: ReadContext, heard: ReadRound
    ) {
        let request = ReadQueue.Request(member: member, context: context)
        guard case .leader = state else { return answer(request, index: nil) }
        // The question itself acknowledges this leader, later than the read began.
        if isConfirmed(by: member, sentIn: term) {
            answer(request, index: hard.commit)
        } else {
            take(request, mayWait: false)
        }
        noteRound(heard, of: member)
        confirmReads()
    }

    /// Notes which round a member has acknowledged; it can't have heard of one that was not begun.
    mutating func noteRound(_ round: ReadRound, of member: MemberID) {
        guard case .leader(let leader) = state else { return }
        let begun = min(round, leader.reads.latestRound)
        withPeer(member) { peer in peer.answeredRound = max(peer.answeredRound, begun) }
    }

    mutating func receiveReadAnswer(_ context: ReadContext, index: LogIndex?) {
        if let index {
            effects.readStates.append(ReadState(context: context, index: index))
        } else {
            effects.readsFailed.append(context)
        }
    }

    /// Takes a read in as a leader.
    private mutating func take(_ request: ReadQueue.Request, mayWait: Bool) {
        if isAlone, hasCommittedInTerm { return answer(request, index: hard.commit) }
        #if SIMULATION
            if RaftBug.readWithoutQuorum.isPlanted { return answer(request, index: hard.commit) }
        #endif
        guard case .leader(var leader) = state else { return }
        guard leader.reads.count < configuration.limits.pendingReadsMax else {
            return answer(request, index: nil)
        }
        state = .follower(leader: nil)
        leader.reads.add(request)
        let mayBegin =
            hasCommittedInTerm && (!leader.reads.hasRoundUnderway || leader.reads.isQuiet)
        if mayBegin, mayWait {
            _ = leader.reads.beginRound(commit: hard.commit, takingWaiting: true, isQuiet: true)
        }
        state = .leader(leader)
        if mayBegin, !mayWait { beginRound() }
    }

    /// Asks by heartbeats what questions did not tell in time.
    mutating func hurryReads() {
        guard case .leader(let leader) = state, leader.reads.isQuiet else { return }
        beginRound()
    }

    /// Sends heartbeats that also confirm the waiting reads.
    mutating func beginRound() {
        let takesWaiting = hasCommittedInTerm
        guard case .leader(var leader) = state else { return }
        guard !leader.peers.isEmpty else { return confirmReads() }
        state = .follower(leader: nil)
        let round = leader.reads.beginRound(commit: hard.commit, takingWaiting: takesWaiting)
        state = .leader(leader)
        for peer in leader.peers { sendHeartbeat(to: peer, round: round) }
    }

    /// Sends heartbeats that nobody need answer, unless something depends on it.
    ///
    /// Answers tell which members live and confirm reads. For the first it is enough if each is asked some
    /// times in the period in which a quorum must be heard from.
    mutating func sendSignsOfLife() {
        guard case .leader(let leader) = state else { return }
        let isAnswerWanted =
            leader.reads.count > 0 || leader.transfer != nil
            || leader.peers.contains { $0.match < log.last.index || $0.mode != .replicate }
        if isAnswerWanted { return beginRound() }
        for peer in leader.peers { sendHeartbeat(to: peer, round: .zero) }
    }

    private mutating func sendHeartbeat(to peer: Progress, round: ReadRound) {
        // Never beyond what the member has proved to hold of our log.
        let commit: LogIndex
        #if SIMULATION
            commit =
                RaftBug.heartbeatCommitsUnproven.isPlanted
                ? hard.commit : min(peer.match, hard.commit)
        #else
            commit = min(peer.match, hard.commit)
        #endif
        effects.sendNow.append(
            Message(
                from: id, to: peer.member, term: term,
                body: .heartbeat(commit: commit, round: round)))
    }

    /// Answers the reads whose round a quorum has answered; the next round takes what came since.
    mutating func confirmReads() {
        guard case .leader(var leader) = state, leader.reads.hasRoundUnderway else { return }
        let id = id
        let peers = leader.peers
        let latest = leader.reads.latestRound
        let round = quorum.greatest(
            reached: { voter in
                if voter == id { return latest }
                for peer in peers where peer.member == voter { return peer.answeredRound }
                return .zero
            }, nobody: ReadRound.zero)
        state = .follower(leader: nil)
        let confirmed = leader.reads.confirm(through: round)
        let mayBegin = leader.reads.hasWaiting && !leader.reads.hasRoundUnderway
        state = .leader(leader)
        for read in confirmed { answer(read.request, index: read.index) }
        if mayBegin { beginRound() }
    }

    /// Lets the reads go on that came before the leader had committed anything of its term.
    mutating func serveWaitingReads() {
        guard case .leader(var leader) = state, leader.reads.hasWaiting else { return }
        guard isAlone else { return beginRound() }
        let requests = leader.reads.removeAll()
        state = .leader(leader)
        for request in requests { answer(request, index: hard.commit) }
    }

    /// Fails what waits, when leadership ends.
    mutating func failReads() {
        guard case .leader(var leader) = state else { return }
        let requests = leader.reads.removeAll()
        state = .leader(leader)
        for request in requests { answer(request, index: nil) }
    }

    private mutating func answer(_ request: ReadQueue.Request, index: LogIndex?) {
        if request.member == id {
            receiveReadAnswer(request.context, index: index)
        } else {
            effects.sendNow.append(
                Message(
                    from: id, to: request.member, term: term,
                    body: .readIndexAnswer(
                        context: request.context, index: index, round: quietRound)))
        }
    }
}
