// CoordinationMessages.swift: requests and answers of the Lock and Election services.
// Belongs here: fields and their numbers. Never here: who holds or leads (Coordination/).
// Source: messages.tsv, packages v3lockpb and v3electionpb.

/// Waits for a lock and takes it (etcd v3lock.proto, LockRequest).
struct LockRequest: WireMessage, Hashable {
    var name = Bytes()
    var lease: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: name = try reader.bytes(field)
            case 2: lease = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, name)
        writer.int64(2, lease)
    }
}

/// Gives a lock back (etcd v3lock.proto, UnlockRequest).
struct UnlockRequest: WireMessage, Hashable {
    var key = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: key = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, key)
    }
}

/// Waits to be elected (etcd v3election.proto, CampaignRequest).
struct CampaignRequest: WireMessage, Hashable {
    var name = Bytes()
    var lease: Int64 = 0
    var value = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: name = try reader.bytes(field)
            case 2: lease = try reader.int64(field)
            case 3: value = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, name)
        writer.int64(2, lease)
        writer.bytes(3, value)
    }
}

/// What a leader proves its leadership with (etcd v3election.proto, LeaderKey).
struct LeaderKey: WireMessage, Hashable {
    var name = Bytes()
    var key = Bytes()
    /// The key's create revision.
    var revision: Int64 = 0
    var lease: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: name = try reader.bytes(field)
            case 2: key = try reader.bytes(field)
            case 3: revision = try reader.int64(field)
            case 4: lease = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, name)
        writer.bytes(2, key)
        writer.int64(3, revision)
        writer.int64(4, lease)
    }
}

/// Asks who leads, once or for every change (etcd v3election.proto, LeaderRequest).
struct LeaderRequest: WireMessage, Hashable {
    var name = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: name = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bytes(1, name)
    }
}

/// Gives leadership up (etcd v3election.proto, ResignRequest).
struct ResignRequest: WireMessage, Hashable {
    var leader: LeaderKey?

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1:
                var key = leader ?? LeaderKey()
                try reader.message(field, into: &key)
                leader = key
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        if let leader { writer.message(1, leader) }
    }
}

/// Changes what a leader says (etcd v3election.proto, ProclaimRequest).
struct ProclaimRequest: WireMessage, Hashable {
    var leader: LeaderKey?
    var value = Bytes()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1:
                var key = leader ?? LeaderKey()
                try reader.message(field, into: &key)
                leader = key
            case 2: value = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        if let leader { writer.message(1, leader) }
        writer.bytes(2, value)
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
