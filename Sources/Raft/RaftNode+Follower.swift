// RaftNode+Follower.swift: what is received, and what a follower makes of it.
// Belongs here: the rules on terms for every message; appends and heartbeats. Never here: votes.
// Source: Raft paper figure 2, "Rules for Servers" and "AppendEntries RPC"; §5.1, §5.3.

extension RaftNode {
    mutating func receive(_ message: Message) {
        guard message.to == id, message.from != id else { return }
        if message.term > term { guard acceptHigherTerm(of: message) else { return } }
        if message.term < term { return refuseLowerTerm(message) }
        withPeer(message.from) { peer in peer.isActive = true }
        switch message.body {
        case .preVoteRequest(let last): receivePreVoteRequest(message, last: last)
        case .preVoteAnswer(let granted): receivePreVoteAnswer(message, granted: granted)
        case .voteRequest(let last, _): receiveVoteRequest(message, last: last)
        case .voteAnswer(let granted): receiveVoteAnswer(message, granted: granted)
        case .append(let previous, let entries, let commit):
            receiveAppend(message, previous: previous, entries: entries, commit: commit)
        case .heartbeat(let commit, let round):
            receiveHeartbeat(message, commit: commit, round: round)
        case .appendAccepted(let match): receiveAccepted(message.from, match: match)
        case .appendRejected(let previous, let hint):
            receiveRejected(message.from, previous: previous, hint: hint)
        case .heartbeatAnswer(let round): receiveHeartbeatAnswer(message.from, round: round)
        case .readIndexRequest(let context, let round):
            receiveReadRequest(message.from, context: context, heard: round)
        case .readIndexAnswer(let context, let index, let round):
            if message.from == leader { heard.note(round, in: term) }
            receiveReadAnswer(context, index: index)
        case .timeoutNow: receiveTimeoutNow(message)
        case .snapshotOffer(let last): receiveSnapshotOffer(message, last: last)
        }
    }

    /// Follows a term above ours (§5.1); false if the message has been dealt with.
    private mutating func acceptHigherTerm(of message: Message) -> Bool {
        switch message.body {
        case .preVoteRequest(let last):
            // The term is one that might begin; it is no reason to leave ours.
            receivePreVoteRequest(message, last: last)
            return false
        case .preVoteAnswer(granted: true):
            receivePreVoteAnswer(message, granted: true)
            return false
        case .voteRequest(_, let isTransfer):
            if configuration.checkQuorum, hasLiveLeader, !isTransfer { return false }
            follow(nil, term: message.term)
        case .append, .heartbeat, .timeoutNow, .snapshotOffer:
            follow(message.from, term: message.term)
        case .preVoteAnswer(granted: false), .voteAnswer, .appendAccepted, .appendRejected,
            .heartbeatAnswer, .readIndexRequest, .readIndexAnswer:
            follow(nil, term: message.term)
        }
        return true
    }

    /// Tells a sender that is behind our term about it, where that helps (§5.1).
    private mutating func refuseLowerTerm(_ message: Message) {
        switch message.body {
        case .preVoteRequest:
            reply(to: message, .preVoteAnswer(granted: false), afterSave: false)
        case .voteRequest:
            reply(to: message, .voteAnswer(granted: false), afterSave: true)
        case .append(let previous, _, _):
            reply(
                to: message, .appendRejected(previous: previous.index, hint: log.last),
                afterSave: true)
        case .heartbeat:
            // The answer bears our term, which its sender may lead by then: the round is of another one.
            reply(to: message, .heartbeatAnswer(round: .zero), afterSave: false)
        case .preVoteAnswer, .voteAnswer, .appendAccepted, .appendRejected, .heartbeatAnswer,
            .readIndexRequest, .readIndexAnswer, .timeoutNow, .snapshotOffer:
            break
        }
    }

    mutating func reply(to message: Message, _ body: Message.Body, afterSave: Bool) {
        send(body, to: message.from, term: term, afterSave: afterSave)
    }

    /// Takes the sender for the leader of the current term.
    mutating func recognise(_ sender: MemberID) {
        switch state {
        case .follower(let leader):
            precondition(
                leader == nil || leader == sender,
                "two leaders in term \(term.rawValue): \(leader?.rawValue ?? 0), \(sender.rawValue)"
            )
            if leader == nil {
                follow(sender, term: term)
            } else {
                electionElapsed = 0
            }
        case .preCandidate, .candidate:
            follow(sender, term: term)
        case .leader:
            preconditionFailure(
                "two leaders in term \(term.rawValue): \(id.rawValue) and \(sender.rawValue)")
        }
    }

    private mutating func receiveHeartbeat(_ message: Message, commit: LogIndex, round: ReadRound) {
        recognise(message.from)
        // Past our end it would speak of entries we acknowledged and lost; appends will bring them.
        if commit <= log.last.index { commitEntries(through: commit) }
        if round != .zero { reply(to: message, .heartbeatAnswer(round: round), afterSave: false) }
    }

    private mutating func receiveAppend(
        _ message: Message, previous: EntryID, entries: [Entry], commit: LogIndex
    ) {
        guard isRun(entries, after: previous, notAbove: message.term) else { return }
        recognise(message.from)
        if previous.index < hard.commit {
            // All of this is agreed, so the logs are equal at least that far.
            return reply(to: message, .appendAccepted(match: hard.commit), afterSave: true)
        }
        #if SIMULATION
            if RaftBug.commitPastMatch.isPlanted {
                commitEntries(through: min(commit, log.last.index))
            }
        #endif
        guard log.term(at: previous.index) == previous.term else {
            let hint = log.lastPlace(atOrBefore: previous.index, notAbove: previous.term)
            return reply(
                to: message, .appendRejected(previous: previous.index, hint: hint), afterSave: true)
        }
        if unappliedBytes > configuration.limits.unappliedBytesMax, !entries.isEmpty { return }
        store(entries)
        let match = previous.index.advanced(by: entries.count)
        #if SIMULATION
            if RaftBug.acknowledgedBeforeSave.isPlanted {
                commitEntries(through: min(commit, match))
                return reply(to: message, .appendAccepted(match: match), afterSave: false)
            }
        #endif
        commitEntries(through: min(commit, match))
        reply(to: message, .appendAccepted(match: match), afterSave: true)
    }

    /// Whether entries follow `previous` and each other as in a log of that term, and can be read.
    private func isRun(_ entries: [Entry], after previous: EntryID, notAbove limit: Term) -> Bool {
        var last = previous
        for entry in entries {
            guard entry.id.index == last.index.next, entry.id.term >= last.term else {
                return false
            }
            if entry.kind == .membership, Membership.split(entry.payload) == nil { return false }
            last = entry.id
        }
        return last.term <= limit
    }

    /// Puts entries in place of what conflicts with them; what is equal stays (§5.3).
    private mutating func store(_ entries: [Entry]) {
        for entry in entries {
            if log.term(at: entry.id.index) == entry.id.term { continue }
            #if SIMULATION
                if RaftBug.conflictKept.isPlanted, entry.id.index <= log.last.index { continue }
            #endif
            if entry.id.index <= log.last.index { truncate(after: entry.id.index.previous) }
            log.append(entry)
            uncommittedBytes += entry.byteCount
            effects.append.append(entry)
            if entry.kind == .membership { adopt(entry) }
        }
    }

    private mutating func truncate(after index: LogIndex) {
        precondition(
            index >= hard.commit,
            "cut after \(index.rawValue) would lose committed entries to \(hard.commit.rawValue)")
        uncommittedBytes -= log.truncate(after: index)
        saves.truncate(after: index)
        if history.truncate(after: index) { useNewestMembership() }
        effects.truncateAfter = index
    }

    /// Moves the commit index forward; never back.
    mutating func commitEntries(through index: LogIndex) {
        while hard.commit < index {
            hard.commit = hard.commit.next
            let bytes = log[hard.commit].byteCount
            uncommittedBytes -= bytes
            unappliedBytes += bytes
        }
    }
}
