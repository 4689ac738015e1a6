// Replica+Effects.swift: carrying out what Raft asks for.
// Belongs here: saving, publishing, answering reads, leadership. Never here: deciding any of it.
// Source: the contract in Raft's documentation; design section 3, steps 5 and 6.

internal import Raft
internal import Storage

extension Replica {
    /// Carries out the duties of one step.
    func perform(_ effects: Effects) throws(StorageError) {
        precondition(
            effects.sendNow.isEmpty && effects.sendAfterSave.isEmpty,
            "a sole voter has nobody to send to")
        precondition(effects.truncateAfter == nil, "a sole voter's entries are never replaced")
        if effects.needsSave { try save(effects) }
        status.term = node.term.rawValue
        if let leadership = effects.leadership { try lead(leadership) }
        if let committed = effects.committed { try publish(through: committed.upperBound) }
        for read in effects.readStates { resolve(read) }
        for context in effects.readsFailed { failRead(context) }
        releaseReads()
    }

    private func save(_ effects: Effects) throws(StorageError) {
        let entries = effects.append.map {
            LogEntry(
                index: $0.id.index.rawValue, term: $0.id.term.rawValue, kind: $0.kind.rawValue,
                payload: $0.payload)
        }
        let hardState = effects.save.map {
            LogHardState(
                term: $0.term.rawValue, vote: $0.vote?.rawValue ?? 0, commit: $0.commit.rawValue)
        }
        let ticket = try log.append(entries, hardState: hardState)
        saves.append((ticket, effects.saveNumber))
    }

    private func lead(_ change: LeadershipChange) throws(StorageError) {
        switch change {
        case .becameLeader(let term):
            status.leader = settings.identity.memberID
            output.report(.becameLeader(term: term.rawValue))
            try applyLogToTip()
            try openTip()
        case .steppedDown(_, let leader), .leaderKnown(_, let leader):
            status.leader = leader?.rawValue ?? 0
            status.readsLocally = false
        }
    }

    /// Brings the tip to the end of the log: a new leader begins from all that may be agreed.
    private func applyLogToTip() throws(StorageError) {
        let first = LogIndex(pages.tipState.index + 1)
        guard first <= node.last.index else { return }
        for entry in node.entries(in: first..<node.last.index.next) where entry.kind == .normal {
            try pages.apply(
                index: entry.id.index.rawValue, term: entry.id.term.rawValue,
                payload: entry.payload)
        }
    }

    private func publish(through end: LogIndex) throws(StorageError) {
        let index = end.rawValue - 1
        pages.publish(through: index, term: node.term.rawValue)
        let state = pages.committedState
        let statistics = pages.statistics()
        status.publish(
            pages: state.pageCount,
            pagesInUse: state.pageCount - min(statistics.freePages, state.pageCount),
            hash: state.databaseHash, header: state.header)
        status.committed = index
        status.applied = index
        var count = 0
        while count < inFlight.count, inFlight[count].index <= index { count += 1 }
        let batches = inFlight[..<count]
        for batch in batches {
            publishedRevision = batch.header.revision
            status.alarmKinds = batch.alarmKinds
            deliver(batch)
        }
        inFlight.removeFirst(count)
        // A sole leader needs no quorum once an entry of its own term is agreed.
        if tip != nil, node.voters.count == 1, !status.readsLocally {
            publishedRevision = max(1, state.header.revision)
            status.readsLocally = true
            output.report(.readable)
        }
        try perform(node.step(.applied(through: LogIndex(index))))
    }

    private func deliver(_ batch: Batch) {
        if !batch.events.isEmpty {
            let shared = EventBatch(events: batch.events, revision: batch.header.revision)
            for loop in subscribers.indices where subscribers[loop] {
                let waiting = output.eventBytesWaiting(on: loop)
                if waiting + shared.byteCount > ReplicaLimits.eventBytesPerLoopMax, waiting > 0 {
                    output.post(.skipped(through: shared.revision), to: loop)
                } else {
                    output.post(.events(shared), to: loop)
                }
            }
        }
        batch.answers.forEach(post)
    }

    func post(_ answer: Batch.Answer) {
        switch answer.content {
        case .message(let bytes):
            output.post(.answer(answer.ticket, bytes), to: Int(answer.ticket.loop))
        case .failure(let error): fail(answer.ticket, error)
        }
    }

    // MARK: reads

    private func resolve(_ read: ReadState) {
        guard let place = readsAsked.firstIndex(where: { $0.context == read.context }) else {
            return
        }
        let ticket = readsAsked.remove(at: place).ticket
        readsWaiting.append((read.index.rawValue, ticket))
    }

    private func failRead(_ context: ReadContext) {
        guard let place = readsAsked.firstIndex(where: { $0.context == context }) else { return }
        fail(readsAsked.remove(at: place).ticket, .leaderChanged)
    }

    private func releaseReads() {
        guard !readsWaiting.isEmpty else { return }
        let applied = status.applied
        for read in readsWaiting where read.index <= applied {
            output.post(.readable(read.ticket), to: Int(read.ticket.loop))
        }
        readsWaiting.removeAll { $0.index <= applied }
    }
}
