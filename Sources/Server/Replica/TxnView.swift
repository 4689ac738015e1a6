// TxnView.swift: the reading half of a transaction: compares, the path taken, checks before the first write.
// Belongs here: what needs only a reader. Never here: writes (Executor+Txn.swift).
// Source: etcd semantics T1, T8-T11. All compares, nested ones too, see the state before the transaction.

internal import Storage

/// Which list of a transaction runs, and of the nested ones in it.
struct TxnPath: Equatable, Sendable {
    let succeeded: Bool
    /// One for each nested transaction in the chosen list, in order.
    let nested: [TxnPath]
}

/// A store as a transaction finds it.
struct TxnView {
    let reader: KeyReader
    /// The store's main revision.
    let revision: Int64
    /// The compacted revision; -1 if never compacted (C2).
    let compacted: Int64

    /// Evaluates the compares of a transaction and of those nested in the list it takes.
    func path(of txn: TxnRequest) throws(RequestFailure) -> TxnPath {
        var succeeded = true
        for compare in txn.compare where succeeded {
            succeeded = try holds(compare)
        }
        var nested: [TxnPath] = []
        for case .txn(let inner) in succeeded ? txn.success : txn.failure {
            nested.append(try path(of: inner))
        }
        return TxnPath(succeeded: succeeded, nested: nested)
    }

    private func holds(_ compare: Compare) throws(RequestFailure) -> Bool {
        let bounds = KeyBounds(key: compare.key, rangeEnd: compare.rangeEnd)
        let wantsValue = compare.target == .value
        let result = try storing { () throws(StorageError) -> (any: Bool, all: Bool) in
            let cursor = try RangeCursor.make(
                reader: reader, bounds: bounds, at: nil, values: wantsValue ? .full : .none)
            defer { cursor.close() }
            var any = false
            while try cursor.next() {
                any = true
                let passes = cursor.withValue { compare.passes(cursor.record, value: $0) }
                guard passes else { return (true, false) }
            }
            return (any, true)
        }
        if result.any { return result.all }
        // A value that is not there equals nothing, not even the empty one (T8).
        return !wantsValue && compare.passesOnMissingKey
    }

    /// Checks the operations of the path taken, before anything is written (T11).
    func check(
        _ txn: TxnRequest, _ path: TxnPath, leaseExists: (Int64) -> Bool
    ) throws(RequestFailure) {
        var deleted: [KeyBounds] = []
        try checkPuts(txn, path, &deleted, leaseExists: leaseExists)
        try checkRanges(txn, path)
    }

    // `deleted` are the ranges that the path deletes before the operation being checked.
    private func checkPuts(
        _ txn: TxnRequest, _ path: TxnPath, _ deleted: inout [KeyBounds],
        leaseExists: (Int64) -> Bool
    ) throws(RequestFailure) {
        var nested = path.nested.makeIterator()
        for operation in path.succeeded ? txn.success : txn.failure {
            switch operation {
            case .put(let request):
                if request.ignoreValue || request.ignoreLease {
                    let record = try storing { () throws(StorageError) in
                        try request.key.withUnsafeBytes { (key) throws(StorageError) in
                            try reader.record(of: key)
                        }
                    }
                    let survives = !deleted.contains { $0.contains(request.key) }
                    guard record?.isLive == true, survives else { throw .refused(.keyNotFound) }
                }
                guard request.lease == 0 || leaseExists(request.lease) else {
                    throw .refused(.leaseNotFound)
                }
            case .txn(let inner):
                guard let innerPath = nested.next() else {
                    preconditionFailure("a nested transaction has no path")
                }
                try checkPuts(inner, innerPath, &deleted, leaseExists: leaseExists)
            case .deleteRange(let request): deleted.append(request.bounds)
            case .range, .none: break
            }
        }
    }

    // A negative revision, which a plain Range takes for the current one, counts as compacted here.
    private func checkRanges(_ txn: TxnRequest, _ path: TxnPath) throws(RequestFailure) {
        var nested = path.nested.makeIterator()
        for operation in path.succeeded ? txn.success : txn.failure {
            switch operation {
            case .range(let request):
                guard request.revision <= revision else { throw .refused(.futureRevision) }
                guard request.revision == 0 || request.revision >= compacted else {
                    throw .refused(.compacted)
                }
            case .txn(let inner):
                guard let innerPath = nested.next() else {
                    preconditionFailure("a nested transaction has no path")
                }
                try checkRanges(inner, innerPath)
            case .put, .deleteRange, .none: break
            }
        }
    }
}

extension Compare {
    // Compares "stored RESULT given"; a given value of another kind counts as zero (T9).
    fileprivate func passes(_ record: KeyRecord, value: UnsafeRawBufferPointer) -> Bool {
        switch target {
        case .version:
            if case .version(let given) = operand { return judge(record.version, given) }
            return judge(record.version, 0)
        case .create:
            if case .createRevision(let given) = operand {
                return judge(record.createRevision, given)
            }
            return judge(record.createRevision, 0)
        case .mod:
            if case .modRevision(let given) = operand { return judge(record.revision.main, given) }
            return judge(record.revision.main, 0)
        case .lease:
            if case .lease(let given) = operand { return judge(record.lease, given) }
            return judge(record.lease, 0)
        case .value:
            let stored = Bytes(Array(value))
            if case .value(let given) = operand { return judge(stored, given) }
            return judge(stored, Bytes())
        default: return judge(0, 0)
        }
    }

    fileprivate var passesOnMissingKey: Bool {
        passes(
            .missing,
            value: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    private func judge<Value: Comparable>(_ stored: Value, _ given: Value) -> Bool {
        #if SIMULATION
            if ServerBug.compareOff.isPlanted, result == .greater { return stored >= given }
        #endif
        return switch result {
        case .equal: stored == given
        case .notEqual: stored != given
        case .greater: stored > given
        case .less: stored < given
        default: true
        }
    }
}
