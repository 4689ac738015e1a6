// ClusterRequests.swift: the requests of the Cluster service.
// Belongs here: fields and their numbers. Never here: whether a membership change is allowed.
// Source: messages.tsv, package etcdserverpb.

/// Lists the members (etcd rpc.proto, MemberListRequest).
struct MemberListRequest: FieldMessage, Hashable {
    /// Wait for a quorum first; clients older than 3.5 do not send it.
    var linearizable = false

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &linearizable)
    }
}

/// Adds a member (etcd rpc.proto, MemberAddRequest).
struct MemberAddRequest: FieldMessage, Hashable {
    var peerURLs: [String] = []
    var isLearner = false

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &peerURLs)
        try fields.field(2, &isLearner)
    }
}

/// Removes a member (etcd rpc.proto, MemberRemoveRequest).
struct MemberRemoveRequest: FieldMessage, Hashable {
    var id: UInt64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &id)
    }
}

/// Changes a member's peer URLs (etcd rpc.proto, MemberUpdateRequest).
struct MemberUpdateRequest: FieldMessage, Hashable {
    var id: UInt64 = 0
    var peerURLs: [String] = []

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &id)
        try fields.field(2, &peerURLs)
    }
}

/// Makes a learner a voter (etcd rpc.proto, MemberPromoteRequest).
struct MemberPromoteRequest: FieldMessage, Hashable {
    var id: UInt64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &id)
    }
}
