// ResponseDecoding.swift: the bytes of an answer as a history has it.
// Belongs here: the way out of etcd's messages. Never here: requests (RequestEncoding.swift).

import Transport

@testable import EtcdResponses
@testable import Server

extension Response {
    /// The answer to a request.
    init(to request: Request, _ bytes: [UInt8]) throws(WireError) {
        switch request {
        case .put:
            let read = try DecodedPut(decoding: bytes)
            self.init(revision: read.revision, read.body)
        case .range:
            let read = try DecodedRange(decoding: bytes)
            self.init(revision: read.revision, read.body)
        case .deleteRange:
            let read = try DecodedDeleteRange(decoding: bytes)
            self.init(revision: read.revision, read.body)
        case .txn:
            let read = try DecodedTxn(decoding: bytes)
            self.init(
                revision: read.revision,
                .txn(succeeded: read.succeeded, answers: read.responses.compactMap(\.body)))
        case .compact:
            self.init(revision: try DecodedPlain(decoding: bytes).revision, .compact)
        case .leaseGrant:
            let read = try DecodedLease(decoding: bytes)
            self.init(revision: read.revision, .leaseGrant(id: read.id, ttl: read.ttl))
        case .leaseRevoke:
            self.init(revision: try DecodedPlain(decoding: bytes).revision, .leaseRevoke)
        case .leaseKeepAlive:
            let read = try DecodedLease(decoding: bytes)
            self.init(revision: read.revision, .leaseKeepAlive(ttl: read.ttl))
        case .leaseTimeToLive:
            let read = try DecodedTimeToLive(decoding: bytes)
            self.init(
                revision: read.revision,
                .leaseTimeToLive(ttl: read.ttl, granted: read.granted))
        }
    }
}

extension WireKeyValue {
    var plain: KeyValue {
        KeyValue(
            key: key.array, value: value.array, createRevision: createRevision,
            modRevision: modRevision,
            version: version, lease: lease)
    }
}

extension DecodedPut {
    fileprivate var body: ResponseBody { .put(previous: prevKV?.plain) }
}

extension DecodedRange {
    fileprivate var body: ResponseBody {
        .range(RangeAnswer(kvs.map(\.plain), count: Int(count), more: more))
    }
}

extension DecodedDeleteRange {
    fileprivate var body: ResponseBody {
        .deleteRange(deleted: Int(deleted), previous: prevKVs.map(\.plain))
    }
}

extension DecodedResponseOp {
    fileprivate var body: ResponseBody? {
        switch self {
        case .none: nil
        case .txn(let read):
            .txn(succeeded: read.succeeded, answers: read.responses.compactMap(\.body))
        case .range(let read): read.body
        case .put(let read): read.body
        case .deleteRange(let read): read.body
        }
    }
}

extension DecodedEvent {
    var plain: WatchEvent {
        let kv = kv ?? WireKeyValue()
        let change: WatchEvent.Change =
            type == 1 ? .delete(key: kv.key.array, modRevision: kv.modRevision) : .put(kv.plain)
        return WatchEvent(change, previous: prevKV?.plain)
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
            .resourceExhausted, .unimplemented, .permissionDenied, .unauthenticated:
            true
        case .unavailable: message == SimulatedCall.refused
        case .ok, .cancelled, .unknown, .deadlineExceeded, .aborted, .internal, .dataLoss:
            false
        }
    }
}
