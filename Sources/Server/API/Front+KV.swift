// Front+KV.swift: the KV service.
// Belongs here: which path a request takes: local read, or the log.
// Never here: reading in steps (Front+LongRead.swift).
// Source: etcd semantics G7, R1-R14, T4; services.tsv.

internal import Storage
internal import Transport

extension Front {
    // MARK: reads

    func range(_ call: any ServiceCall, _ request: RangeRequest) throws(CallFailure) {
        try validated { () throws(EtcdError) in try request.validate() }
        if request.serializable || context.status.readsLocally {
            if try rangeSingle(call, request) { return }
            let read = LongRead(call: call, work: .range(request))
            call.held = read
            return try begin(read)
        }
        let read = LongRead(call: call, work: .range(request))
        call.held = read
        try whenLinearizable(call) { () throws(CallFailure) in
            if try self.rangeSingle(call, request) { return }
            try self.begin(read)
        }
    }

    /// Streams a list in the order of its keys, all of one revision (R15).
    func rangeStream(_ call: any ServiceCall, _ request: RangeRequest) throws(CallFailure) {
        try validated { () throws(EtcdError) in
            try request.validate()
            guard request.sortTarget == .key, request.sortOrder != .descend else {
                throw .rangeStreamSortOrder
            }
            guard !request.hasFilters else { throw .rangeStreamFilter }
        }
        let read = LongRead(call: call, work: .rangeStream(request))
        call.held = read
        if request.serializable || context.status.readsLocally { return try begin(read) }
        try whenLinearizable(call) { () throws(CallFailure) in try self.begin(read) }
    }

    /// Answers the commonest request, one key as it is now; false if it is not that.
    private func rangeSingle(
        _ call: any ServiceCall, _ request: RangeRequest
    ) throws(CallFailure) -> Bool {
        guard request.rangeEnd.isEmpty, request.revision <= 0, request.isPlain, !request.countOnly
        else { return false }
        try authorize(call) { (access) throws(EtcdError) in try access.check(request) }
        let context = context
        let message: [UInt8]??
        do throws(StorageError) {
            message = try request.key.withUnsafeBytes { (key) throws(StorageError) in
                try context.store.live(key) { state, record, value -> [UInt8]? in
                    // Users changed just now: the longer way looks at them again.
                    guard auth.isCurrent(state) else { return nil }
                    let shown =
                        request.keysOnly ? UnsafeRawBufferPointer(rebasing: value[..<0]) : value
                    return Front.singleAnswer(
                        context.header(revision: state.revision), KeyValueView(key, record, shown))
                }
            }
        } catch {
            context.store.report(error)
            throw CallFailure(error)
        }
        // A key that is not there needs a transaction to tell at which revision that is so.
        guard let message, let message else { return false }
        answer(call, message)
        return true
    }

    private static func singleAnswer(_ header: ResponseHeader, _ kv: KeyValueView) -> [UInt8] {
        var writer = ProtoWriter(capacity: header.fieldSize + kv.fieldSize(2) + 2)
        writer.beginRangeResponse(header)
        writer.appendRangeKV(kv)
        writer.endRangeResponse(more: false, count: 1)
        return writer.take()
    }

    // MARK: writes

    func put(
        _ call: any ServiceCall, _ request: PutRequest, _ byteCount: Int
    ) throws(CallFailure) {
        if !isOverQuota(Executor.cost(of: request)) {
            try validated { () throws(EtcdError) in try request.validate() }
        }
        try submit(call, .put(request), byteCount)
    }

    // The quota, which raises an alarm, comes before the form of the request (P6).
    private func isOverQuota(_ cost: Int64) -> Bool {
        guard let quota = context.limits.quotaBytes else { return false }
        return context.status.bytesInUse + cost > quota
    }

    func deleteRange(
        _ call: any ServiceCall, _ request: DeleteRangeRequest, _ byteCount: Int
    ) throws(CallFailure) {
        try validated { () throws(EtcdError) in try request.validate() }
        try submit(call, .deleteRange(request), byteCount)
    }

    func txn(
        _ call: any ServiceCall, _ request: TxnRequest, _ byteCount: Int
    ) throws(CallFailure) {
        let operationsMax = context.limits.operationsMax
        try validated { () throws(EtcdError) in try request.validate(operationsMax: operationsMax) }
        guard request.isReadOnly else { return try submit(call, .txn(request), byteCount) }
        if request.isSerializable { return try readTxn(call, request) }
        try whenLinearizable(call) { () throws(CallFailure) in try self.readTxn(call, request) }
    }

    /// Runs a transaction that only reads, on local state (T4).
    private func readTxn(_ call: any ServiceCall, _ request: TxnRequest) throws(CallFailure) {
        var refusal: EtcdError?
        var failure: CallFailure?
        let context = context
        let message = try reading { (reader, state) throws(StorageError) -> [UInt8] in
            do throws(CallFailure) {
                try authorize(call, reading: state) { (access) throws(EtcdError) in
                    try access.checkReads(request)
                }
            } catch {
                failure = error
                return []
            }
            let view = TxnView(reader: reader, revision: state.revision, compacted: state.compacted)
            do throws(RequestFailure) {
                let path = try view.path(of: request)
                try view.check(request, path) { _ in true }
                return try view.run(request, path, header: context.header(revision: state.revision))
            } catch {
                switch error {
                case .refused(let reason): refusal = reason
                case .store(let failure): throw failure
                }
                return []
            }
        }
        if let failure { throw failure }
        if let refusal { throw CallFailure(refusal) }
        answer(call, message)
    }

    func validated(_ check: () throws(EtcdError) -> Void) throws(CallFailure) {
        do throws(EtcdError) {
            try check()
        } catch {
            throw CallFailure(error)
        }
    }
}

extension TxnView {
    /// Runs the ranges of a transaction that has nothing else.
    func run(
        _ txn: TxnRequest, _ path: TxnPath, header: ResponseHeader
    ) throws(RequestFailure) -> [UInt8] {
        var writer = ProtoWriter()
        for case .range(let request) in path.succeeded ? txn.success : txn.failure {
            let bytes = try RangeOperation.inTxn(
                request, reader: reader, shown: revision, newest: revision)
            let open = writer.openResponseOp(.range, expectedBytes: bytes.count)
            writer.append(encoded: bytes)
            writer.close(open)
        }
        writer.endTxnResponse(from: 0, header, succeeded: path.succeeded)
        return writer.take()
    }
}
