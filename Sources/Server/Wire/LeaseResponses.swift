// LeaseResponses.swift: the answers of the Lease service.
// Belongs here: fields and their order. Never here: what a TTL means (rules L1 to L4).
// Source: messages.tsv, package etcdserverpb.

extension ProtoWriter {
    /// A whole LeaseGrantResponse; its field `error` is unused since etcd 3.0 and left out.
    mutating func leaseGrantResponse(_ header: ResponseHeader, id: Int64, ttl: Int64) {
        self.header(header)
        int64(2, id)
        int64(3, ttl)
    }

    /// A whole LeaseRevokeResponse.
    mutating func leaseRevokeResponse(_ header: ResponseHeader) {
        headerOnlyResponse(header)
    }

    /// A whole LeaseKeepAliveResponse; a TTL of 0 says that the lease is gone (rule L3).
    mutating func leaseKeepAliveResponse(_ header: ResponseHeader, id: Int64, ttl: Int64) {
        let bodySize = header.bodySize
        let size =
            WireSize.lengthDelimited(1, bodySize) + WireSize.int64(2, id) + WireSize.int64(3, ttl)
        append(exactly: size) { cursor in
            cursor.header(header, bodySize: bodySize)
            cursor.int64(2, id)
            cursor.int64(3, ttl)
        }
    }

    /// Begins a LeaseTimeToLiveResponse; `appendLeaseKey` adds the keys, and nothing ends it.
    mutating func beginLeaseTimeToLiveResponse(
        _ header: ResponseHeader, id: Int64, ttl: Int64, grantedTTL: Int64
    ) {
        self.header(header)
        int64(2, id)
        int64(3, ttl)
        int64(4, grantedTTL)
    }

    /// Appends one attached key to a LeaseTimeToLiveResponse.
    mutating func appendLeaseKey(_ key: UnsafeRawBufferPointer) {
        bytes(5, key, keepsDefault: true)
    }

    /// A whole LeaseLeasesResponse, the ids in the order given.
    mutating func leaseLeasesResponse(_ header: ResponseHeader, ids: [Int64]) {
        self.header(header)
        for id in ids {
            let body = WireSize.int64(1, id)
            append(exactly: WireSize.lengthDelimited(2, body)) { cursor in
                cursor.tag(2, .lengthDelimited)
                cursor.varint(UInt64(body))
                cursor.int64(1, id)
            }
        }
    }
}
