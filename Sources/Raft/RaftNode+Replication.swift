// RaftNode+Replication.swift: what a leader sends to each member, and from where it takes it.
// Belongs here: filling the windows. Never here: when (RaftNode+Leader.swift), bytes (Transport).
// Source: Raft paper §5.3; thesis §10.2.1 (pipelining).

extension RaftNode {
    /// Changes what a leader knows of a member; does nothing unless both are so.
    mutating func withPeer(_ member: MemberID, _ change: (inout Progress) -> Void) {
        guard case .leader(var leader) = state, let position = leader.position(of: member) else {
            return
        }
        // Taken out of the state meanwhile, so that the array is changed in place.
        state = .follower(leader: nil)
        change(&leader.peers[position])
        state = .leader(leader)
    }

    /// Sends what every member still lacks, as far as its window allows.
    mutating func sendAppendsToAll(evenIfEmpty: Bool) {
        guard case .leader(var leader) = state, !leader.peers.isEmpty else { return }
        state = .follower(leader: nil)
        for position in leader.peers.indices {
            fill(&leader.peers[position], evenIfEmpty: evenIfEmpty)
        }
        state = .leader(leader)
    }

    /// Sends what a member still lacks, as far as its window allows.
    ///
    /// - Parameter evenIfEmpty: whether the first message is worth sending without entries, to
    ///   probe or to tell of the commit index.
    mutating func sendAppends(to member: MemberID, evenIfEmpty: Bool) {
        guard case .leader(var leader) = state, let position = leader.position(of: member) else {
            return
        }
        state = .follower(leader: nil)
        fill(&leader.peers[position], evenIfEmpty: evenIfEmpty)
        state = .leader(leader)
    }

    private mutating func fill(_ peer: inout Progress, evenIfEmpty: Bool) {
        var mayBeEmpty = evenIfEmpty || peer.sentCommit < hard.commit
        while peer.canSend {
            let previous = peer.next.previous
            guard let previousTerm = log.term(at: previous) else {
                return fetch(for: &peer)
            }
            let bytesMax = min(configuration.limits.appendBytesMax, max(1, peer.window.room))
            let entries = log.entries(from: peer.next, bytesMax: bytesMax)
            if entries.isEmpty, !mayBeEmpty { return }
            send(entries, after: EntryID(term: previousTerm, index: previous), to: &peer)
            mayBeEmpty = false
        }
    }

    private mutating func send(
        _ entries: [Entry], after previous: EntryID, to peer: inout Progress
    ) {
        var bytes = 0
        for entry in entries { bytes += entry.byteCount }
        peer.sent(through: previous.index.advanced(by: entries.count), bytes: bytes)
        peer.sentCommit = hard.commit
        effects.sendNow.append(
            Message(
                from: id, to: peer.member, term: term,
                body: .append(previous: previous, entries: entries, commit: hard.commit)))
    }

    /// Asks the caller for entries that memory no longer holds, or tells the member that the disk
    /// does not hold them either.
    mutating func fetch(for peer: inout Progress) {
        let isCompacted = peer.next.previous < compacted
        if isCompacted, let compactedTerm {
            peer.mode = .snapshot
            let last = EntryID(term: compactedTerm, index: compacted)
            return offerSnapshot(endingWith: last, to: peer.member)
        }
        // One entry is enough to learn the ID of the compacted one before it.
        peer.mode = .load
        effects.needEntries.append(
            EntriesRequest(
                member: peer.member, from: isCompacted ? compacted.next : peer.next,
                through: log.base.index,
                bytesMax: isCompacted ? 1 : configuration.limits.appendBytesMax))
    }

    /// Sends on what the caller read from its disk.
    mutating func load(_ entries: [Entry], after previous: EntryID, for member: MemberID) {
        guard case .leader(var leader) = state, let position = leader.position(of: member),
            leader.peers[position].mode == .load
        else { return }
        if previous.index == compacted, !entries.isEmpty { compactedTerm = previous.term }
        state = .follower(leader: nil)
        var isTaken = false
        if previous.index.next == leader.peers[position].next, !entries.isEmpty {
            precondition(
                entries.count <= hard.commit.distance(from: previous.index),
                "loaded \(entries.count) entries after \(previous.index.rawValue), "
                    + "but \(hard.commit.rawValue) is the last committed")
            leader.peers[position].probe(from: previous.index.next)
            send(entries, after: previous, to: &leader.peers[position])
            isTaken = true
        } else {
            leader.peers[position].probe(from: leader.peers[position].match.next)
        }
        state = .leader(leader)
        if !isTaken { sendAppends(to: member, evenIfEmpty: true) }
    }
}
