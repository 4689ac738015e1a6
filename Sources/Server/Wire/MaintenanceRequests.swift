// MaintenanceRequests.swift: the requests of the Maintenance and the gRPC health service.
// Belongs here: fields and their numbers. Never here: what the calls do.
// Source: messages.tsv, packages etcdserverpb and grpc.health.v1.

/// The kind of an alarm; a number this version does not know is kept.
struct AlarmType: OpenEnum {
    let rawValue: Int32
    static let none = AlarmType(rawValue: 0)
    static let noSpace = AlarmType(rawValue: 1)
    static let corrupt = AlarmType(rawValue: 2)
}

/// Lists, raises or clears alarms (etcd rpc.proto, AlarmRequest).
struct AlarmRequest: WireMessage, Hashable {
    /// What to do; a number this version does not know is kept.
    struct Action: OpenEnum {
        let rawValue: Int32
        static let get = Action(rawValue: 0)
        static let activate = Action(rawValue: 1)
        static let deactivate = Action(rawValue: 2)
    }

    var action = Action.get
    var memberID: UInt64 = 0
    var alarm = AlarmType.none

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: action = Action(rawValue: try reader.int32(field))
            case 2: memberID = try reader.uint64(field)
            case 3: alarm = AlarmType(rawValue: try reader.int32(field))
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int32(1, action.rawValue)
        writer.uint64(2, memberID)
        writer.int32(3, alarm.rawValue)
    }
}

/// Asks for the state of the member that answers (etcd rpc.proto, StatusRequest).
struct StatusRequest: EmptyWireMessage, Hashable {}

/// Asks for free pages to be given back (etcd rpc.proto, DefragmentRequest).
struct DefragmentRequest: EmptyWireMessage, Hashable {}

/// Asks for a hash over the whole backend (etcd rpc.proto, HashRequest).
struct HashRequest: EmptyWireMessage, Hashable {}

/// Asks for the whole store as a file (etcd rpc.proto, SnapshotRequest).
struct SnapshotRequest: EmptyWireMessage, Hashable {}

/// Asks for a hash over the history up to a revision (etcd rpc.proto, HashKVRequest).
struct HashKVRequest: FieldMessage, Hashable {
    var revision: Int64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &revision)
    }
}

/// Hands leadership to another member (etcd rpc.proto, MoveLeaderRequest).
struct MoveLeaderRequest: FieldMessage, Hashable {
    var targetID: UInt64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &targetID)
    }
}

/// Prepares the cluster for an older version (etcd rpc.proto, DowngradeRequest).
struct DowngradeRequest: WireMessage, Hashable {
    /// What to do; a number this version does not know is kept.
    struct Action: OpenEnum {
        let rawValue: Int32
        static let validate = Action(rawValue: 0)
        static let enable = Action(rawValue: 1)
        static let cancel = Action(rawValue: 2)
    }

    var action = Action.validate
    var version = ""

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: action = Action(rawValue: try reader.int32(field))
            case 2: version = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.int32(1, action.rawValue)
        writer.string(2, version)
    }
}

/// Asks whether a service is serving (grpc health.proto, HealthCheckRequest).
struct HealthCheckRequest: FieldMessage, Hashable {
    /// The service's name; empty means the whole server.
    var service = ""

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &service)
    }
}
