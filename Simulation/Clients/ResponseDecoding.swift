// ResponseDecoding.swift: the bytes of an answer as a history has it.
// Belongs here: the way out of etcd's messages. Never here: requests (RequestEncoding.swift).

import Transport

@testable import Server

extension Response {
    /// The answer to a request.
    init(to request: Request, _ bytes: [UInt8]) throws(WireError) {
        switch request {
        case .put:
            let read = try ReadPut(decoding: bytes)
            self.init(revision: read.header.revision, read.body)
        case .range:
            let read = try ReadRange(decoding: bytes)
            self.init(revision: read.header.revision, read.body)
        case .deleteRange:
            let read = try ReadDelete(decoding: bytes)
            self.init(revision: read.header.revision, read.body)
        case .txn:
            let read = try ReadTxn(decoding: bytes)
            self.init(
                revision: read.header.revision,
                .txn(succeeded: read.succeeded, answers: read.results.compactMap(\.body)))
        case .compact:
            self.init(revision: try ReadPlain(decoding: bytes).header.revision, .compact)
        case .leaseGrant:
            let read = try ReadLease(decoding: bytes)
            self.init(revision: read.header.revision, .leaseGrant(id: read.id, ttl: read.ttl))
        case .leaseRevoke:
            self.init(revision: try ReadPlain(decoding: bytes).header.revision, .leaseRevoke)
        case .leaseKeepAlive:
            let read = try ReadLease(decoding: bytes)
            self.init(revision: read.header.revision, .leaseKeepAlive(ttl: read.ttl))
        case .leaseTimeToLive:
            let read = try ReadTimeToLive(decoding: bytes)
            self.init(
                revision: read.header.revision,
                .leaseTimeToLive(ttl: read.ttl, granted: read.granted))
        }
    }
}

extension ReadKeyValue {
    var plain: KeyValue {
        KeyValue(
            key: key, value: value, createRevision: createRevision, modRevision: modRevision,
            version: version, lease: lease)
    }
}

extension ReadPut {
    fileprivate var body: ResponseBody { .put(previous: previous?.plain) }
}

extension ReadRange {
    fileprivate var body: ResponseBody {
        .range(RangeAnswer(kvs.map(\.plain), count: Int(count), more: more))
    }
}

extension ReadDelete {
    fileprivate var body: ResponseBody {
        .deleteRange(deleted: Int(deleted), previous: previous.map(\.plain))
    }
}

extension ReadOperation {
    fileprivate var body: ResponseBody? {
        switch self {
        case .none: nil
        case .range(let read): read.body
        case .put(let read): read.body
        case .delete(let read): read.body
        }
    }
}

extension ReadEvent {
    var plain: WatchEvent {
        let change: WatchEvent.Change =
            isDelete ? .delete(key: kv.key, modRevision: kv.modRevision) : .put(kv.plain)
        return WatchEvent(change, previous: previous?.plain)
    }
}

extension Refusal {
    /// Why a call certainly did nothing; nil if a status leaves that open.
    init?(_ status: RPCStatus) {
        guard status.isDefinite else { return nil }
        self =
            switch EtcdError(rawValue: status.message) {
            case .compacted: .compacted
            case .futureRevision: .futureRevision
            case .leaseNotFound: .leaseNotFound
            case .leaseExists: .leaseExists
            case .keyNotFound: .keyNotFound
            default: .other(status.message)
            }
    }
}

extension RPCStatus {
    /// Whether the request was certainly not carried out.
    var isDefinite: Bool {
        switch code {
        case .invalidArgument, .notFound, .alreadyExists, .outOfRange, .failedPrecondition,
            .resourceExhausted, .unimplemented:
            true
        case .unavailable: message == SimulatedCall.refused
        case .ok, .cancelled, .unknown, .deadlineExceeded, .permissionDenied, .aborted, .internal,
            .dataLoss, .unauthenticated:
            false
        }
    }
}
