// Replica+Lease.swift: questions about leases that the leader answers from memory.
// Belongs here: keep-alive, time to live, list. Never here: what is logged (Executor+Lease.swift).
// Source: etcd semantics L3-L5, L9.

internal import Storage

extension Replica {
    func answerLeaseQuestion(_ request: ReplicaRequest) {
        guard let tip else { return fail(request.ticket, .noLeader) }
        let executor = tip.executor
        let header = executor.header(revision: publishedRevision)
        var writer = ProtoWriter(capacity: Executor.answerBytesExpected)
        switch request.body {
        case .leaseKeepAlive(let question):
            let lease = executor.leases.renew(question.id, now: now)
            if let lease, lease.checkpointed < lease.timeToLive {
                background.checkpointSoon(lease.id)
            }
            writer.leaseKeepAliveResponse(header, id: question.id, ttl: lease?.timeToLive ?? 0)
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
        answer([Batch.Answer(ticket: request.ticket, content: .message(writer.take()))])
    }

    /// Answers once everything on the tip is agreed: the answers may rest on it.
    func answer(_ answers: [Batch.Answer]) {
        guard inFlight.isEmpty else {
            inFlight[inFlight.count - 1].answers += answers
            return
        }
        answers.forEach(post)
    }
}

extension LeaseClock {
    /// Takes over the deadlines of leases that both know.
    mutating func keepDeadlines(of former: LeaseClock) {
        for lease in bySoonestExpiry() {
            if let old = former[lease.id] { insert(old) }
        }
    }
}
