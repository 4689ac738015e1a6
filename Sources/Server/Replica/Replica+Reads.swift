// Replica+Reads.swift: asking Raft for read indexes, and letting reads go.
// Belongs here: when to ask. Never here: who waits for what (ReadRequests.swift), reading itself (API/).
// Source: etcd semantics G7; thesis §6.4: a fresh context for each round and each retry.

internal import Raft
internal import Storage

extension Replica {
    /// Asks once a turn for all reads that came, as soon as a leader is known.
    func askReads() throws(StorageError) {
        reads.giveUp(
            askedBefore: Tick(
                milliseconds: now.milliseconds
                    - min(now.milliseconds, ReplicaLimits.readRetryMilliseconds)))
        if reads.takeHurry(now: now) { try perform(node.step(.hurryReads)) }
        guard node.leader != nil else { return }
        let count = reads.waitingCount
        guard let context = reads.ask(now: now) else { return }
        let mayWait = tip != nil && reads.mayRelyOnQuestions(count: count, now: now)
        if mayWait { reads.waitForQuestions(now: now) }
        try perform(node.step(.readIndex(context, mayWait: mayWait)))
    }

    func noteReads(_ effects: Effects) {
        for read in effects.readStates {
            reads.resolve(read.context, index: read.index.rawValue, now: now)
        }
        for context in effects.readsFailed {
            reads.failed(context, pause: now.advanced(milliseconds: settings.tickMilliseconds))
        }
        releaseReads()
    }

    func releaseReads() {
        for waiter in reads.release(applied: status.applied) {
            switch waiter {
            case .answer(let answer, _): post(answer)
            case .reader(.call(let ticket)): output.post(.readable(ticket), to: Int(ticket.loop))
            case .reader(.replica): output.report(.readable)
            case .reader(let origin): preconditionFailure("\(origin) reads nothing here")
            }
        }
    }
}
