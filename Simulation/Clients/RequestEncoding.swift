// RequestEncoding.swift: a request of a history as the bytes that a client sends.
// Belongs here: the way into etcd's messages. Never here: answers (ResponseDecoding.swift).

@testable import Server

extension Request {
    /// The method that is called.
    var method: Method {
        switch self {
        case .put: .put
        case .range: .range
        case .deleteRange: .deleteRange
        case .txn: .txn
        case .compact: .compact
        case .leaseGrant: .leaseGrant
        case .leaseRevoke: .leaseRevoke
        case .leaseKeepAlive: .leaseKeepAlive
        case .leaseTimeToLive: .leaseTimeToLive
        }
    }

    /// The message that is sent.
    var encoded: [UInt8] {
        switch self {
        case .put(let put): return put.message.encoded()
        case .range(let read): return read.message.encoded()
        case .deleteRange(let removal): return removal.message.encoded()
        case .txn(let txn): return txn.message.encoded()
        case .compact(let revision):
            var message = CompactionRequest()
            message.revision = revision
            return message.encoded()
        case .leaseGrant(let id, let ttl):
            return LeaseGrantRequest(ttl: ttl, id: id).encoded()
        case .leaseRevoke(let id): return LeaseRevokeRequest(id: id).encoded()
        case .leaseKeepAlive(let id): return LeaseKeepAliveRequest(id: id).encoded()
        case .leaseTimeToLive(let id):
            var message = LeaseTimeToLiveRequest()
            message.id = id
            return message.encoded()
        }
    }
}

extension Put {
    var message: PutRequest {
        PutRequest(
            key: Bytes(key), value: Bytes(value), lease: lease, prevKV: previous,
            ignoreValue: ignoreValue, ignoreLease: ignoreLease)
    }
}

extension RangeRead {
    var message: RangeRequest {
        var message = RangeRequest()
        message.key = Bytes(span.key)
        message.rangeEnd = Bytes(span.end)
        message.limit = Int64(limit)
        message.revision = revision
        message.serializable = serializable
        message.keysOnly = keysOnly
        message.countOnly = countOnly
        return message
    }
}

extension DeleteRange {
    var message: DeleteRangeRequest {
        DeleteRangeRequest(key: Bytes(span.key), rangeEnd: Bytes(span.end), prevKV: previous)
    }
}

extension Txn {
    var message: TxnRequest {
        TxnRequest(
            compare: compares.map(\.message), success: success.map(\.message),
            failure: failure.map(\.message))
    }
}

extension TxnStep {
    fileprivate var message: RequestOp {
        switch self {
        case .put(let put): .put(put.message)
        case .range(let read): .range(read.message)
        case .deleteRange(let removal): .deleteRange(removal.message)
        case .txn(let txn): .txn(txn.message)
        }
    }
}

extension Compare {
    fileprivate var message: Server.Compare {
        var message = Server.Compare()
        message.key = Bytes(span.key)
        message.rangeEnd = Bytes(span.end)
        message.result =
            switch relation {
            case .equal: .equal
            case .greater: .greater
            case .less: .less
            case .notEqual: .notEqual
            }
        switch operand {
        case .version(let number): (message.target, message.operand) = (.version, .version(number))
        case .createRevision(let number):
            (message.target, message.operand) = (.create, .createRevision(number))
        case .modRevision(let number):
            (message.target, message.operand) = (.mod, .modRevision(number))
        case .lease(let number): (message.target, message.operand) = (.lease, .lease(number))
        case .value(let bytes): (message.target, message.operand) = (.value, .value(Bytes(bytes)))
        }
        return message
    }
}
