// Executor+Access.swift: whether a request may be carried out, against the tip it is carried out on.
// Belongs here: what the need of its method means for each request. Never here: the needs (Auth/AccessTable.swift).
// Source: etcd semantics A5-A9: etcd checks when it applies, against the auth revision the request was admitted with.

internal import Storage

extension Executor {
    /// Refuses what its caller may not ask for, where calls are checked.
    func authorize(
        _ body: ReplicaRequest.Body, by authority: Authority
    ) throws(RequestFailure) {
        #if SIMULATION
            let isOld = ServerBug.permissionOfOldRevision.isPlanted
            let auth = isOld ? authOfBatch ?? self.auth : self.auth
        #endif
        guard auth.isEnabled, let method = body.method else { return }
        if case .member = authority { return }
        let caller = authority.caller
        switch method.access.need {
        case .nothing: return
        case .user: _ = try refusing { () throws(EtcdError) in try auth.checkUser(caller) }
        // Whatever is asked about is read elsewhere: here only "root" may.
        case .root, .rootOrOwn:
            try refusing { () throws(EtcdError) in try auth.checkRoot(caller) }
        case .alarm: try authorizeAlarm(body, caller)
        case .keys:
            let grant = try refusing { () throws(EtcdError) in
                try body.concernsKeys ? auth.checkUserOfNow(caller) : auth.checkUser(caller)
            }
            try authorize(body, KeyAccess(grant))
        }
    }

    private func authorizeAlarm(
        _ body: ReplicaRequest.Body, _ caller: Caller?
    ) throws(RequestFailure) {
        try refusing { () throws(EtcdError) in
            guard case .alarm(let request) = body, request.action == .get else {
                return try auth.checkRoot(caller)
            }
            _ = try auth.checkUser(caller)
        }
    }

    private func authorize(
        _ body: ReplicaRequest.Body, _ access: KeyAccess
    ) throws(RequestFailure) {
        guard !access.isRoot else { return }
        switch body {
        case .put(let request):
            try access.check(request) { (lease) throws(RequestFailure) in
                try writeKeys(ofLease: lease, access)
            }
        case .deleteRange(let request):
            try refusing { () throws(EtcdError) in try access.check(request) }
        case .txn(let request):
            try access.check(request) { (lease) throws(RequestFailure) in
                try writeKeys(ofLease: lease, access)
            }
        case .leaseRevoke(let request): try writeKeys(ofLease: request.id, access)
        case .leaseKeepAlive(let request): try writeKeys(ofLease: request.id, access)
        case .leaseTimeToLive(let request):
            if request.keys { try readKeys(ofLease: request.id, access) }
        case .leaseLeases:
            for lease in leases.bySoonestExpiry() { try readKeys(ofLease: lease.id, access) }
        // Nothing else has this need.
        default: throw .refused(.permissionDenied)
        }
    }

    private func writeKeys(ofLease id: Int64, _ access: KeyAccess) throws(RequestFailure) {
        try eachKey(ofLease: id) { (bounds) throws(EtcdError) in try access.write(bounds) }
    }

    private func readKeys(ofLease id: Int64, _ access: KeyAccess) throws(RequestFailure) {
        try eachKey(ofLease: id) { (bounds) throws(EtcdError) in try access.read(bounds) }
    }

    /// Checks every key that is attached to a lease.
    func eachKey(
        ofLease id: Int64, _ check: (KeyBounds) throws(EtcdError) -> Void
    ) throws(RequestFailure) {
        var refusal: EtcdError?
        try storing { () throws(StorageError) in
            try keys.reader.forEachKey(ofLease: id) { key, _ in
                guard refusal == nil else { return }
                do throws(EtcdError) {
                    try check(KeyBounds(start: Bytes(Array(key)), end: .single))
                } catch {
                    refusal = error
                }
            }
        }
        if let refusal { throw .refused(refusal) }
    }
}

extension ReplicaRequest.Body {
    /// Whether keys are other ones afterwards, or are told.
    fileprivate var concernsKeys: Bool {
        switch self {
        case .put, .deleteRange, .txn, .leaseRevoke, .leaseLeases: true
        case .leaseTimeToLive(let request): request.keys
        case .compact, .leaseGrant, .leaseKeepAlive, .alarm, .moveLeader, .memberAdd,
            .memberRemove, .memberUpdate, .memberPromote, .publishMember, .memberReplace, .auth,
            .loginUsed, .readIndex, .subscribe:
            false
        }
    }
}
