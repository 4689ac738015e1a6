// ModelStore+Requests.swift: what each call does to the store, and answers.
// Belongs here: etcd's rules, plainly. Never here: time, order, leases' ends (the checkers).
// Source: semantics R1 to R8, P1 to P5, D1 to D3, T1 to T13, L2.

extension ModelStore {
    /// Carries out a call as the next revision; nil, and no change, where it would be refused.
    mutating func perform(_ request: Request) -> ResponseBody? {
        let start = mark
        let body: ResponseBody? =
            switch request {
            case .put(let put): apply(.put(put))
            case .range(let read): apply(.range(read))
            case .deleteRange(let delete): apply(.deleteRange(delete))
            case .txn(let txn): run(txn)
            case .leaseRevoke(let id): revoke(id)
            case .compact: .compact
            case .leaseGrant, .leaseKeepAlive, .leaseTimeToLive: nil
            }
        guard let body else {
            rollBack(to: start)
            return nil
        }
        _ = finish(from: start)
        return body
    }

    /// Removes keys of a lease as the next revision; false if there are none.
    mutating func expire(_ doomed: [Int]) -> Bool {
        let start = mark
        for key in doomed { remove(key) }
        return finish(from: start)
    }

    private mutating func revoke(_ lease: Int64) -> ResponseBody {
        for key in keys(ofLease: lease) { remove(key) }
        return .leaseRevoke
    }

    private mutating func apply(_ step: TxnStep) -> ResponseBody? {
        switch step {
        case .put(let put): write(put)
        case .range(let read): find(read)
        case .deleteRange(let delete): remove(delete)
        case .txn(let txn): run(txn)
        }
    }

    private mutating func run(_ txn: Txn) -> ResponseBody? {
        let succeeded = txn.compares.allSatisfy(holds)
        var answers: [ResponseBody] = []
        for step in succeeded ? txn.success : txn.failure {
            guard let answer = apply(step) else { return nil }
            answers.append(answer)
        }
        return .txn(succeeded: succeeded, answers: answers)
    }

    private mutating func write(_ put: Put) -> ResponseBody? {
        guard let key = keys.number(of: put.key) else { return nil }
        let old = newest(key)
        if put.ignoreValue || put.ignoreLease, old == nil { return nil }
        append(
            key,
            Version(
                modRevision: revision + 1, createRevision: old?.createRevision ?? revision + 1,
                version: (old?.version ?? 0) + 1,
                lease: put.ignoreLease ? old?.lease ?? 0 : put.lease,
                value: put.ignoreValue ? old?.value ?? [] : put.value))
        return .put(previous: put.previous ? old.map { keyValue(key, $0) } : nil)
    }

    private mutating func remove(_ delete: DeleteRange) -> ResponseBody {
        var previous: [KeyValue] = []
        var deleted = 0
        for key in keys.numbers(in: delete.span) {
            guard let old = newest(key) else { continue }
            if delete.previous { previous.append(keyValue(key, old)) }
            deleted += 1
            remove(key)
        }
        return .deleteRange(deleted: deleted, previous: previous)
    }

    private mutating func remove(_ key: Int) {
        append(
            key,
            Version(
                modRevision: revision + 1, createRevision: 0, version: 0, lease: 0, value: []))
    }

    private func find(_ read: RangeRead) -> ResponseBody? {
        guard read.revision <= revision else { return nil }
        var found: [KeyValue] = []
        var count = 0
        for key in keys.numbers(in: read.span) {
            let version = read.revision > 0 ? version(key, at: read.revision) : newest(key)
            guard let version else { continue }
            count += 1
            guard !read.countOnly, read.limit <= 0 || count <= read.limit else { continue }
            var item = keyValue(key, version)
            if read.keysOnly { item.value = [] }
            found.append(item)
        }
        let more = !read.countOnly && read.limit > 0 && count > read.limit
        return .range(RangeAnswer(found, count: count, more: more))
    }

    /// Whether a condition holds before the transaction (T8, T10).
    private func holds(_ compare: Compare) -> Bool {
        var isEmpty = true
        for key in keys.numbers(in: compare.span) {
            guard let found = version(key, at: revision) else { continue }
            isEmpty = false
            guard Self.holds(compare, found) else { return false }
        }
        return isEmpty ? Self.holds(compare, nil) : true
    }

    private static func holds(_ compare: Compare, _ found: Version?) -> Bool {
        func relate<Value: Comparable>(_ stored: Value, _ given: Value) -> Bool {
            switch compare.relation {
            case .equal: stored == given
            case .greater: stored > given
            case .less: stored < given
            case .notEqual: stored != given
            }
        }
        switch compare.operand {
        case .version(let given): return relate(found?.version ?? 0, given)
        case .createRevision(let given): return relate(found?.createRevision ?? 0, given)
        case .modRevision(let given): return relate(found?.modRevision ?? 0, given)
        case .lease(let given): return relate(found?.lease ?? 0, given)
        case .value(let given):
            // On a missing key no comparison of values holds, not even "not equal".
            guard let found else { return false }
            switch compare.relation {
            case .equal: return found.value == given
            case .notEqual: return found.value != given
            case .less: return found.value.lexicographicallyPrecedes(given)
            case .greater: return given.lexicographicallyPrecedes(found.value)
            }
        }
    }
}
