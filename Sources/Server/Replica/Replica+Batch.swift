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
        let ticket: CallTicket
        let content: Content

        enum Content {
            case message([UInt8])
            case failure(EtcdError)
        }
    }

    let index: UInt64
    /// The entry's size.
    let byteCount: Int
    var answers: [Answer]
    let events: [ChangeEvent]
    let header: StateHeader
    let alarmKinds: UInt8
}

extension Replica {
    /// Carries out what waits, as far as the window of uncommitted batches allows.
    func runBatches() throws(StorageError) {
        let window =
            status.readsLocally
            ? ReplicaLimits.batchesInFlightAloneMax : ReplicaLimits.batchesInFlightMax
        while inFlight.count < window,
            inFlight.reduce(0, { $0 + $1.byteCount }) < ReplicaLimits.bytesInFlightMax, let tip
        {
            let chunk = takeChunk()
            let room = log.space
            guard !room.isFull || room.preparedBytes >= ReplicaLimits.preparedBytesMin else {
                // Even what frees space has to be written down first: there is no room left for that.
                for request in chunk { fail(request.ticket, .noSpace) }
                return
            }
            let due = background.takeDue(now: now, executor: tip.executor)
            guard !chunk.isEmpty || !due.isEmpty else { return }
            try runBatch(chunk, due, on: tip)
        }
    }

    private func takeChunk() -> ArraySlice<ReplicaRequest> {
        var end = backlogStart
        var bytes = 0
        let last = min(backlog.count, backlogStart + ReplicaLimits.requestsPerBatchMax)
        while end < last, bytes < ReplicaLimits.bytesPerBatchMax {
            bytes += backlog[end].byteCount
            end += 1
        }
        defer {
            backlogStart = end
            if backlogStart == backlog.count {
                backlog.removeAll(keepingCapacity: true)
                backlogStart = 0
            }
        }
        return backlog[backlogStart..<end]
    }

    private func runBatch(
        _ requests: ArraySlice<ReplicaRequest>, _ due: DueWork, on tip: Tip
    ) throws(StorageError) {
        let executor = tip.executor
        executor.beginBatch(
            now: now, term: node.term.rawValue, bytesInUse: status.bytesInUse,
            isDiskFull: space.isShort)
        var answers: [Batch.Answer] = []
        answers.reserveCapacity(requests.count)
        let payload: [UInt8]?
        do throws(RequestFailure) {
            try storing { () throws(StorageError) in try tip.begin.run() }
            for request in requests {
                try run(request, on: executor, answers: &answers)
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
            return try abandonBatch(requests, after: error)
        }
        if let payload {
            try propose(payload, answers, from: executor)
        } else {
            answer(answers)
        }
    }

    private func run(
        _ request: ReplicaRequest, on executor: Executor, answers: inout [Batch.Answer]
    ) throws(RequestFailure) {
        do throws(RequestFailure) {
            switch try executor.execute(request.body) {
            case .answer(let bytes):
                answers.append(Batch.Answer(ticket: request.ticket, content: .message(bytes)))
            case .answerWhenCompacted(let bytes):
                background.compactionWaiters.append(
                    Batch.Answer(ticket: request.ticket, content: .message(bytes)))
            }
        } catch .refused(let error) {
            // Whatever was written can't be taken back alone: then nothing of this batch counts.
            guard !executor.hasChangedKeys else {
                throw .store(.busy(what: "a request was refused after it had begun to write"))
            }
            answers.append(Batch.Answer(ticket: request.ticket, content: .failure(error)))
        }
    }

    /// Turns what the batch changed into an entry.
    ///
    /// A batch that changed nothing is an entry too, without content, where others vote: its commit proves
    /// that this member still leads.
    private func propose(
        _ payload: [UInt8], _ answers: [Batch.Answer], from executor: Executor
    ) throws(StorageError) {
        let effects = node.step(.propose([payload]))
        guard case .accepted(let first) = effects.proposal else {
            preconditionFailure(
                "a leader within its window was refused: \(effects.proposal as Any)")
        }
        pages.seal(index: first.index.rawValue, term: first.term.rawValue)
        inFlight.append(
            Batch(
                index: first.index.rawValue, byteCount: payload.count, answers: answers,
                events: executor.takeEvents(),
                header: executor.stateHeader, alarmKinds: executor.alarmKinds))
        status.leases = executor.leases.count
        try perform(effects)
    }

    /// Throws away a batch whose transaction failed; its requests fail, and the writer begins anew.
    private func abandonBatch(
        _ requests: ArraySlice<ReplicaRequest>, after failure: RequestFailure
    ) throws(StorageError) {
        guard case .store(let error) = failure else {
            preconditionFailure("a refused request got out of its batch: \(failure)")
        }
        output.report(.requestFailed(error))
        status.countFailedProposals(requests.count)
        let reason: EtcdError =
            switch error {
            case .busy: .tooManyRequests
            case .disk(.full): .noSpace
            default: .corrupt
            }
        for request in requests { fail(request.ticket, reason) }
        background.compactionWaiters.removeAll { waiter in
            requests.contains { $0.ticket == waiter.ticket }
        }
        let leases = tip?.executor.leases
        tip = nil
        pages.discard(after: pages.tipState.index)
        try openTip(keeping: leases)
    }

    /// Opens a writer on the tip.
    ///
    /// - Parameter leases: deadlines to go on with, where this member led before.
    func openTip(keeping leases: LeaseClock? = nil) throws(StorageError) {
        let connection = try pages.openWriter()
        if try !Schema.exists(on: connection) { try bootstrap(connection) }
        let executor = try Executor(
            connection: connection, identity: settings.identity, settings: settings.executor,
            leaseIDs: LeaseIDGenerator(seed: settings.seed &+ node.term.rawValue), now: now,
            leaseGrace: settings.electionTimeoutMilliseconds)
        if let leases { executor.leases.keepDeadlines(of: leases) }
        tip = try Tip(connection: connection, executor: executor)
        // A disk that was full when this store was last open may have space now.
        if try executor.meta.value(.diskAlarm) != nil {
            background.diskChanged(isFull: space.isShort)
        }
        background.leading(
            isCompacting: try executor.compactor.isPending(), compacted: executor.compacted,
            now: now)
    }

    // The first leader of a new cluster makes the tables: they reach everybody as pages.
    private func bootstrap(_ connection: Connection) throws(StorageError) {
        try connection.execute("BEGIN IMMEDIATE")
        try Schema.create(on: connection)
        let meta = try MetaTable(connection: connection)
        try meta.set(.clusterID, to: Int64(bitPattern: settings.identity.clusterID))
        try MemberTable(connection: connection).set(settings.member)
        try connection.execute("COMMIT")
        let header = StateHeader(revision: 1, compactedRevision: -1)
        let payload = try pages.encode(header: header)
        let effects = node.step(.propose([payload]))
        guard case .accepted(let first) = effects.proposal else {
            preconditionFailure("the first proposal was refused: \(effects.proposal as Any)")
        }
        pages.seal(index: first.index.rawValue, term: first.term.rawValue)
        inFlight.append(
            Batch(
                index: first.index.rawValue, byteCount: payload.count, answers: [], events: [],
                header: header,
                alarmKinds: 0))
        try perform(effects)
    }
}
