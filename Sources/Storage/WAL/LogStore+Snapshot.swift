// LogStore+Snapshot.swift: a log that goes on after a snapshot, which its own entries may not lead
// to.
// Belongs here: what of the log stays. Never here: the snapshot's pages (Snapshot/).
// Source: Raft paper §7: entries after the snapshot stay if the one at its place agrees with it.

extension LogStore {
    /// What the log holds, as opening it would find it, if nothing is queued.
    public var contents: RecoveredLog {
        monitor.lock()
        defer { monitor.unlock() }
        return RecoveredLog(
            hardState: savedHardState, firstIndex: table.base + 1, lastIndex: table.last,
            termBeforeFirst: table.baseTerm, checkpointIntent: savedIntent, tornTail: nil)
    }

    /// Makes the log go on from a snapshot, durably, if it does not already.
    ///
    /// If the log has the snapshot's last entry nothing is lost of it. Otherwise all entries go,
    /// and the log goes on after `index`. Term and vote are never lowered; a term below the
    /// snapshot's is raised to it, without a vote in it. The commit index is at least `index`
    /// afterwards. To be called before the log has a writer; calling it twice changes nothing.
    ///
    /// - Throws: `corrupt` as `alignmentIsPossible`; `disk`, after which it may be called again in
    ///   another process.
    public func alignAfterSnapshot(index: UInt64, term: UInt64) throws(StorageError) {
        try alignmentIsPossible(index: index, term: term)
        if self.term(of: index) != term { _ = try reset(to: index, term: term) }
        var hardState = contents.hardState
        if hardState.term < term || hardState.commit < index {
            if hardState.term < term {
                hardState.term = term
                hardState.vote = 0
            }
            hardState.commit = max(hardState.commit, index)
            _ = try append([], hardState: hardState)
        }
        // Often one frame; if not, the order of calls makes each prefix good.
        while try flush() != nil {}
    }

    /// Checks, changing nothing, that the log can go on from a snapshot.
    ///
    /// - Throws: `corrupt` if the log begins after the snapshot, or if it has another entry in its
    ///   place that is known to be committed.
    func alignmentIsPossible(index: UInt64, term: UInt64) throws(StorageError) {
        let found = contents
        guard found.firstIndex <= index + 1 else {
            throw .corrupt(
                file: directory, offset: 0,
                reason: "it begins at entry \(found.firstIndex), a snapshot ends at \(index)")
        }
        guard self.term(of: index) == term || found.hardState.commit < index else {
            throw .corrupt(
                file: directory, offset: 0,
                reason: "entry \(index) is committed and not of term \(term), as in the snapshot")
        }
    }
}
