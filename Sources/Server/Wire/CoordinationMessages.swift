// CoordinationMessages.swift: requests and answers of the Lock and Election services.
// Belongs here: fields and their numbers. Never here: who holds or leads (Coordination/).
// Source: messages.tsv, packages v3lockpb and v3electionpb.

/// Waits for a lock and takes it (etcd v3lock.proto, LockRequest).
struct LockRequest: FieldMessage, Hashable {
    var name = Bytes()
    var lease: Int64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
        try fields.field(2, &lease)
    }
}

/// Gives a lock back (etcd v3lock.proto, UnlockRequest).
struct UnlockRequest: FieldMessage, Hashable {
    var key = Bytes()

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &key)
    }
}

/// Waits to be elected (etcd v3election.proto, CampaignRequest).
struct CampaignRequest: FieldMessage, Hashable {
    var name = Bytes()
    var lease: Int64 = 0
    var value = Bytes()

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
        try fields.field(2, &lease)
        try fields.field(3, &value)
    }
}

/// What a leader proves its leadership with (etcd v3election.proto, LeaderKey).
struct LeaderKey: FieldMessage, Hashable {
    var name = Bytes()
    var key = Bytes()
    /// The key's create revision.
    var revision: Int64 = 0
    var lease: Int64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
        try fields.field(2, &key)
        try fields.field(3, &revision)
        try fields.field(4, &lease)
    }
}

/// Asks who leads, once or for every change (etcd v3election.proto, LeaderRequest).
struct LeaderRequest: FieldMessage, Hashable {
    var name = Bytes()

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &name)
    }
}

/// Gives leadership up (etcd v3election.proto, ResignRequest).
struct ResignRequest: FieldMessage, Hashable {
    var leader: LeaderKey?

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &leader)
    }
}

/// Changes what a leader says (etcd v3election.proto, ProclaimRequest).
struct ProclaimRequest: FieldMessage, Hashable {
    var leader: LeaderKey?
    var value = Bytes()

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &leader)
        try fields.field(2, &value)
    }
}

extension ProtoWriter {
    /// A whole LockResponse.
    mutating func lockResponse(_ header: ResponseHeader, key: Bytes) {
        self.header(header)
        bytes(2, key)
    }

    /// A whole CampaignResponse.
    mutating func campaignResponse(_ header: ResponseHeader, leader: LeaderKey) {
        self.header(header)
        message(2, leader)
    }

    /// A whole LeaderResponse.
    mutating func leaderResponse(_ header: ResponseHeader, _ kv: WireKeyValue) {
        self.header(header)
        kv.withView { keyValue(2, $0) }
    }
}
