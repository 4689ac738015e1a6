// RaftNode+Snapshot.swift: members that need what no log has any more.
// Belongs here: who is told, and the start behind a snapshot. Never here: the snapshot itself,
// which the caller moves.
// Source: Raft paper §7; thesis §5.1, with the data sent outside of the protocol.

extension RaftNode {
    /// Whether a snapshot that ends with this entry brings the member further, and loses nothing.
    ///
    /// False also if the log has that entry: what follows it may be acknowledged, and a quorum may
    /// count on it (§7: such entries are retained). The leader then goes on without a snapshot.
    public func needsSnapshot(endingWith last: EntryID) -> Bool {
        last.index > hard.commit && log.term(at: last.index) != last.term
    }

    /// Tells every member that waits for a snapshot again, with what our disk has now.
    mutating func offerSnapshots() {
        guard case .leader(var leader) = state,
            leader.peers.contains(where: { $0.mode == .snapshot })
        else { return }
        state = .follower(leader: nil)
        for position in leader.peers.indices where leader.peers[position].mode == .snapshot {
            fetch(for: &leader.peers[position])
        }
        state = .leader(leader)
    }

    /// Tells one member that our log on disk begins too late for it.
    mutating func offerSnapshot(endingWith last: EntryID, to member: MemberID) {
        effects.needSnapshot.append(member)
        effects.sendNow.append(
            Message(from: id, to: member, term: term, body: .snapshotOffer(last: last)))
    }

    mutating func receiveSnapshotOffer(_ message: Message, last: EntryID) {
        recognise(message.from)
        if last.index <= hard.commit {
            return reply(to: message, .appendAccepted(match: hard.commit), afterSave: true)
        }
        if log.term(at: last.index) == last.term {
            // As with an append after `last`: the leader did not know that we have it.
            commitEntries(through: last.index)
            return reply(to: message, .appendAccepted(match: last.index), afterSave: true)
        }
        effects.snapshotOffered = SnapshotOffer(from: message.from, reaching: last.index)
    }

    /// Starts again behind a snapshot that has taken the place of state machine and log.
    mutating func install(_ snapshot: EntryID, _ membership: Membership) {
        precondition(
            snapshot.index > hard.commit,
            "snapshot through \(snapshot.index.rawValue), committed \(hard.commit.rawValue)")
        precondition(
            needsSnapshot(endingWith: snapshot),
            "snapshot through \(snapshot.index.rawValue) would lose what the log has behind it")
        if snapshot.term > term || role != .follower {
            follow(nil, term: max(term, snapshot.term))
        }
        log = RaftLog(base: snapshot)
        saves.replace(through: snapshot.index)
        uncommittedBytes = 0
        unappliedBytes = 0
        hard.commit = snapshot.index
        reported = snapshot.index
        applied = snapshot.index
        compacted = snapshot.index
        compactedTerm = snapshot.term
        history = MembershipHistory(asOf: snapshot.index, membership)
        useNewestMembership()
        if let leader {
            send(.appendAccepted(match: snapshot.index), to: leader, term: term, afterSave: true)
        }
    }
}
