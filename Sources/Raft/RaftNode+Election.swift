// RaftNode+Election.swift: timeouts, campaigns and votes.
// Belongs here: how a member comes to lead, or to follow. Never here: what a leader does.
// Source: Raft paper §5.2, §5.4.1; thesis §9.6 (pre-vote), §6.4.1 and §4.2.3 (check-quorum).
//
//   follower ──campaign──▶ preCandidate ──beginElection──▶ candidate ──lead──▶ leader
//   any ──follow──▶ follower

extension RaftNode {
    mutating func tick() {
        electionElapsed += 1
        if case .leader = state { return tickLeader() }
        // A leader that made us the sole voter may still have to tell others of it.
        let isFirstOfSoleVoter =
            isAlone && configuration.soleVoterCampaignsAtFirstTick && role == .follower
            && leader == nil
        let isOver = electionElapsed >= electionTimeout
        if mayStand, isFirstOfSoleVoter || isOver { return campaign(isHinted: false) }
        // One that has no vote can't ask for an election, but must not take for its leader for ever who leads
        // no more: the next one may be a member that it does not know yet, and takes in only without a leader.
        if isOver, leader != nil { follow(nil, term: term) }
    }

    /// Draws a new timeout, so that members which once stood together do not do so again.
    mutating func resetElectionTimer() {
        electionElapsed = 0
        let jitter = generator.next(below: UInt64(configuration.electionJitterTicks))
        electionTimeout = configuration.electionTimeoutTicks + Int(jitter)
        #if SIMULATION
            if RaftBug.timeoutDrawnOnce.isPlanted {
                electionTimeout = configuration.electionTimeoutTicks
            }
        #endif
    }

    mutating func campaignAtOnce() {
        if mayStand, role != .leader { campaign(isHinted: false) }
    }

    /// Stands for election, first asking whether that could succeed.
    private mutating func campaign(isHinted: Bool) {
        resetElectionTimer()
        if case .candidate(_, let ownVote) = state, ownVote > saves.completed {
            // The disk has not even taken the last attempt: a new term would only add to its queue.
            return
        }
        guard configuration.preVote else { return beginElection() }
        var ballot = Ballot()
        ballot.note(id, granted: true)
        state = .preCandidate(ballot, isHinted: isHinted)
        if quorum.result(of: ballot.answer) == .won { return beginElection() }
        sendToVoters(.preVoteRequest(last: log.last), term: term.next, afterSave: false)
    }

    /// Begins a term of our own.
    ///
    /// The requests need not wait for our own vote to be saved: we do not lead, and the term has no
    /// effect, before it is (`ownVote`). But they speak of the end of our log, and so wait for
    /// that: if a crash took the end and the term, we could stand in the same term again with a
    /// shorter log, and count votes that were given to the longer one.
    ///
    /// - Parameter isTransfer: whether the leader itself asked us to stand (thesis §3.10).
    mutating func beginElection(isTransfer: Bool = false) {
        hard.term = hard.term.next
        hard.vote = id
        resetElectionTimer()
        state = .candidate(Ballot(), ownVote: saves.issued.next)
        sendToVoters(
            .voteRequest(last: log.last, isTransfer: isTransfer), term: term,
            afterSave: saves.durable < log.last.index)
    }

    private mutating func sendToVoters(_ body: Message.Body, term: Term, afterSave: Bool) {
        for voter in quorum.voters where voter != id {
            send(body, to: voter, term: term, afterSave: afterSave)
        }
    }

    mutating func send(_ body: Message.Body, to member: MemberID, term: Term, afterSave: Bool) {
        let message = Message(from: id, to: member, term: term, body: body)
        if afterSave {
            effects.sendAfterSave.append(message)
        } else {
            effects.sendNow.append(message)
        }
    }

    /// Goes back to following.
    ///
    /// The timer goes on unless there was a leader: a candidate that asks in vain must not keep
    /// others from standing.
    mutating func follow(_ leader: MemberID?, term newTerm: Term) {
        precondition(
            newTerm >= term, "term falls from \(term.rawValue) to \(newTerm.rawValue)")
        failReads()
        if self.leader != nil || leader != nil { resetElectionTimer() }
        if newTerm > term {
            hard.term = newTerm
            hard.vote = nil
        }
        state = .follower(leader: leader)
    }

    /// Whether a live leader is known, so that an election would only disturb.
    var hasLiveLeader: Bool {
        leader != nil && electionElapsed < configuration.electionTimeoutTicks
    }

    mutating func receivePreVoteRequest(_ message: Message, last: EntryID) {
        if hasLiveLeader { return }
        if case .preCandidate(_, isHinted: true) = state, message.term == term.next {
            guard outranks(message.from, last: last) else { return insist(against: message) }
            follow(nil, term: term)
        }
        let mayVote =
            message.term > term
            || (message.term == term && (hard.vote == nil || hard.vote == message.from))
        let granted = mayVote && last.isAtLeastAsUpToDate(as: log.last)
        // A grant names the term it is for. A refusal names ours, for the sender to catch up.
        // Nothing is promised, so nothing need be saved.
        effects.sendNow.append(
            Message(
                from: id, to: message.from, term: granted ? message.term : term,
                body: .preVoteAnswer(granted: granted)))
    }

    /// Whether another member that a broken connection made stand, as it did us, should go first.
    ///
    /// All members that lose their leader learn it at once. If all stood, the vote would be split,
    /// and a timeout be lost. Only hinted attempts yield: in general the one that outranks the
    /// others may be one that cannot win.
    private func outranks(_ other: MemberID, last: EntryID) -> Bool {
        last == log.last ? other > id : last.isAtLeastAsUpToDate(as: log.last)
    }

    /// Refuses, and asks again: the member may have still followed the leader when we asked first.
    private mutating func insist(against message: Message) {
        reply(to: message, .preVoteAnswer(granted: false), afterSave: false)
        effects.sendNow.append(
            Message(
                from: id, to: message.from, term: term.next,
                body: .preVoteRequest(last: log.last)))
    }

    /// Votes, whatever our own configuration says of the sender and of us.
    ///
    /// The sender counts only the voters of the configuration in its log. That may be newer than
    /// ours: a learner just made a voter may be needed before it knows (§6: servers accept
    /// requests without regard to their own configuration).
    mutating func receiveVoteRequest(_ message: Message, last: EntryID) {
        #if SIMULATION
            if RaftBug.votesTwice.isPlanted, last.isAtLeastAsUpToDate(as: log.last) {
                return reply(to: message, .voteAnswer(granted: true), afterSave: true)
            }
        #endif
        #if SIMULATION
            if RaftBug.votesForShorterLog.isPlanted, leader == nil,
                hard.vote == nil || hard.vote == message.from
            {
                hard.vote = message.from
                return reply(to: message, .voteAnswer(granted: true), afterSave: true)
            }
        #endif
        let mayVote = leader == nil && (hard.vote == nil || hard.vote == message.from)
        let granted =
            message.term == term && mayVote && last.isAtLeastAsUpToDate(as: log.last)
        if granted {
            hard.vote = message.from
            resetElectionTimer()
        }
        reply(to: message, .voteAnswer(granted: granted), afterSave: true)
    }

    mutating func receivePreVoteAnswer(_ message: Message, granted: Bool) {
        guard case .preCandidate(var ballot, let isHinted) = state else { return }
        guard !granted || message.term == term.next else { return }
        ballot.note(message.from, granted: granted)
        state = .preCandidate(ballot, isHinted: isHinted)
        switch quorum.result(of: ballot.answer) {
        case .won: beginElection()
        case .lost: follow(nil, term: term)
        case .pending: break
        }
    }

    mutating func receiveVoteAnswer(_ message: Message, granted: Bool) {
        guard case .candidate(var ballot, let ownVote) = state else { return }
        ballot.note(message.from, granted: granted)
        state = .candidate(ballot, ownVote: ownVote)
        decideElection()
    }

    /// Counts our own vote once it is on the disk.
    mutating func countOwnVote() {
        guard case .candidate(var ballot, let ownVote) = state, ownVote <= saves.completed else {
            return
        }
        ballot.note(id, granted: true)
        state = .candidate(ballot, ownVote: ownVote)
        decideElection()
    }

    /// Leads if a quorum wants it and our own vote is on the disk.
    ///
    /// Without the second, after a crash the same voters could elect us again in the same term,
    /// and we would give the same IDs to other entries.
    private mutating func decideElection() {
        #if SIMULATION
            if RaftBug.leadsBeforeOwnVote.isPlanted, case .candidate(var early, _) = state {
                early.note(id, granted: true)
                if quorum.result(of: early.answer) == .won { return lead() }
            }
        #endif
        guard case .candidate(let ballot, let ownVote) = state else { return }
        switch quorum.result(of: ballot.answer) {
        case .won: if ownVote <= saves.completed { lead() }
        case .lost: follow(nil, term: term)
        case .pending: break
        }
    }

    /// Takes a closed connection as a hint that the leader died, or that a member needs a probe.
    mutating func disconnect(_ member: MemberID) {
        switch state {
        case .leader:
            withPeer(member) { peer in peer.probe(from: peer.match.next) }
            abortTransfer(to: member)
        case .follower(let leader):
            // Without pre-vote a mere broken connection would depose a live leader.
            guard leader == member, configuration.preVote else { return }
            state = .follower(leader: nil)
            if mayStand { campaign(isHinted: true) }
        case .preCandidate, .candidate:
            break
        }
    }
}
