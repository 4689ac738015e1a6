// KeyAccess.swift: which keys a request reads and writes, against what its caller may.
// Belongs here: one function for each kind of request. Never here: who the caller is (AuthState.swift).
// Source: etcd semantics T12, A7, A8, W22. Every key is asked for in the one reading of range_end that the request
// itself is carried out with (KeyBounds).

/// What a caller may do with keys.
struct KeyAccess {
    private let grant: AuthState.Grant

    init(_ grant: AuthState.Grant) {
        self.grant = grant
    }

    /// Everything.
    var isRoot: Bool { grant.isRoot }

    func read(_ bounds: KeyBounds) throws(EtcdError) {
        guard grant.isRoot || grant.readable.covers(bounds) else { throw .permissionDenied }
    }

    func write(_ bounds: KeyBounds) throws(EtcdError) {
        guard grant.isRoot || grant.writable.covers(bounds) else { throw .permissionDenied }
    }

    func check(_ request: RangeRequest) throws(EtcdError) {
        try read(request.bounds)
    }

    /// - Parameter writeKeys: checks that all keys of a lease may be written.
    func check(
        _ request: PutRequest, lease writeKeys: (Int64) throws(RequestFailure) -> Void
    ) throws(RequestFailure) {
        let bounds = KeyBounds(start: request.key, end: .single)
        try refusing { () throws(EtcdError) in
            try write(bounds)
            // The answer, or what is stored, shows the former value.
            if request.prevKV { try read(bounds) }
        }
        // Who can end a lease deletes all its keys: so a key goes only to leases the caller may end.
        if request.lease != 0, !grant.isRoot { try writeKeys(request.lease) }
    }

    func check(_ request: DeleteRangeRequest) throws(EtcdError) {
        try write(request.bounds)
        if request.prevKV { try read(request.bounds) }
    }

    /// Checks a transaction that holds only ranges (T4).
    func checkReads(_ txn: TxnRequest) throws(EtcdError) {
        for compare in txn.compare {
            try read(KeyBounds(key: compare.key, rangeEnd: compare.rangeEnd))
        }
        for operation in txn.success + txn.failure {
            guard case .range(let request) = operation else { throw .permissionDenied }
            try check(request)
        }
    }

    /// Checks both lists, also the one that will not be taken, and everything nested.
    func check(
        _ txn: TxnRequest, lease writeKeys: (Int64) throws(RequestFailure) -> Void
    ) throws(RequestFailure) {
        for compare in txn.compare {
            try refusing { () throws(EtcdError) in
                try read(KeyBounds(key: compare.key, rangeEnd: compare.rangeEnd))
            }
        }
        for operation in txn.success + txn.failure {
            switch operation {
            case .range(let request):
                try refusing { () throws(EtcdError) in try check(request) }
            case .put(let request): try check(request, lease: writeKeys)
            case .deleteRange(let request):
                try refusing { () throws(EtcdError) in try check(request) }
            case .txn(let nested):
                #if SIMULATION
                    if ServerBug.nestedTxnUnchecked.isPlanted { continue }
                #endif
                try check(nested, lease: writeKeys)
            case .none: throw .refused(.keyNotFound)
            }
        }
    }
}

/// Runs a check under the typed errors of requests.
func refusing<Result>(
    _ check: () throws(EtcdError) -> Result
) throws(RequestFailure) -> Result {
    do throws(EtcdError) {
        return try check()
    } catch {
        throw .refused(error)
    }
}
