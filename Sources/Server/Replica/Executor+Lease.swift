// Executor+Lease.swift: granting, revoking and writing down leases.
// Belongs here: what goes through the log. Never here: keep-alives and expiry (Replica+Lease.swift).
// Source: etcd semantics L1, L2, L11.

internal import Storage

extension Executor {
    /// The greatest time to live a client may ask for, in seconds (L1).
    static let leaseTTLMax: Int64 = 9_000_000_000

    func grant(_ request: LeaseGrantRequest) throws(RequestFailure) -> [UInt8] {
        guard request.ttl <= Self.leaseTTLMax else { throw .refused(.leaseTTLTooLarge) }
        guard request.id == 0 || leases[request.id] == nil else { throw .refused(.leaseExists) }
        try admit(cost: 64)
        var id = request.id
        while id == 0 || request.id == 0 && leases[id] != nil { id = leaseIDs.next() }
        let ttl = max(request.ttl, settings.minimumLeaseTTL)
        try storing { () throws(StorageError) in
            try leaseTable.set(LeaseRow(id: id, timeToLive: ttl, remaining: ttl))
        }
        leases.insert(
            Lease(
                id: id, timeToLive: ttl, deadline: now.advanced(milliseconds: UInt64(ttl) * 1000),
                checkpointed: ttl))
        #if SIMULATION
            if ServerBug.leaseHalved.isPlanted {
                leases.insert(
                    Lease(
                        id: id, timeToLive: ttl,
                        deadline: now.advanced(milliseconds: UInt64(ttl) * 500), checkpointed: ttl))
            }
        #endif
        var writer = ProtoWriter()
        writer.leaseGrantResponse(header(revision: keys.revision), id: id, ttl: ttl)
        return writer.take()
    }

    func revoke(_ request: LeaseRevokeRequest) throws(RequestFailure) -> [UInt8] {
        try refuseIfCorrupt()
        guard leases[request.id] != nil else { throw .refused(.leaseNotFound) }
        try revoke(id: request.id)
        var writer = ProtoWriter()
        writer.leaseRevokeResponse(header(revision: visibleRevision))
        return writer.take()
    }

    /// Removes a lease with its keys, in one revision (L2).
    private func revoke(id: Int64) throws(RequestFailure) {
        let attached = try storing { () throws(StorageError) -> [(Bytes, KeyRecord)] in
            var attached: [(Bytes, KeyRecord)] = []
            try keys.reader.forEachKey(ofLease: id) { key, record in
                attached.append((Bytes(Array(key)), record))
            }
            return attached
        }
        guard attached.count <= ReplicaLimits.leaseKeysPerBatchMax else {
            throw .refused(.requestTooLarge)
        }
        try storing { () throws(StorageError) in
            #if SIMULATION
                if ServerBug.leaseKeysForgotten.isPlanted { return try leaseTable.remove(id) }
            #endif
            for (key, record) in attached { try delete(key, record) }
            try leaseTable.remove(id)
        }
        leases.remove(id)
    }

    /// Revokes a lease whose time is over; gone already is no error.
    ///
    /// More keys than one revision can delete go in several, the lease with the last of them.
    func expire(_ id: Int64) throws(RequestFailure) {
        defer { keys.finishRequest() }
        guard leases[id] != nil else { return }
        do throws(RequestFailure) {
            try revoke(id: id)
        } catch .refused(.requestTooLarge) {
            try deleteSomeKeys(ofLease: id)
            leases.retry([id], at: now)
        }
    }

    private func deleteSomeKeys(ofLease id: Int64) throws(RequestFailure) {
        try storing { () throws(StorageError) in
            var some: [(Bytes, KeyRecord)] = []
            try keys.reader.forEachKey(ofLease: id) { key, record in
                if some.count < ReplicaLimits.leaseKeysPerBatchMax {
                    some.append((Bytes(Array(key)), record))
                }
            }
            for (key, record) in some { try delete(key, record) }
        }
    }

    /// Writes down what is left of a lease, so that a new leader does not start it anew (L11).
    func checkpoint(_ id: Int64, remaining: Int64) throws(RequestFailure) {
        guard let lease = leases[id] else { return }
        try storing { () throws(StorageError) in
            try leaseTable.set(
                LeaseRow(id: id, timeToLive: lease.timeToLive, remaining: remaining))
        }
        leases.checkpoint(id, remaining: remaining)
    }
}
