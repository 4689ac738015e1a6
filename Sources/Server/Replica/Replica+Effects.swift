// Replica+Effects.swift: carrying out what Raft asks for.
// Belongs here: sending, saving, leadership. Never here: deciding any of it; applying (Replica+Apply.swift).
// Source: the contract in Raft's documentation; design section 3, steps 5 to 7.

internal import Raft
internal import Storage

extension Replica {
    /// Carries out the duties of one step.
    func perform(_ effects: Effects) throws(StorageError) {
        for message in effects.sendNow { output.send(message) }
        if effects.needsSave { try save(effects) }
        if !effects.sendAfterSave.isEmpty {
            held.append((effects.saveNumber, effects.sendAfterSave))
        }
        status.term = node.term.rawValue
        if let leadership = effects.leadership { try lead(leadership) }
        // Only now: what a leader that is none any more had proposed may be among what was cut off.
        if let index = effects.truncateAfter { failOrphans(after: index.rawValue) }
        if let membership = effects.membership { noteMembership(membership) }
        if let committed = effects.committed { try publish(committed) }
        noteReads(effects)
        for request in effects.needEntries { try load(request) }
        if let offer = effects.snapshotOffered { output.fetchSnapshot(from: offer.from.rawValue) }
        if let outcome = effects.transfer { noteTransfer(outcome) }
    }

    private func save(_ effects: Effects) throws(StorageError) {
        var ticket: LogTicket?
        if let index = effects.truncateAfter {
            ticket = try log.truncate(after: index.rawValue, term: term(at: index).rawValue)
        }
        let entries = effects.append.map {
            LogEntry(
                index: $0.id.index.rawValue, term: $0.id.term.rawValue, kind: $0.kind.rawValue,
                payload: $0.payload)
        }
        let hardState = effects.save.map {
            LogHardState(
                term: $0.term.rawValue, vote: $0.vote?.rawValue ?? 0, commit: $0.commit.rawValue)
        }
        if !entries.isEmpty || hardState != nil {
            ticket = try log.append(entries, hardState: hardState)
        }
        guard let ticket else { preconditionFailure("a save without anything to save") }
        let bytes = effects.append.reduce(0) { $0 + $1.byteCount }
        saves.append(
            Save(ticket: ticket, number: effects.saveNumber, byteCount: bytes, asked: now))
    }

    private func term(at index: LogIndex) -> Term {
        index == node.memoryBase.index ? node.memoryBase.term : node.entry(at: index).id.term
    }

    /// Sends what waited for a save.
    func release(through number: SaveNumber) {
        var count = 0
        while count < held.count, held[count].number <= number {
            for message in held[count].messages { output.send(message) }
            count += 1
        }
        held.removeFirst(count)
    }

    /// Reads older entries for a member that lags.
    ///
    /// The core asks again at once if it gets nothing. So it must know first that the log on disk begins
    /// later by now; and what is not on the disk yet is waited for.
    private func load(_ request: EntriesRequest) throws(StorageError) {
        let first = request.from.rawValue
        if let term = log.term(of: first - 1),
            let found = try log.entries(
                from: first, through: request.through.rawValue, maxBytes: request.bytesMax)
        {
            let base = EntryID(term: Term(term), index: LogIndex(first - 1))
            return try perform(
                node.step(.loaded(found.map(Entry.init), after: base, for: request.member)))
        }
        let begin = log.firstIndex
        guard first < begin, LogIndex(begin - 1) <= node.applied else {
            return lateLoads.append(request)
        }
        logReleased(before: begin)
        try perform(node.step(.loaded([], after: .zero, for: request.member)))
    }

    /// Tries again to read what was not there before.
    func loadLate() throws(StorageError) {
        let late = lateLoads
        lateLoads = []
        for request in late { try load(request) }
    }

    // MARK: leadership

    private func lead(_ change: LeadershipChange) throws(StorageError) {
        switch change {
        case .becameLeader(let term):
            status.leader = settings.identity.memberID
            termStart = node.last.index
            if try applyLogToTip(), try openTipUnlessDamaged() { acceptBacklog() }
            output.report(.becameLeader(term: term.rawValue))
        case .steppedDown(let term, let leader):
            stepDown()
            note(leader, in: term)
        case .leaderKnown(let term, let leader):
            note(leader, in: term)
        }
        settleHandover()
    }

    private func note(_ leader: MemberID?, in term: Term) {
        status.leader = leader?.rawValue ?? 0
        status.readsLocally = false
        forwards.pausedUntil = now
        output.report(.leaderChanged(term: term.rawValue, leader: status.leader))
    }

    /// Brings the tip to the end of the log: a new leader begins from all that may be agreed.
    ///
    /// - Returns: false if its database is damaged, so that it can't lead for long.
    private func applyLogToTip() throws(StorageError) -> Bool {
        let first = LogIndex(pages.tipState.index + 1)
        guard first <= node.last.index else { return true }
        for entry in node.entries(in: first..<node.last.index.next) {
            guard try applyUnlessDamaged(entry) else { return false }
        }
        return true
    }

    /// Gives the tip up; batches without a commit wait for what the next leader makes of them.
    private func stepDown() {
        status.readsLocally = false
        tip = nil
        pages.discard(after: pages.committedState.index)
        orphans += inFlight
        inFlight = []
        for answer in background.followed() + reads.takeAnswers() {
            fail(answer.origin, .leaderChanged)
        }
        backlog.append(contentsOf: postponed)
        postponed = []
        refuseForwardedBacklog()
    }
}

extension Entry {
    /// An entry as the log on disk has it.
    init(_ stored: LogEntry) {
        self.init(
            id: EntryID(term: Term(stored.term), index: LogIndex(stored.index)),
            kind: Kind(rawValue: stored.kind) ?? .normal, payload: stored.payload)
    }
}
