// Describe.swift: keys, calls and answers as short text for violations.
// Belongs here: wording. Never here: judgement.

/// Words for what a violation tells.
enum Describe {
    private static let bytesMax = 32
    private static let itemsMax = 8

    /// Readable text where the bytes are text, else hexadecimal.
    static func bytes(_ bytes: [UInt8]) -> String {
        let shown = bytes.prefix(bytesMax)
        let rest = bytes.count > bytesMax ? "… (\(bytes.count) bytes)" : ""
        if shown.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
            return "'" + String(decoding: shown, as: UTF8.self) + "'" + rest
        }
        let digits = shown.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return "0x" + digits.joined() + rest
    }

    static func span(_ span: KeySpan) -> String {
        if span.end.isEmpty { return bytes(span.key) }
        return "[\(bytes(span.key)), \(span.end == [0] ? "end" : bytes(span.end)))"
    }

    static func keyValue(_ item: KeyValue) -> String {
        let lease = item.lease == 0 ? "" : " lease \(item.lease)"
        return "\(bytes(item.key))=\(bytes(item.value)) (created \(item.createRevision),"
            + " modified \(item.modRevision), version \(item.version)\(lease))"
    }

    static func list(_ items: [String]) -> String {
        let rest = items.count > itemsMax ? ", … \(items.count) in all" : ""
        return "[" + items.prefix(itemsMax).joined(separator: ", ") + rest + "]"
    }

    static func operation(_ operation: Operation) -> String {
        "call \(operation.number) (client \(operation.client), member \(operation.member)): "
            + request(operation.request)
    }

    static func request(_ request: Request) -> String {
        switch request {
        case .put(let put): step(.put(put))
        case .range(let read): step(.range(read))
        case .deleteRange(let delete): step(.deleteRange(delete))
        case .txn(let txn): step(.txn(txn))
        case .compact(let revision): "compact \(revision)"
        case .leaseGrant(let id, let ttl): "grant lease \(id) for \(ttl) s"
        case .leaseRevoke(let id): "revoke lease \(id)"
        case .leaseKeepAlive(let id): "keep alive lease \(id)"
        case .leaseTimeToLive(let id): "time to live of lease \(id)"
        }
    }

    static func step(_ step: TxnStep) -> String {
        switch step {
        case .put(let put):
            return "put \(bytes(put.key))=\(bytes(put.value))"
                + (put.lease == 0 ? "" : " lease \(put.lease)")
        case .range(let read):
            return (read.serializable ? "serializable range " : "range ") + span(read.span)
                + (read.revision == 0 ? "" : " at \(read.revision)")
                + (read.limit == 0 ? "" : " limit \(read.limit)")
        case .deleteRange(let delete): return "delete \(span(delete.span))"
        case .txn(let txn):
            return "txn if \(txn.compares.count) then \(list(txn.success.map(Self.step)))"
                + " else \(list(txn.failure.map(Self.step)))"
        }
    }

    static func body(_ body: ResponseBody) -> String {
        switch body {
        case .put(let previous): return "put, previous \(previous.map(keyValue) ?? "none")"
        case .range(let answer):
            return "\(list(answer.keyValues.map(keyValue))) count \(answer.count)"
                + (answer.more ? " and more" : "")
        case .deleteRange(let deleted, let previous):
            return "deleted \(deleted), previous \(list(previous.map(keyValue)))"
        case .txn(let succeeded, let answers):
            return "\(succeeded ? "succeeded" : "failed") \(list(answers.map(Self.body)))"
        case .compact: return "compacted"
        case .leaseGrant(let id, let ttl): return "granted lease \(id) for \(ttl) s"
        case .leaseRevoke: return "revoked"
        case .leaseKeepAlive(let ttl): return "kept alive for \(ttl) s"
        case .leaseTimeToLive(let ttl, let granted): return "\(ttl) s left of \(granted) s"
        }
    }
}
