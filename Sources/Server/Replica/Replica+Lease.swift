// Replica+Lease.swift: questions about leases that the leader answers from memory.
// Belongs here: keep-alive, time to live, list. Never here: what is logged (Executor+Lease.swift).
// Source: etcd semantics L3-L5, L9.

internal import Storage

extension Replica {
    func answerLeaseQuestion(_ request: ReplicaRequest) {
        guard let tip else { return fail(request.origin, .noLeader) }
        let executor = tip.executor
        if executor.auth.isEnabled {
            do throws(RequestFailure) {
                try executor.authorize(request.body, by: request.authority)
            } catch {
                return refuse(request, error)
            }
        }
        executor.answeringMember = member(answering: request.origin)
        let header = executor.header(revision: publishedRevision)
        var writer = ProtoWriter(capacity: Executor.answerBytesExpected)
        switch request.body {
        case .leaseKeepAlive(let question):
            let lease = executor.leases.renew(question.id, now: now)
            // With nothing in flight the lease is committed, and renewing it needs no order of the log.
            if let lease, status.readsLocally, inFlight.isEmpty { executor.leases.share(lease) }
            writer.leaseKeepAliveResponse(header, id: question.id, ttl: lease?.timeToLive ?? 0)
            if let lease, lease.checkpointed < lease.timeToLive {
                // The next leader would go by what was written down: the client may rely on more only
                // once that is (L11).
                let answer = Batch.Answer(
                    origin: request.origin, content: .message(writer.take()))
                return background.checkpointSoon(lease.id, answering: answer)
            }
        case .leaseTimeToLive(let question):
            guard let lease = executor.leases[question.id] else {
                writer.beginLeaseTimeToLiveResponse(header, id: question.id, ttl: -1, grantedTTL: 0)
                break
            }
            let remaining = Int64(lease.deadline.since(now) / 1000)
            writer.beginLeaseTimeToLiveResponse(
                header, id: lease.id, ttl: remaining, grantedTTL: lease.timeToLive)
            guard question.keys else { break }
            guarded { () throws(StorageError) in
                try executor.keys.reader.forEachKey(ofLease: lease.id) { key, _ in
                    writer.appendLeaseKey(key)
                }
            }
        case .leaseLeases:
            writer.leaseLeasesResponse(
                header, ids: executor.leases.bySoonestExpiry().map { $0.id })
        default: preconditionFailure("\(request.body) is no question about leases")
        }
        answer(
            [Batch.Answer(origin: request.origin, content: .message(writer.take()))],
            isConfirmed: isConfirmed(by: request))
    }

    private func refuse(_ request: ReplicaRequest, _ failure: RequestFailure) {
        switch failure {
        case .refused(let reason):
            answer([Batch.Answer(origin: request.origin, content: .failure(reason))])
        case .store(let error): guarded { () throws(StorageError) in throw error }
        }
    }

    /// Answers once everything on the tip is agreed: the answers may rest on it.
    ///
    /// Where others vote a round of heartbeats has to prove that this member still leads: a client must not rely on a
    /// renewal of which the next leader knows nothing (L12). That a batch in flight is agreed proves nothing of the
    /// kind: its acknowledgements may be older than the request.
    ///
    /// - Parameter isConfirmed: the request itself has proven that.
    func answer(_ answers: [Batch.Answer], isConfirmed: Bool = false) {
        guard status.readsLocally || isConfirmed else {
            let last = inFlight.last?.index ?? 0
            for answer in answers { reads.add(.answer(answer, after: last)) }
            return
        }
        guard !inFlight.isEmpty else { return answers.forEach(post) }
        inFlight[inFlight.count - 1].answers += answers
    }
}

extension LeaseClock {
    /// Takes over the deadlines of leases that both know, and nothing else: what `former` noted as written
    /// down, or granted anew, may have been in the batch that is void.
    mutating func keepDeadlines(of former: LeaseClock) {
        for var lease in bySoonestExpiry() {
            guard let old = former[lease.id], old.timeToLive == lease.timeToLive else { continue }
            lease.deadline = old.deadline
            insert(lease)
        }
    }
}
