// Front+Services.swift: Watch, Lease, Maintenance and health: what is left once a request is decoded.
// Belongs here: short handlers. Never here: the hub of watches, long reads.
// Source: etcd semantics W, L3, M1, M5, M7-M9, G16.

internal import Storage
internal import Transport

extension Front {
    // MARK: Watch

    func watch(_ call: any ServiceCall, _ request: WatchRequest) throws(CallFailure) {
        guard let stream = call.held as? WatchStream else {
            preconditionFailure("a watch call without its stream")
        }
        do throws(StorageError) {
            switch request {
            case .none: break
            case .create(let create):
                try watches.create(create, on: stream, refusal: refusal(call, create))
            case .cancel(let cancel): try watches.cancel(cancel.watchID, on: stream)
            case .progress: watches.progress(on: stream)
            }
        } catch {
            context.store.report(error)
            watches.close(stream)
            throw CallFailure(error)
        }
    }

    /// Why a caller may not have a watch; nil if it may.
    ///
    /// What is watched is what is checked: both read the range of the request in the same way (W22).
    private func refusal(_ call: any ServiceCall, _ request: WatchCreateRequest) -> RPCStatus? {
        do throws(CallFailure) {
            try authorize(call) { (access) throws(EtcdError) in
                try access.read(request.range.bounds)
            }
            return nil
        } catch {
            return error.status
        }
    }

    // MARK: Lease

    func keepAlive(
        _ call: any ServiceCall, _ request: LeaseKeepAliveRequest
    ) throws(CallFailure) {
        guard let stream = call.held as? KeepAliveStream else {
            preconditionFailure("a keep-alive call without its stream")
        }
        // Behind one that the replica has to answer, all go there: answers keep the order of requests. So do
        // those that have to be checked against the lease's keys.
        if stream.waiting == 0, try !auth.isEnabled(),
            let ttl = context.status.leaseBoard.renew(request.id, now: context.environment.now)
        {
            let header = context.header(revision: max(1, context.status.revision))
            var writer = ProtoWriter(capacity: Executor.answerBytesExpected)
            writer.leaseKeepAliveResponse(header, id: request.id, ttl: ttl)
            return stream.call.send(writer.take())
        }
        try submit(stream.call, .leaseKeepAlive(request), 0, purpose: .stream(stream))
        stream.waiting += 1
        if stream.waiting == Front.keepAlivesWaitingMax { stream.call.pauseReceiving() }
    }

    /// An answer of a keep-alive stream, in the order of its requests (L3).
    func keptAlive(_ stream: KeepAliveStream, _ bytes: [UInt8]) {
        stream.waiting -= 1
        guard stream.call.isOpen else { return }
        stream.call.send(bytes)
        if stream.waiting < Front.keepAlivesWaitingMax { stream.call.resumeReceiving() }
        if stream.isHalfClosed, stream.waiting == 0 { stream.call.finish(.ok) }
    }

    /// Keep-alives of one stream that may wait for their answer; then flow control holds the client back.
    private static let keepAlivesWaitingMax = 1000

    // MARK: Maintenance

    func status(_ call: any ServiceCall) throws(CallFailure) {
        let (alarms, revision) = try reading { (reader, state) throws(StorageError) in
            (try AlarmTable(connection: reader.connection).all(), state.revision)
        }
        var response = StatusResponse(header: context.header(revision: revision))
        response.version = context.limits.version
        response.dbSize = context.status.totalBytes
        response.dbSizeInUse = context.status.bytesInUse
        response.leader = context.status.leader
        response.raftIndex = context.status.committed
        response.raftAppliedIndex = context.status.applied
        response.raftTerm = context.status.term
        response.isLearner = context.status.isLearner
        response.storageVersion = Product.storageVersion
        response.dbSizeQuota = context.limits.quotaBytes ?? 0
        response.downgradeInfo = StatusResponse.DowngradeInfo()
        if response.leader == 0 { response.errors.append(EtcdError.noLeader.rawValue) }
        response.errors += alarms.map { "memberID:\($0.member) alarm:\(Front.alarmName($0.kind)) " }
        var writer = ProtoWriter()
        writer.statusResponse(response)
        answer(call, writer.take())
    }

    static func alarmName(_ kind: Int32) -> String {
        switch AlarmType(rawValue: kind) {
        case .noSpace: "NOSPACE"
        case .corrupt: "CORRUPT"
        default: "UNKNOWN"
        }
    }

    /// A hash that equal files, and only they, have in common (M7): that of all pages.
    func hash(_ call: any ServiceCall) throws(CallFailure) {
        let hash = context.status.databaseHash
        var writer = ProtoWriter()
        writer.hashResponse(
            context.header(revision: context.status.revision),
            hash: UInt32(truncatingIfNeeded: hash ^ hash >> 32))
        answer(call, writer.take())
    }

    func hashKV(_ call: any ServiceCall, _ request: HashKVRequest) throws(CallFailure) {
        let read = LongRead(call: call, work: .hash(request))
        call.held = read
        try begin(read)
    }

    func snapshot(_ call: any ServiceCall) throws(CallFailure) {
        let read = LongRead(call: call, work: .snapshot)
        call.held = read
        try begin(read)
    }

    /// Moves leadership to another member; the answer comes when that one leads (M9).
    func moveLeader(
        _ call: any ServiceCall, _ request: MoveLeaderRequest
    ) throws(CallFailure) {
        guard context.status.leader == context.identity.memberID else {
            throw CallFailure(.notLeader)
        }
        try submit(call, .moveLeader(to: request.targetID), 0)
    }

    /// Says why the cluster cannot be made an older version's (M10).
    ///
    /// There is no older version of this server, and etcd cannot read its data: no target is valid.
    func downgrade(_ request: DowngradeRequest) throws(CallFailure) {
        switch request.action {
        case .validate, .enable:
            let numbers = request.version.split(separator: ".", omittingEmptySubsequences: false)
            let isVersion =
                (2...3).contains(numbers.count)
                && numbers.allSatisfy { !$0.isEmpty && UInt32($0) != nil }
            throw CallFailure(isVersion ? .invalidDowngradeVersion : .wrongDowngradeVersionFormat)
        case .cancel: throw CallFailure(.noDowngradeInProgress)
        default: throw CallFailure(.unknownMethod)
        }
    }

    // MARK: health

    /// How all services are: there is one entry, the server's.
    func healthList(_ call: any ServiceCall) {
        var writer = ProtoWriter()
        writer.healthListResponse([("", .serving)])
        answer(call, writer.take())
    }

    func healthCheck(
        _ call: any ServiceCall, _ request: HealthCheckRequest
    ) throws(CallFailure) {
        guard request.service.isEmpty else { throw CallFailure(.unknownHealthService) }
        var writer = ProtoWriter()
        writer.healthCheckResponse(.serving)
        answer(call, writer.take())
    }

    /// Says how a service is and stays open: as long as this process answers, that does not change.
    func healthWatch(
        _ call: any ServiceCall, _ request: HealthCheckRequest
    ) throws(CallFailure) {
        var writer = ProtoWriter()
        writer.healthCheckResponse(request.service.isEmpty ? .serving : .serviceUnknown)
        call.send(writer.take())
    }
}

/// What this server says it is.
enum Product {
    /// The release of Martlet.
    static let version = "0.1.0"
    /// The release of etcd whose behaviour clients find: they decide by it what they may use.
    static let etcdVersion = "3.6.5"
    /// The cluster version that goes with it.
    static let clusterVersion = "3.6.0"
    /// The storage version that goes with it.
    static let storageVersion = "3.6.0"
}
