// Executor+Txn.swift: transactions: decide, check, then write without a way back.
// Belongs here: running the operations of the path taken. Never here: deciding it (TxnView.swift).
// Source: etcd semantics T1-T3, T11, T13, T14, G6.

internal import Storage

extension Executor {
    func txn(_ request: TxnRequest) throws(RequestFailure) -> [UInt8] {
        try refuseIfCorrupt()
        let cost = Executor.cost(of: request)
        if cost > 0 { try admit(cost: cost) }
        let view = TxnView(reader: keys.reader, revision: keys.revision, compacted: compacted)
        let path = try view.path(of: request)
        try view.check(request, path) { leases[$0] != nil }
        var writer = ProtoWriter(
            capacity: Executor.answerBytesExpected * (1 + max(request.success.count, 1)))
        try run(request, path, into: &writer)
        writer.endTxnResponse(
            from: 0, header(revision: visibleRevision), succeeded: path.succeeded)
        return writer.take()
    }

    /// The larger cost of the two lists; 0 if neither puts (T14).
    private static func cost(of txn: TxnRequest) -> Int64 {
        func total(_ operations: [RequestOp]) -> Int64 {
            operations.reduce(0) { sum, operation in
                switch operation {
                case .put(let request): sum + cost(of: request)
                case .txn(let nested): sum + cost(of: nested)
                case .range, .deleteRange, .none: sum
                }
            }
        }
        return max(total(txn.success), total(txn.failure))
    }

    private func run(
        _ txn: TxnRequest, _ path: TxnPath, into writer: inout ProtoWriter
    ) throws(RequestFailure) {
        var nested = path.nested.makeIterator()
        for operation in path.succeeded ? txn.success : txn.failure {
            switch operation {
            case .range(let request):
                let bytes = try range(request)
                let open = writer.openResponseOp(.range, expectedBytes: bytes.count)
                writer.append(encoded: bytes)
                writer.close(open)
            case .put(let request):
                let open = writer.openResponseOp(.put, expectedBytes: Self.putAnswerBytesExpected)
                try put(request, header: .inTxn(revision: keys.nextRevision), into: &writer)
                #if SIMULATION
                    if ServerBug.txnInTwoRevisions.isPlanted { keys.finishRequest() }
                #endif
                writer.close(open)
            case .deleteRange(let request):
                let open = writer.openResponseOp(.deleteRange)
                try deleteRange(request, into: &writer) { .inTxn(revision: $0) }
                writer.close(open)
            case .txn(let inner):
                guard let innerPath = nested.next() else {
                    preconditionFailure("a nested transaction has no path")
                }
                let open = writer.openResponseOp(.txn)
                let start = writer.count
                try run(inner, innerPath, into: &writer)
                writer.endTxnResponse(from: start, .empty, succeeded: innerPath.succeeded)
                writer.close(open)
            case .none:
                preconditionFailure("an empty operation passed validation")
            }
        }
    }

    // A header with a revision of a few bytes.
    private static let putAnswerBytesExpected = 8

    private func range(_ request: RangeRequest) throws(RequestFailure) -> [UInt8] {
        try RangeOperation.inTxn(
            request, reader: keys.reader, shown: visibleRevision,
            newest: keys.hasChanges ? nil : keys.revision)
    }
}
