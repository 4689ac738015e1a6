// KeyQueue.swift: a place in the queue under a name: the oldest key's owner holds the lock, or leads.
// Belongs here: entering, waiting, leaving. Never here: what the first does then (Front+Lock.swift,
// Front+Election.swift).
// Source: etcd semantics X1, X2, X4. The key is NAME/LEASE, put only if it is not there; the queue's
// order is that of the keys' create revisions.
//
//   entering --(own key is the oldest)--> first
//      \--(an older key)--> waiting --(it was deleted: look again)--> first, once its key still stands
//   any --cancel, failure--> gone, and the own key with it

internal import Transport

/// A request that a client may take back, or that waits for its client to read.
protocol CoordinationOperation: AnyObject {
    /// The call is gone.
    func cancel()
    /// The client has taken most of what was sent.
    func drained()
}

/// One caller's place in a queue; confined to its event loop.
final class KeyQueue: CoordinationOperation {
    /// What the caller has once its key is the oldest.
    struct Place {
        /// The caller's key.
        let key: Bytes
        let createRevision: Int64
        let lease: Int64
        /// Of the transaction that entered the queue.
        let entered: ResponseHeader
        /// Of the read that found the own key first, after waiting; else as `entered`.
        let found: ResponseHeader
        /// The key's value if it stood there before, with the same lease.
        let formerValue: Bytes?
    }

    private let front: Front
    private let call: any ServiceCall
    private let prefix: Bytes
    private let value: Bytes
    private let done: (Place) -> Void
    private let expired: String

    private var lease: Int64
    private var key = Bytes()
    private var createRevision: Int64 = 0
    private var entered = ResponseHeader()
    private var formerValue: Bytes?
    private var watch: InnerWatch?
    private var isOver = false

    /// - Parameters:
    ///   - lease: the caller's lease; 0 for one that the server makes (X2).
    ///   - expired: what the caller is told when its own key went while it waited.
    ///   - done: called once, when the caller's key is the oldest.
    init(
        _ front: Front, _ call: any ServiceCall, name: Bytes, lease: Int64, value: Bytes,
        expired: String, done: @escaping (Place) -> Void
    ) {
        self.front = front
        self.call = call
        self.lease = lease
        self.value = value
        self.expired = expired
        self.done = done
        prefix = Bytes(name.array + [UInt8(ascii: "/")])
    }

    func begin() {
        guard lease == 0 else { return enter() }
        let request = LeaseGrantRequest(ttl: KeyQueue.leaseSeconds, id: 0)
        front.ask(.leaseGrant, request, for: call) {
            [self] (result: Result<LeaseAnswer, RPCStatus>) in
            guard !isOver else { return }
            switch result {
            case .success(let granted):
                lease = granted.id
                enter()
            case .failure(let status): fail(status)
            }
        }
    }

    /// The life of a lease that the server makes; nobody keeps it alive (X2).
    private static let leaseSeconds: Int64 = 60

    // MARK: entering

    private func enter() {
        let hex = String(UInt64(bitPattern: lease), radix: 16)
        key = Bytes(prefix.array + Array(hex.utf8))
        var own = RangeRequest()
        own.key = key
        var put = PutRequest()
        put.key = key
        put.value = value
        put.lease = lease
        let oldest = RequestOp.range(KeyQueue.oldest(under: prefix))
        var request = TxnRequest()
        request.compare = [KeyQueue.compare(key, createRevision: 0)]
        request.success = [.put(put), oldest]
        request.failure = [.range(own), oldest]
        front.ask(.txn, request, for: call) { [self] (result: Result<TxnAnswer, RPCStatus>) in
            switch result {
            case .success(let answer): entered(answer)
            case .failure(let status): fail(status)
            }
        }
    }

    private func entered(_ answer: TxnAnswer) {
        entered = answer.header
        createRevision = answer.header.revision
        if !answer.succeeded, let former = answer.operations.first?.kvs.first {
            createRevision = former.createRevision
            formerValue = former.value
        }
        // The client left while the answer was on its way: what was made for it goes.
        guard !isOver else {
            if answer.succeeded { leave() }
            return
        }
        guard let first = answer.operations.last?.kvs.first, first.createRevision < createRevision
        else { return finish(answer.header) }
        waitForOlder()
    }

    // MARK: waiting

    /// Looks for the key just before the own one, and waits until that is deleted.
    private func waitForOlder() {
        var request = KeyQueue.oldest(under: prefix)
        request.sortOrder = .descend
        request.maxCreateRevision = createRevision - 1
        front.ask(.range, request, for: call) { [self] (result: Result<RangeAnswer, RPCStatus>) in
            guard !isOver else { return }
            switch result {
            case .success(let answer):
                guard let older = answer.kvs.first else { return lookForOwn() }
                watch(older.key, from: answer.header.revision + 1)
            case .failure(let status): fail(status)
            }
        }
    }

    private func watch(_ older: Bytes, from revision: Int64) {
        var request = WatchCreateRequest()
        request.key = older
        request.startRevision = revision
        request.filters = [WatchCreateRequest.filterNoPut]
        watch = front.observe(request, for: call) { [self] result in
            guard !isOver else { return }
            switch result {
            case .success(let answer) where answer.isCanceled && answer.compactRevision == 0:
                fail(RPCStatus(.unknown, answer.cancelReason))
            case .success(let answer):
                guard answer.isCanceled || answer.events.contains(where: \.isDelete) else { return }
                stopWatching()
                waitForOlder()
            case .failure(let status): fail(status)
            }
        }
    }

    private func stopWatching() {
        guard let watch else { return }
        self.watch = nil
        front.stop(watch)
    }

    /// Whether the own key still stands: its lease may have ended meanwhile.
    private func lookForOwn() {
        var request = RangeRequest()
        request.key = key
        front.ask(.range, request, for: call) { [self] (result: Result<RangeAnswer, RPCStatus>) in
            guard !isOver else { return }
            switch result {
            case .success(let answer):
                guard answer.kvs.first?.createRevision == createRevision else {
                    return fail(RPCStatus(.unknown, expired))
                }
                finish(answer.header)
            case .failure(let status): fail(status)
            }
        }
    }

    // MARK: the end

    private func finish(_ found: ResponseHeader) {
        isOver = true
        done(
            Place(
                key: key, createRevision: createRevision, lease: lease, entered: entered,
                found: found, formerValue: formerValue))
    }

    /// Errors of the calls made inside are Unknown with the same text, as etcd passes them on (X3).
    private func fail(_ status: RPCStatus) {
        guard !isOver else { return }
        isOver = true
        stopWatching()
        leave()
        guard call.isOpen else { return }
        call.finish(RPCStatus(.unknown, status.message))
    }

    func cancel() {
        guard !isOver else { return }
        isOver = true
        stopWatching()
        leave()
    }

    func drained() {}

    /// Deletes the own key; where that fails its lease ends it.
    private func leave() {
        guard createRevision != 0 else { return }
        front.ask(.txn, KeyQueue.deletion(of: key, createRevision), for: call) {
            (_: Result<HeaderAnswer, RPCStatus>) in
        }
    }

    // MARK: requests

    /// The key under a prefix that was made first.
    static func oldest(under prefix: Bytes) -> RangeRequest {
        var request = RangeRequest()
        request.key = prefix
        request.rangeEnd = end(of: prefix)
        request.limit = 1
        request.sortTarget = .create
        request.sortOrder = .ascend
        return request
    }

    /// Where the keys under a prefix, which ends with a slash, end.
    static func end(of prefix: Bytes) -> Bytes {
        Bytes(prefix.array.dropLast() + [UInt8(ascii: "/") + 1])
    }

    static func compare(_ key: Bytes, createRevision: Int64) -> Compare {
        var compare = Compare()
        compare.key = key
        compare.target = .create
        compare.operand = .createRevision(createRevision)
        return compare
    }

    /// Deletes a key if it is still the one made at a revision.
    static func deletion(of key: Bytes, _ createRevision: Int64) -> TxnRequest {
        var delete = DeleteRangeRequest()
        delete.key = key
        var request = TxnRequest()
        request.compare = [compare(key, createRevision: createRevision)]
        request.success = [.deleteRange(delete)]
        return request
    }
}
