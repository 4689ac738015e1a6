// LeaseRequests.swift: the requests of the Lease service.
// Belongs here: fields and their numbers. Never here: limits of a TTL (rule L1, the Lease service).
// Source: messages.tsv, package etcdserverpb.

/// Makes a lease (etcd rpc.proto, LeaseGrantRequest).
struct LeaseGrantRequest: WireMessage, Hashable {
    /// The wished time to live in seconds.
    var ttl: Int64 = 0
    /// The wished id, 0 for one of the server's choice.
    var id: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: ttl = try reader.int64(field)
            case 2: id = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int64(1, ttl)
        writer.int64(2, id)
    }
}

/// Ends a lease (etcd rpc.proto, LeaseRevokeRequest).
struct LeaseRevokeRequest: WireMessage, Hashable {
    var id: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: id = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int64(1, id)
    }
}

/// Renews a lease (etcd rpc.proto, LeaseKeepAliveRequest).
struct LeaseKeepAliveRequest: WireMessage, Hashable {
    var id: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: id = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int64(1, id)
    }
}

/// Asks how long a lease has left (etcd rpc.proto, LeaseTimeToLiveRequest).
struct LeaseTimeToLiveRequest: WireMessage, Hashable {
    var id: Int64 = 0
    var keys = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: id = try reader.int64(field)
            case 2: keys = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int64(1, id)
        writer.bool(2, keys)
    }
}

/// Lists the leases (etcd rpc.proto, LeaseLeasesRequest).
struct LeaseLeasesRequest: EmptyWireMessage, Hashable {}
