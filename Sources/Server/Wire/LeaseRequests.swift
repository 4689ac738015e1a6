// LeaseRequests.swift: the requests of the Lease service.
// Belongs here: fields and their numbers. Never here: limits of a TTL (rule L1, the Lease service).
// Source: messages.tsv, package etcdserverpb.

/// Makes a lease (etcd rpc.proto, LeaseGrantRequest).
struct LeaseGrantRequest: FieldMessage, Hashable {
    /// The wished time to live in seconds.
    var ttl: Int64 = 0
    /// The wished id, 0 for one of the server's choice.
    var id: Int64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &ttl)
        try fields.field(2, &id)
    }
}

/// Ends a lease (etcd rpc.proto, LeaseRevokeRequest).
struct LeaseRevokeRequest: FieldMessage, Hashable {
    var id: Int64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &id)
    }
}

/// Renews a lease (etcd rpc.proto, LeaseKeepAliveRequest).
struct LeaseKeepAliveRequest: FieldMessage, Hashable {
    var id: Int64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &id)
    }
}

/// Asks how long a lease has left (etcd rpc.proto, LeaseTimeToLiveRequest).
struct LeaseTimeToLiveRequest: FieldMessage, Hashable {
    var id: Int64 = 0
    var keys = false

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &id)
        try fields.field(2, &keys)
    }
}

/// Lists the leases (etcd rpc.proto, LeaseLeasesRequest).
struct LeaseLeasesRequest: EmptyWireMessage, Hashable {}
