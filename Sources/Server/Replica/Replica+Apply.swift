// Replica+Apply.swift: committed entries become the published state, events and answers.
// Belongs here: the order of publishing. Never here: patching pages (Storage), what watches do (Watch/).
// Source: design section 3, steps 6 and 7, and "A follower ..."; etcd semantics W8, W10.
//
//   entries of others: apply to pages -> publish -> events read from table `log` -> answers
//   own batches:       (pages are on the tip) publish -> events kept by the batch -> answers

internal import Raft
internal import Storage

extension Replica {
    /// Makes entries visible that are agreed.
    func publish(_ range: Range<LogIndex>) throws(StorageError) {
        guard !isStalled else { return }
        let ownStart =
            tip == nil
            ? range.upperBound : max(range.lowerBound, min(termStart, range.upperBound))
        if range.lowerBound < ownStart { try publishOthers(range.lowerBound..<ownStart) }
        guard !isStalled else { return }
        if ownStart < range.upperBound { publishOwn(through: range.upperBound.previous) }
        releaseForwarded()
        releaseReads()
        try perform(node.step(.applied(through: range.upperBound.previous)))
    }

    /// Patches the tip with an entry, unless it has it.
    func apply(_ entry: Entry) throws(StorageError) {
        if entry.id.index.rawValue > pages.tipState.index { try pages.apply(entry) }
    }

    private func publishOthers(_ range: Range<LogIndex>) throws(StorageError) {
        var changesMembers = !knowsMembers
        var last = EntryID.zero
        let isWatched = subscribers.contains(true)
        for entry in node.entries(in: range) {
            guard try applyUnlessDamaged(entry) else { return }
            last = entry.id
            changesMembers = changesMembers || entry.kind == .membership
            // One by one where somebody watches: the next entry may compact what this one wrote.
            if isWatched { try publishOther(through: last) }
        }
        if !isWatched { try publishOther(through: last) }
        takeOrphans(in: range).forEach { batch in batch.answers.forEach(post) }
        if changesMembers { try noteMembers() }
    }

    private func publishOther(through last: EntryID) throws(StorageError) {
        publishPages(through: last)
        if publishedRevision < pages.committedState.header.revision { try deliverFromLog() }
    }

    private func publishOwn(through index: LogIndex) {
        publishPages(through: EntryID(term: node.term, index: index))
        var count = 0
        var changesMembers = false
        while count < inFlight.count, inFlight[count].index <= index.rawValue {
            publishedRevision = inFlight[count].header.revision
            changesMembers = changesMembers || inFlight[count].changesMembers
            deliver(inFlight[count])
            count += 1
        }
        inFlight.removeFirst(count)
        becomeReadable()
        if changesMembers { guarded { () throws(StorageError) in try noteMembers() } }
    }

    /// A sole leader needs no quorum once an entry of its own term is agreed.
    ///
    /// That of a new store may be agreed before the tables are.
    private func becomeReadable() {
        guard !status.readsLocally, node.membership.voters == [node.id],
            node.commit >= node.membershipIndex, pages.committedState.pageCount > 0
        else { return }
        publishedRevision = max(1, pages.committedState.header.revision)
        status.readsLocally = true
    }

    private func publishPages(through last: EntryID) {
        pages.publish(through: last.index.rawValue, term: last.term.rawValue)
        status.committed = node.commit.rawValue
        status.publish(pages.committedState, freePages: pages.statistics().freePages)
    }

    private func deliver(_ batch: Batch) {
        if let events = batch.events {
            deliver(events, revision: batch.header.revision)
        } else {
            // Who subscribed since finds them in the store.
            skip(through: batch.header.revision)
        }
        batch.answers.forEach(post)
    }

    private func deliver(_ events: [ChangeEvent], revision: Int64) {
        guard !events.isEmpty, subscribers.contains(true) else { return }
        let shared = EventBatch(events: events, revision: revision)
        for loop in subscribers.indices where subscribers[loop] {
            let waiting = output.eventBytesWaiting(on: loop)
            if waiting + shared.byteCount > ReplicaLimits.eventBytesPerLoopMax, waiting > 0 {
                output.post(.skipped(through: shared.revision), to: loop)
            } else {
                output.post(.events(shared), to: loop)
            }
        }
    }

    /// Reads the events of what was published last from the history, once for all loops.
    private func deliverFromLog() throws(StorageError) {
        let revision = pages.committedState.header.revision
        #if SIMULATION
            if ServerBug.followerSkipsEvents.isPlanted {
                publishedRevision = max(publishedRevision, revision - 1)
            }
        #endif
        let first = publishedRevision + 1
        publishedRevision = revision
        guard subscribers.contains(true) else { return }
        do throws(StorageError) {
            guard let events = try events(from: first) else { return skip(through: revision) }
            deliver(events, revision: revision)
        } catch {
            // Who watches finds them in the history once it is mended.
            guard let damage = Damage(error) else { throw error }
            found(damage, because: error)
            skip(through: revision)
        }
    }

    /// The published events from a revision on; nil if they are too many to be handed out.
    private func events(from first: Int64) throws(StorageError) -> [ChangeEvent]? {
        var bytes = 0
        return try store.read { (reader, _) throws(StorageError) -> [ChangeEvent]? in
            var events: [ChangeEvent] = []
            let cursor = try ChangeCursor(
                reader: reader, from: PackedRevision(main: first, sub: 0))
            defer { cursor.close() }
            while try cursor.next() {
                let event = ChangeEvent(
                    key: Bytes(Array(cursor.key)), value: Bytes(Array(cursor.value)),
                    record: cursor.record, previous: cursor.previous)
                bytes += event.byteCount
                guard bytes <= ReplicaLimits.eventBytesPerLoopMax else { return nil }
                events.append(event)
            }
            return events
        }
    }

    /// Sends those who watch to the history.
    private func skip(through revision: Int64) {
        for loop in subscribers.indices where subscribers[loop] {
            output.post(.skipped(through: revision), to: loop)
        }
    }

    // MARK: batches of a lost leadership

    /// The orphaned batches that turned out to be agreed; those that were replaced fail.
    private func takeOrphans(in range: Range<LogIndex>) -> [Batch] {
        guard !orphans.isEmpty else { return [] }
        var agreed: [Batch] = []
        var count = 0
        while count < orphans.count, orphans[count].index < range.upperBound.rawValue {
            let batch = orphans[count]
            let index = LogIndex(batch.index)
            #if SIMULATION
                if ServerBug.orphanAnswered.isPlanted {
                    agreed.append(batch)
                    count += 1
                    continue
                }
            #endif
            if index >= range.lowerBound, node.entry(at: index).id.term.rawValue == batch.term {
                agreed.append(batch)
            } else {
                batch.answers.forEach { fail($0.origin, .timeoutLeaderFailure) }
            }
            count += 1
        }
        orphans.removeFirst(count)
        return agreed
    }

    /// Fails the orphaned batches that were cut off the log.
    func failOrphans(after index: UInt64) {
        #if SIMULATION
            if ServerBug.orphanAnswered.isPlanted { return }
        #endif
        for batch in orphans where batch.index > index {
            batch.answers.forEach { fail($0.origin, .timeoutLeaderFailure) }
        }
        orphans.removeAll { $0.index > index }
    }
}

extension PageStore {
    /// Patches the tip with what an entry changes.
    func apply(_ entry: Entry) throws(StorageError) {
        let index = entry.id.index.rawValue
        let term = entry.id.term.rawValue
        switch entry.kind {
        case .noop: break
        case .normal: try apply(index: index, term: term, payload: entry.payload)
        case .membership:
            guard let (_, start) = Membership.split(entry.payload) else {
                throw .corrupt(
                    file: "log", offset: index, reason: "entry \(index) names no members")
            }
            try apply(index: index, term: term, payload: Array(entry.payload[start...]))
        }
    }
}
