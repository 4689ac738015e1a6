// ClusterRequests.swift: the requests of the Cluster service.
// Belongs here: fields and their numbers. Never here: whether a membership change is allowed.
// Source: messages.tsv, package etcdserverpb.

/// Lists the members (etcd rpc.proto, MemberListRequest).
struct MemberListRequest: WireMessage, Hashable {
    /// Wait for a quorum first; clients older than 3.5 do not send it.
    var linearizable = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: linearizable = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.bool(1, linearizable)
    }
}

/// Adds a member (etcd rpc.proto, MemberAddRequest).
struct MemberAddRequest: WireMessage, Hashable {
    var peerURLs: [String] = []
    var isLearner = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: peerURLs.append(try reader.string(field))
            case 2: isLearner = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        for url in peerURLs { writer.string(1, url, keepsDefault: true) }
        writer.bool(2, isLearner)
    }
}

/// Removes a member (etcd rpc.proto, MemberRemoveRequest).
struct MemberRemoveRequest: WireMessage, Hashable {
    var id: UInt64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: id = try reader.uint64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.uint64(1, id)
    }
}

/// Changes a member's peer URLs (etcd rpc.proto, MemberUpdateRequest).
struct MemberUpdateRequest: WireMessage, Hashable {
    var id: UInt64 = 0
    var peerURLs: [String] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: id = try reader.uint64(field)
            case 2: peerURLs.append(try reader.string(field))
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.uint64(1, id)
        for url in peerURLs { writer.string(2, url, keepsDefault: true) }
    }
}

/// Makes a learner a voter (etcd rpc.proto, MemberPromoteRequest).
struct MemberPromoteRequest: WireMessage, Hashable {
    var id: UInt64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: id = try reader.uint64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.uint64(1, id)
    }
}
