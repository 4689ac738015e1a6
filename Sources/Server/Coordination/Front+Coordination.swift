// Front+Coordination.swift: the Lock and Election services, but for waiting and observing.
// Belongs here: their short handlers. Never here: the queue (KeyQueue.swift), changes of leaders
// (LeaderObservation.swift).
// Source: etcd semantics X1-X8; errors of the calls made inside are Unknown with the same text.

internal import Transport

extension Front {
    /// Handles a request of either service.
    func coordinate(
        _ call: any ServiceCall, _ method: Method, _ message: [UInt8]
    ) throws(CallFailure) {
        switch method {
        case .lock: lock(call, try decode(message))
        case .unlock: unlock(call, try decode(message))
        case .campaign: campaign(call, try decode(message))
        case .proclaim: try proclaim(call, try decode(message))
        case .leader: leader(call, try decode(message))
        case .observe:
            let request: LeaderRequest = try decode(message)
            let observation = LeaderObservation(self, call, name: request.name)
            call.held = observation
            observation.begin()
        case .resign: try resign(call, try decode(message))
        default: preconditionFailure("\(method) is of another service")
        }
    }

    // MARK: Lock

    private func lock(_ call: any ServiceCall, _ request: LockRequest) {
        let queue = KeyQueue(
            self, call, name: request.name, lease: request.lease, value: Bytes(),
            expired: EtcdError.sessionExpired.rawValue
        ) { [self] place in
            var writer = ProtoWriter()
            writer.lockResponse(place.found, key: place.key)
            answer(call, writer.take())
        }
        call.held = queue
        queue.begin()
    }

    private func unlock(_ call: any ServiceCall, _ request: UnlockRequest) {
        var delete = DeleteRangeRequest()
        delete.key = request.key
        ask(.deleteRange, delete, for: call) { [self] (result: Result<HeaderAnswer, RPCStatus>) in
            answer(call, result) { writer, answer in writer.headerOnlyResponse(answer.header) }
        }
    }

    // MARK: Election

    private func campaign(_ call: any ServiceCall, _ request: CampaignRequest) {
        let queue = KeyQueue(
            self, call, name: request.name, lease: request.lease, value: request.value,
            expired: EtcdError.campaignExpired.rawValue
        ) { [self] place in
            let leader = LeaderKey(
                name: request.name, key: place.key, revision: place.createRevision,
                lease: place.lease)
            guard let former = place.formerValue, former != request.value else {
                return campaigned(call, leader, place.entered)
            }
            // The same lease again, with another value: that is proclaimed (X4).
            propose(call, leader, request.value) { header in
                self.campaigned(call, leader, header)
            }
        }
        call.held = queue
        queue.begin()
    }

    private func campaigned(
        _ call: any ServiceCall, _ leader: LeaderKey, _ header: ResponseHeader
    ) {
        var writer = ProtoWriter()
        writer.campaignResponse(header, leader: leader)
        answer(call, writer.take())
    }

    private func proclaim(
        _ call: any ServiceCall, _ request: ProclaimRequest
    ) throws(CallFailure) {
        guard let leader = request.leader else { throw CallFailure(.leaderFieldMissing) }
        propose(call, leader, request.value) { [self] header in
            var writer = ProtoWriter()
            writer.headerOnlyResponse(header)
            answer(call, writer.take())
        }
    }

    /// Puts a leader's value if it still leads (X5).
    private func propose(
        _ call: any ServiceCall, _ leader: LeaderKey, _ value: Bytes,
        _ then: @escaping (ResponseHeader) -> Void
    ) {
        var put = PutRequest()
        put.key = leader.key
        put.value = value
        put.lease = leader.lease
        var request = TxnRequest()
        request.compare = [KeyQueue.compare(leader.key, createRevision: leader.revision)]
        request.success = [.put(put)]
        ask(.txn, request, for: call) { (result: Result<TxnAnswer, RPCStatus>) in
            guard call.isOpen else { return }
            switch result {
            case .success(let answer) where answer.succeeded: then(answer.header)
            case .success: call.finish(EtcdError.electionNotLeader.status)
            case .failure(let status): call.finish(RPCStatus(.unknown, status.message))
            }
        }
    }

    private func leader(_ call: any ServiceCall, _ request: LeaderRequest) {
        let prefix = Bytes(request.name.array + [UInt8(ascii: "/")])
        ask(.range, KeyQueue.oldest(under: prefix), for: call) {
            [self] (result: Result<RangeAnswer, RPCStatus>) in
            if case .success(let found) = result, found.kvs.isEmpty {
                if call.isOpen { call.finish(EtcdError.electionNoLeader.status) }
                return
            }
            answer(call, result) { writer, answer in
                writer.leaderResponse(answer.header, answer.kvs[0])
            }
        }
    }

    private func resign(_ call: any ServiceCall, _ request: ResignRequest) throws(CallFailure) {
        guard let leader = request.leader else { throw CallFailure(.leaderFieldMissing) }
        let deletion = KeyQueue.deletion(of: leader.key, leader.revision)
        ask(.txn, deletion, for: call) { [self] (result: Result<HeaderAnswer, RPCStatus>) in
            answer(call, result) { writer, answer in writer.headerOnlyResponse(answer.header) }
        }
    }

    /// Ends a call with what came of the one made inside.
    private func answer<Answer>(
        _ call: any ServiceCall, _ result: Result<Answer, RPCStatus>,
        _ write: (inout ProtoWriter, Answer) -> Void
    ) {
        guard call.isOpen else { return }
        switch result {
        case .success(let found):
            var writer = ProtoWriter()
            write(&writer, found)
            answer(call, writer.take())
        case .failure(let status): call.finish(RPCStatus(.unknown, status.message))
        }
    }
}
