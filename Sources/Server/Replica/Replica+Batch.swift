// Replica+Batch.swift: waiting requests become one SQLite transaction and one log entry.
// Belongs here: the window, the transaction, proposing. Never here: what a request does (Executor).
// Source: design section 3, steps 3-5; storage.md trap 1 (a failed statement voids the whole batch).

internal import Raft
internal import Storage

/// The tip of a leader: the writer's connection with what runs on it.
///
/// One per term of leadership: a connection is never used again after pages changed beneath it.
struct Tip {
    let connection: Connection
    let begin: Statement
    let commit: Statement
    let executor: Executor

    init(connection: Connection, executor: Executor) throws(StorageError) {
        self.connection = connection
        self.executor = executor
        begin = try connection.prepare("BEGIN IMMEDIATE")
        commit = try connection.prepare("COMMIT")
    }
}

/// A batch that waits for its commit.
struct Batch {
    /// An answer that leaves with the commit.
    struct Answer {
        let origin: RequestOrigin
        let content: Content

        enum Content {
            case message([UInt8])
            case failure(EtcdError)
        }
    }

    let index: UInt64
    let term: UInt64
    /// The entry's size.
    let byteCount: Int
    var answers: [Answer]
    /// Nil if no loop wanted them when the batch was carried out.
    let events: [ChangeEvent]?
    let header: StateHeader
    let changesMembers: Bool
}

extension Replica {
    /// Batches that may wait for their commit.
    var window: Int {
        status.readsLocally
            ? ReplicaLimits.batchesInFlightAloneMax : ReplicaLimits.batchesInFlightMax
    }

    /// Whether the next batch has to wait for checkpoints to catch up.
    var isPaced: Bool {
        now.since(lastBatch) < ReplicaLimits.overlayPauseMilliseconds
            && pages.overlayBytes > ReplicaLimits.overlayBytesMax
    }

    /// Carries out what waits, as far as the window of uncommitted batches allows.
    func runBatches() throws(StorageError) {
        while inFlight.count < window,
            inFlight.reduce(0, { $0 + $1.byteCount }) < ReplicaLimits.bytesInFlightMax,
            // Others may agree without this disk: the log's queue must not fill up all the same.
            saves.reduce(0, { $0 + $1.byteCount }) < ReplicaLimits.bytesInFlightMax, !isPaced,
            let tip
        {
            let chunk = takeChunk()
            let room = log.space
            guard !room.isFull || room.preparedBytes >= ReplicaLimits.preparedBytesMin else {
                // Even what frees space has to be written down first: there is no room left for that.
                for request in chunk { fail(request.origin, .noSpace) }
                return
            }
            let due = background.takeDue(
                now: now, executor: tip.executor, bytesInUse: status.bytesInUse)
            guard !chunk.isEmpty || !due.isEmpty else { return }
            lastBatch = now
            let hadQuotaAlarm = tip.executor.hasQuotaAlarm
            try runBatch(chunk, due, on: tip)
            reportQuota(tip.executor, hadAlarm: hadQuotaAlarm)
        }
    }

    /// Tells operators that the quota is near, reached, or no longer reached.
    private func reportQuota(_ executor: Executor, hadAlarm: Bool) {
        if executor.hasQuotaAlarm != hadAlarm {
            output.report(.quotaReached(executor.hasQuotaAlarm))
        }
        guard let quota = settings.executor.quotaBytes else { return }
        let isNear = QuotaMarks.isNear(
            quota, bytesInUse: status.bytesInUse, wasNear: isQuotaNear)
        guard isNear != isQuotaNear else { return }
        isQuotaNear = isNear
        if isNear { output.report(.quotaNear(bytesInUse: status.bytesInUse, quota: quota)) }
    }

    /// The next requests for one batch; one that changes the members is a batch by itself.
    private func takeChunk() -> ArraySlice<ReplicaRequest> {
        if !postponed.isEmpty, mayChangeMembers { return [postponed.removeFirst()] }
        var count = 0
        var bytes = 0
        let last = min(backlog.count, ReplicaLimits.requestsPerBatchMax)
        while count < last, bytes < ReplicaLimits.bytesPerBatchMax {
            guard !backlog[count].body.changesMembers else { break }
            bytes += backlog[count].byteCount
            count += 1
        }
        if count == 0, let change = backlog.popFirst() {
            postpone(change)
            return takeChunk()
        }
        return backlog.take(count)
    }

    /// Has a change of the members wait until the one before it is agreed; nothing else waits for it.
    private func postpone(_ change: ReplicaRequest) {
        guard postponed.count < ReplicaLimits.postponedRequestsMax else {
            return fail(change.origin, .tooManyRequests)
        }
        postponed.append(change)
    }

    private func runBatch(
        _ requests: ArraySlice<ReplicaRequest>, _ due: DueWork, on tip: Tip
    ) throws(StorageError) {
        let executor = tip.executor
        executor.beginBatch(
            now: now, term: node.term.rawValue, bytesInUse: status.bytesInUse,
            isDiskFull: space.isShort, recordsEvents: subscribers.contains(true),
            logIndex: node.last.index.next.rawValue)
        var answers: [Batch.Answer] = []
        answers.reserveCapacity(requests.count)
        let payload: [UInt8]?
        var changesMembers = false
        do throws(RequestFailure) {
            try storing { () throws(StorageError) in try tip.begin.run() }
            for request in requests {
                if try run(request, on: executor, answers: &answers) { changesMembers = true }
            }
            try background.run(due, on: executor, answers: &answers, output: output)
            payload = try storing { () throws(StorageError) -> [UInt8]? in
                try tip.commit.run()
                if status.readsLocally, !pages.hasPendingChanges { return nil }
                let payload = try pages.encode(header: executor.stateHeader)
                guard payload.count <= log.payloadBytesMax else {
                    throw .busy(what: "a batch of \(payload.count) bytes, too large for the log")
                }
                return payload
            }
        } catch {
            background.failed(due, now: now)
            return try abandonBatch(requests, answers + due.renewed, after: error)
        }
        if let payload {
            let isTaken = try propose(
                payload, answers, changesMembers: changesMembers, from: executor)
            if !isTaken { failBatch(requests, answers, .leaderChanged) }
        } else {
            answer(answers)
        }
    }

    /// Carries out one request; true if it changed the table of members.
    private func run(
        _ request: ReplicaRequest, on executor: Executor, answers: inout [Batch.Answer]
    ) throws(RequestFailure) -> Bool {
        executor.answeringMember = member(answering: request.origin)
        let operation = ApplyOperation(request.body)
        if operation != nil { output.note(.executing) }
        var succeeded = false
        defer { if let operation { output.note(.executed(operation, succeeded: succeeded)) } }
        do throws(RequestFailure) {
            let execution = try executor.execute(request.body, by: request.authority)
            succeeded = true
            switch execution {
            case .answer(let bytes):
                answers.append(Batch.Answer(origin: request.origin, content: .message(bytes)))
            case .answerWhenCompacted(let bytes):
                background.compactionWaiters.append(
                    Batch.Answer(origin: request.origin, content: .message(bytes)))
            case .memberChange(let bytes):
                answers.append(Batch.Answer(origin: request.origin, content: .message(bytes)))
                return true
            }
        } catch .refused(let error) {
            // Whatever was written can't be taken back alone: then nothing of this batch counts.
            guard !executor.hasChangedKeys else {
                throw .store(.busy(what: "a request was refused after it had begun to write"))
            }
            answers.append(Batch.Answer(origin: request.origin, content: .failure(error)))
        }
        return false
    }

    /// Whose id the answer's header bears (G4).
    func member(answering origin: RequestOrigin) -> UInt64 {
        if case .member(let member, _) = origin { return member }
        return settings.identity.memberID
    }

    /// Turns what the batch changed into an entry.
    ///
    /// A batch that changed nothing is an entry too, without content, where others vote: its commit proves
    /// that this member still leads.
    ///
    /// - Returns: false if Raft did not take it: leadership is being handed over, or too much is under way.
    private func propose(
        _ payload: [UInt8], _ answers: [Batch.Answer], changesMembers: Bool,
        from executor: Executor
    ) throws(StorageError) -> Bool {
        let effects =
            changesMembers
            ? proposeMembers(payload, executor.members) : node.step(.propose([payload]))
        guard case .accepted(let first) = effects.proposal else {
            try renewTip()
            try perform(effects)
            return false
        }
        pages.seal(index: first.index.rawValue, term: first.term.rawValue)
        inFlight.append(
            Batch(
                index: first.index.rawValue, term: first.term.rawValue, byteCount: payload.count,
                answers: answers, events: executor.takeEvents(), header: executor.stateHeader,
                changesMembers: changesMembers))
        #if SIMULATION
            if ServerBug.answeredBeforeCommit.isPlanted {
                answers.forEach(post)
                inFlight[inFlight.count - 1].answers = []
            }
        #endif
        status.leases = executor.leases.count
        try perform(effects)
        return true
    }

    /// Fails, once each, the requests of a void batch and whoever else was to be answered with it.
    private func failBatch(
        _ requests: ArraySlice<ReplicaRequest>, _ answers: [Batch.Answer], _ reason: EtcdError
    ) {
        var told = Set<RequestOrigin>()
        for origin in requests.map(\.origin) + answers.map(\.origin)
        where told.insert(origin).inserted {
            fail(origin, reason)
        }
        background.compactionWaiters.removeAll { told.contains($0.origin) }
    }

    /// Cuts the tip back to the last proposal, with a new writer on it.
    private func renewTip() throws(StorageError) {
        // Else a loop could renew a lease between here and the new clock, and the answer would be wrong.
        tip?.executor.leases.settleAll()
        let leases = tip?.executor.leases
        tip = nil
        pages.discard(after: pages.tipState.index)
        _ = try openTipUnlessDamaged(keeping: leases)
    }

    /// Throws away a batch whose transaction failed; its requests fail, and the writer begins anew.
    private func abandonBatch(
        _ requests: ArraySlice<ReplicaRequest>, _ answers: [Batch.Answer],
        after failure: RequestFailure
    ) throws(StorageError) {
        guard case .store(let error) = failure else {
            preconditionFailure("a refused request got out of its batch: \(failure)")
        }
        output.report(.requestFailed(error))
        status.countFailedProposals(requests.count)
        lookForDamage()
        let reason: EtcdError =
            switch error {
            case .busy: .tooManyRequests
            case .disk(.full): .noSpace
            default: .corrupt
            }
        failBatch(requests, answers, reason)
        try renewTip()
    }

    /// Opens a writer on the tip; false if a damaged page is in the way.
    ///
    /// Such a member leads without carrying out anything until another takes over, or it is mended.
    func openTipUnlessDamaged(keeping leases: LeaseClock? = nil) throws(StorageError) -> Bool {
        do throws(StorageError) {
            try openTip(keeping: leases)
            return true
        } catch {
            lookForDamage()
            guard damage != nil else { throw error }
            tip = nil
            return false
        }
    }

    /// Opens a writer on the tip.
    ///
    /// - Parameter leases: deadlines to go on with, where this member led before.
    func openTip(keeping leases: LeaseClock? = nil) throws(StorageError) {
        let connection = try pages.openWriter()
        if try !Schema.isCurrent(on: connection) { try bootstrap(connection) }
        let executor = try Executor(
            connection: connection, identity: settings.identity, settings: settings.executor,
            leaseIDs: LeaseIDGenerator(seed: settings.seed &+ node.term.rawValue), now: now,
            leaseGrace: settings.electionTimeoutMilliseconds)
        if let leases { executor.leases.keepDeadlines(of: leases) }
        executor.clusterView = { [unowned self] in clusterView }
        executor.leases.use(status.leaseBoard)
        tip = try Tip(connection: connection, executor: executor)
        status.alarmKinds = executor.alarmKinds
        // A disk that was full when this store was last open may have space now.
        if try executor.meta.value(.diskAlarm) != nil {
            background.diskChanged(isFull: space.isShort)
        }
        background.leading(
            isCompacting: try executor.compactor.isPending(), compacted: executor.compacted,
            now: now)
    }

    // The first leader of a new cluster, or of a new release, makes the tables: they reach everybody as
    // pages.
    private func bootstrap(_ connection: Connection) throws(StorageError) {
        var header = StateHeader(revision: 1, compactedRevision: -1)
        try connection.execute("BEGIN IMMEDIATE")
        if try Schema.exists(on: connection) {
            try Schema.upgrade(on: connection)
            header = pages.tipState.header
        } else {
            try Schema.create(on: connection)
            let meta = try MetaTable(connection: connection)
            try meta.set(.clusterID, to: Int64(bitPattern: settings.identity.clusterID))
            let table = try MemberTable(connection: connection)
            for founder in settings.founders {
                try table.set(founder.id == settings.member.id ? settings.member : founder)
            }
        }
        try connection.execute("COMMIT")
        let payload = try pages.encode(header: header)
        let effects = node.step(.propose([payload]))
        guard case .accepted(let first) = effects.proposal else {
            preconditionFailure("the first proposal was refused: \(effects.proposal as Any)")
        }
        pages.seal(index: first.index.rawValue, term: first.term.rawValue)
        inFlight.append(
            Batch(
                index: first.index.rawValue, term: first.term.rawValue, byteCount: payload.count,
                answers: [], events: [], header: header, changesMembers: true))
        try perform(effects)
    }
}
