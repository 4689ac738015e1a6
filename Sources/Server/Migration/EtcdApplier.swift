// EtcdApplier.swift: carries out a request of etcd's log, or refuses it, as etcd did when it applied it.
// Belongs here: etcd's rules at that moment where they are not ours, and where its releases differ. Never here: what
// a request does (Replica/), the order of requests (EtcdReplay.swift).
// Source: the code that applies requests in etcd 3.4 to 3.6, and its advisories: GHSA-rfx7-8w68-q57q (nested
// transactions are checked since 3.4.42, 3.5.28, 3.6.9) and GHSA-x35m-3gp4-4fh5 (the lease and prev_kv of a put in a
// transaction since 3.4.44, 3.5.30, 3.6.11). A log does not say which release applied it.

internal import Storage

/// What became of a request of etcd's log.
enum EtcdOutcome: Equatable {
    /// It is carried out.
    case applied
    /// Every release of etcd refused it as well, and nothing was changed.
    case refused
    /// The log does not tell what etcd made of it, or it can't be done here. The store may have been changed by it.
    case stopped(reason: String)
}

/// Carries out requests that etcd has applied.
struct EtcdApplier {
    let executor: Executor

    /// What etcd's releases have in common about a request's permission.
    private enum Permission { case granted, denied, varying }

    /// Carries out one request.
    ///
    /// - Throws: `store` only.
    func apply(
        _ body: ReplicaRequest.Body, by authority: Authority
    ) throws(RequestFailure) -> EtcdOutcome {
        let permission = try permission(body, authority)
        guard permission != .denied else { return .refused }
        if let doubt = doubt(about: body) { return .stopped(reason: doubt) }
        do throws(RequestFailure) {
            _ = try executor.execute(body, by: .member)
        } catch {
            guard case .refused(let refusal) = error else { throw error }
            return outcome(of: refusal, body)
        }
        guard permission == .varying, !isWithoutEffect(body) else { return .applied }
        return .stopped(reason: "releases of etcd differ in whether its user may do that")
    }

    // MARK: permissions

    private func permission(
        _ body: ReplicaRequest.Body, _ authority: Authority
    ) throws(RequestFailure) -> Permission {
        guard executor.auth.isEnabled else { return .granted }
        if case .member = authority { return .granted }
        let newest = try passes { () throws(RequestFailure) in
            try checkAsNewest(body, authority)
        }
        let oldest = try passes { () throws(RequestFailure) in
            // Up to 3.5 nothing is checked from the moment an alarm is raised to its end, or to etcd's next start.
            if executor.alarms.isEmpty { try checkAsOldest(body, authority) }
        }
        guard newest == oldest else { return .varying }
        return newest ? .granted : .denied
    }

    private func passes(
        _ check: () throws(RequestFailure) -> Void
    ) throws(RequestFailure) -> Bool {
        do throws(RequestFailure) {
            try check()
            return true
        } catch {
            guard case .refused = error else { throw error }
            return false
        }
    }

    /// Ours are the rules of the newest releases, but for what they ask about leases and empty ranges.
    private func checkAsNewest(
        _ body: ReplicaRequest.Body, _ authority: Authority
    ) throws(RequestFailure) {
        if case .leaseRevoke(let request) = body {
            let isRoot = try passes { () throws(RequestFailure) in
                try refusing { () throws(EtcdError) in
                    try executor.auth.checkRoot(authority.caller)
                }
            }
            if isRoot { return }
            return try checkKeys(ofLease: request.id, authority)
        }
        try executor.authorize(body, by: authority)
        // etcd looks such a range up in a tree of permissions, and does not find it in some that have its keys.
        guard body.namesEmptyRange else { return }
        try refusing { () throws(EtcdError) in
            let grant = try executor.auth.checkUserOfNow(authority.caller)
            guard grant.isRoot else { throw .permissionDenied }
        }
    }

    /// The rules of the releases that check least.
    private func checkAsOldest(
        _ body: ReplicaRequest.Body, _ authority: Authority
    ) throws(RequestFailure) {
        switch body {
        case .leaseRevoke(let request): try checkKeys(ofLease: request.id, authority)
        case .txn(let request):
            try refusing { () throws(EtcdError) in try checkAsOldest(request, authority) }
        default: try executor.authorize(body, by: authority)
        }
    }

    /// Checks the keys of what is not nested.
    private func checkAsOldest(_ txn: TxnRequest, _ authority: Authority) throws(EtcdError) {
        for compare in txn.compare {
            try access(authority).read(KeyBounds(key: compare.key, rangeEnd: compare.rangeEnd))
        }
        for operation in txn.success + txn.failure {
            switch operation {
            case .range(let request): try access(authority).check(request)
            case .put(let request):
                try access(authority).write(KeyBounds(start: request.key, end: .single))
            case .deleteRange(let request): try access(authority).check(request)
            case .txn, .none: break
            }
        }
    }

    /// Whoever revokes a lease has to write each of its keys; without keys it is anybody's.
    private func checkKeys(
        ofLease id: Int64, _ authority: Authority
    ) throws(RequestFailure) {
        try executor.eachKey(ofLease: id) { (bounds) throws(EtcdError) in
            try access(authority).write(bounds)
        }
    }

    /// What the user may do with keys; asked for with each key, as etcd asks nothing if there is none.
    private func access(_ authority: Authority) throws(EtcdError) -> KeyAccess {
        KeyAccess(try executor.auth.checkUserOfNow(authority.caller))
    }

    // MARK: what the log does not tell

    /// Why the outcome of a change of permissions can't be known.
    private func doubt(about body: ReplicaRequest.Body) -> String? {
        guard case .auth(.grantPermission(let request)) = body, let given = request.permission,
            let role = executor.auth.role(request.role.utf8Bytes)
        else { return nil }
        guard given.namesKeys else {
            return "older releases of etcd grant a permission on no key, newer ones refuse it"
        }
        guard let kind = AuthPermissionRow.Kind(rawValue: Int64(given.kind)) else {
            return "it grants a permission of a kind that is not known here (\(given.kind))"
        }
        // Of several permissions that begin alike, etcd changes the first if it is the one; else it adds another.
        let alike = role.permissions.filter { $0.key == given.key.array }
        let changed = alike.first { $0.rangeEnd == given.rangeEnd.array && $0.kind != kind }
        guard changed != nil, alike.count > 1 else { return nil }
        return "etcd keeps a permission beside one that it changes, if others begin with its key"
    }

    /// What it means that the executor refuses a request that etcd's permissions allow.
    private func outcome(of refusal: EtcdError, _ body: ReplicaRequest.Body) -> EtcdOutcome {
        switch refusal {
        case .requestTooLarge, .tooManyRequests:
            return .stopped(reason: "it is more than Martlet does at once (\(refusal.rawValue))")
        case .noSpace:
            guard case .txn(let txn) = body, !txn.putsItself else { return .refused }
            return .stopped(
                reason: "releases of etcd differ in whether a nested put is refused without space")
        default: return .refused
        }
    }

    /// Whether the last request, which did not fail, left everything as it was.
    private func isWithoutEffect(_ body: ReplicaRequest.Body) -> Bool {
        switch body {
        case .deleteRange, .txn: !executor.hasChangedKeys
        default: false
        }
    }
}

extension TxnRequest {
    /// Whether it has puts that are not nested.
    fileprivate var putsItself: Bool {
        (success + failure).contains {
            if case .put = $0 { true } else { false }
        }
    }

    fileprivate var namesEmptyRange: Bool {
        compare.contains { KeyBounds(key: $0.key, rangeEnd: $0.rangeEnd).isEmpty }
            || (success + failure).contains {
                switch $0 {
                case .range(let request): request.bounds.isEmpty
                case .deleteRange(let request): request.bounds.isEmpty
                case .txn(let nested): nested.namesEmptyRange
                case .put, .none: false
                }
            }
    }
}

extension ReplicaRequest.Body {
    /// Whether a range in it ends before it begins.
    fileprivate var namesEmptyRange: Bool {
        switch self {
        case .deleteRange(let request): request.bounds.isEmpty
        case .txn(let request): request.namesEmptyRange
        default: false
        }
    }
}

extension KeyBounds {
    fileprivate var isEmpty: Bool {
        if case .before(let end) = self.end { return !(start < end) }
        return false
    }
}
