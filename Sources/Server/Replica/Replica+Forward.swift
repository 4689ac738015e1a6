// Replica+Forward.swift: requests that the leader carries out for the other members.
// Belongs here: both sides of forwarding. Never here: connections and bytes (Runtime/, Cluster/).
// Source: design section 3, steps 2 and 6; etcd semantics G7, G8, G20.
//
//   follower: backlog --(leader known)--> sent --answer--> ahead --(applied)--> call
//                ^                         |  \--connection lost--> call fails: nobody knows
//                '------- not taken -------'
//
// A request whose fate is unknown is never sent again: it may have been carried out.

internal import Raft
internal import Storage

extension Replica {
    /// Passes on what waits, if there is somebody who leads.
    func forwardBacklog() {
        guard !backlog.isEmpty, let leader = node.leader, leader != node.id,
            now >= forwards.pausedUntil, forwards.maySend(now: now)
        else { return dropExpired() }
        var requests: [ForwardedRequest] = []
        func send(_ request: ReplicaRequest) {
            guard request.expires > now else { return drop(request) }
            var request = request
            request.sent = SenderState(term: node.term.rawValue)
            var forwarded = forwards.add(request, leader: leader.rawValue)
            forwarded.sent = SenderState(
                term: node.term.rawValue, round: requests.isEmpty ? forwards.roundToTell(node) : 0)
            requests.append(forwarded)
        }
        while let next = backlog.first, forwards.admits(next) {
            _ = backlog.popFirst()
            send(next)
        }
        // The others are held up by those before them: what keeps the cluster alive passes.
        if backlog.vitalCount > 0 {
            _ = backlog.takeVital { next in
                guard forwards.admits(next) else { return false }
                send(next)
                return true
            }
        }
        guard !requests.isEmpty else { return }
        forwards.endFrame(now: now)
        output.forward(requests, to: leader.rawValue)
    }

    private func dropExpired() {
        while let next = backlog.first, next.expires <= now {
            _ = backlog.popFirst()
            drop(next)
        }
    }

    /// Gives up a request whose time is over: a call has been told so by its loop, nobody else has.
    private func drop(_ request: ReplicaRequest) {
        if case .call = request.origin { return }
        fail(request.origin, .timeout)
    }

    /// Requests could not be sent at all; they wait for another attempt.
    func forwardRefused(_ sequences: [UInt64]) {
        for sequence in sequences {
            if let request = forwards.take(sequence) { takeBack(request) }
        }
    }

    /// The connection on which requests went to a member broke: nobody knows what became of them.
    func forwardLost(to member: UInt64) {
        #if SIMULATION
            if ServerBug.forwardedTwice.isPlanted {
                return backlog.append(contentsOf: forwards.takeAll(sentTo: member))
            }
        #endif
        for request in forwards.takeAll(sentTo: member) {
            fail(request.origin, .timeoutConnectionLost)
        }
    }

    /// A connection for requests to a member stands.
    func forwardReady() {
        forwards.pausedUntil = now
    }

    /// The leader has answered.
    func answered(_ answer: ForwardedAnswer) {
        guard let request = forwards.take(answer.sequence) else { return }
        if answer.sent.round > 0 {
            guarded { () throws(StorageError) in
                try perform(
                    node.step(
                        .heard(ReadRound(answer.sent.round), in: Term(answer.sent.term))))
            }
        }
        if case .notTaken = answer.content { return takeBack(request) }
        // By its term the request proved that the leader led when it was sent. If this member is in another one by
        // now, the next leader may have ended the lease before the answer came.
        guard !request.body.isLeaseQuestion || request.sent.term == node.term.rawValue else {
            return fail(request.origin, .leaderChanged)
        }
        if answer.index <= status.applied {
            deliver(answer.content, to: request.origin)
        } else {
            forwards.hold(answer, for: request.origin)
        }
    }

    private func takeBack(_ request: ReplicaRequest) {
        if tip != nil { accept(request) } else { backlog.append(request) }
        forwards.pausedUntil = now.advanced(milliseconds: settings.tickMilliseconds)
    }

    /// Gives answers whose index is applied by now.
    func releaseForwarded() {
        for (answer, origin) in forwards.release(applied: status.applied) {
            deliver(answer.content, to: origin)
        }
    }

    // MARK: the leader's side

    /// Takes what a member was at when it passed a request on for an acknowledgement.
    func acknowledged(by member: UInt64, _ sent: SenderState) {
        guard sent.term == node.term.rawValue else { return }
        reads.asked(now: now)
        guard sent.round > 0 else { return }
        received(
            Message(
                from: MemberID(member), to: node.id, term: Term(sent.term),
                body: .heartbeatAnswer(round: ReadRound(sent.round))))
    }

    /// What an answer to another member tells of this one.
    var senderState: SenderState {
        let round = node.quietRound
        return round == .zero
            ? SenderState() : SenderState(term: node.term.rawValue, round: round.rawValue)
    }

    /// Whether a request that came by another member proves that this one leads.
    func isConfirmed(by request: ReplicaRequest) -> Bool {
        guard case .member(let member, _) = request.origin else { return false }
        return node.isConfirmed(by: MemberID(member), sentIn: Term(request.sent.term))
    }

    /// Sends a member's request back: this member does not lead.
    func refuse(_ origin: RequestOrigin) {
        deliver(.notTaken, to: origin)
    }

    /// Takes what waited for a leader as if it came now, for this member has become it.
    func acceptBacklog() {
        for request in backlog.takeAll() {
            if request.expires > now { accept(request) } else { drop(request) }
        }
    }

    /// Sends back what other members had asked for and was not begun; the rest waits for a leader.
    func refuseForwardedBacklog() {
        var kept: [ReplicaRequest] = []
        let limit = now.advanced(milliseconds: settings.requestTimeoutMilliseconds)
        for var request in backlog.takeAll() {
            request.expires = min(request.expires, limit)
            if case .member = request.origin {
                refuse(request.origin)
            } else {
                kept.append(request)
            }
        }
        backlog.fill(with: kept)
    }
}
