// MaintenanceResponses.swift: the answers of the Maintenance and the gRPC health service.
// Belongs here: fields and their order. Never here: where the figures come from.
// Source: messages.tsv, packages etcdserverpb and grpc.health.v1. Empty answers: Defragment,
// MoveLeader (rule G4): no bytes at all, so there is nothing to write for them here.

/// The state of one member (etcd rpc.proto, StatusResponse of 3.6).
struct StatusResponse: Hashable, Sendable {
    var header: ResponseHeader
    var version = ""
    /// Bytes of the database file.
    var dbSize: Int64 = 0
    /// The leader's member id, 0 when none is known.
    var leader: UInt64 = 0
    var raftIndex: UInt64 = 0
    var raftTerm: UInt64 = 0
    var raftAppliedIndex: UInt64 = 0
    var errors: [String] = []
    var dbSizeInUse: Int64 = 0
    var isLearner = false
    var storageVersion = ""
    var dbSizeQuota: Int64 = 0
    var downgradeInfo: DowngradeInfo?

    /// A running downgrade (etcd rpc.proto, DowngradeInfo).
    struct DowngradeInfo: Hashable, Sendable {
        var enabled = false
        var targetVersion = ""
    }
}

/// One alarm of one member (etcd rpc.proto, AlarmMember).
struct AlarmMember: Hashable, Sendable {
    var memberID: UInt64
    var alarm: AlarmType
}

/// What the health service says of a service (grpc health.proto, ServingStatus).
enum ServingStatus: Int32, Sendable {
    case unknown = 0
    case serving = 1
    case notServing = 2
    case serviceUnknown = 3
}

extension ProtoWriter {
    /// A whole StatusResponse.
    mutating func statusResponse(_ status: StatusResponse) {
        header(status.header)
        string(2, status.version)
        int64(3, status.dbSize)
        uint64(4, status.leader)
        uint64(5, status.raftIndex)
        uint64(6, status.raftTerm)
        uint64(7, status.raftAppliedIndex)
        for error in status.errors { string(8, error, keepsDefault: true) }
        int64(9, status.dbSizeInUse)
        bool(10, status.isLearner)
        string(11, status.storageVersion)
        int64(12, status.dbSizeQuota)
        if let info = status.downgradeInfo {
            let open = openMessage(13)
            bool(1, info.enabled)
            string(2, info.targetVersion)
            close(open)
        }
    }

    /// A whole AlarmResponse.
    mutating func alarmResponse(_ header: ResponseHeader, alarms: [AlarmMember]) {
        self.header(header)
        for member in alarms {
            let open = openMessage(2)
            uint64(1, member.memberID)
            int32(2, member.alarm.rawValue)
            close(open)
        }
    }

    /// A whole HashResponse.
    mutating func hashResponse(_ header: ResponseHeader, hash: UInt32) {
        self.header(header)
        uint64(2, UInt64(hash))
    }

    /// A whole HashKVResponse.
    mutating func hashKVResponse(
        _ header: ResponseHeader, hash: UInt32, compactRevision: Int64, hashRevision: Int64
    ) {
        self.header(header)
        uint64(2, UInt64(hash))
        int64(3, compactRevision)
        int64(4, hashRevision)
    }

    /// A whole SnapshotResponse, one chunk of the stream; it has no header (rule G4).
    mutating func snapshotResponse(
        remainingBytes: UInt64, blob: UnsafeRawBufferPointer, version: String
    ) {
        uint64(2, remainingBytes)
        bytes(3, blob)
        string(4, version)
    }

    /// A whole DowngradeResponse.
    mutating func downgradeResponse(_ header: ResponseHeader, version: String) {
        self.header(header)
        string(2, version)
    }

    /// A whole HealthCheckResponse.
    mutating func healthCheckResponse(_ status: ServingStatus) {
        int32(1, status.rawValue)
    }

    /// A whole HealthListResponse: a map is a list of pairs on the wire.
    mutating func healthListResponse(_ statuses: [(service: String, status: ServingStatus)]) {
        for (service, status) in statuses {
            let entry = openMessage(1)
            string(1, service, keepsDefault: true)
            let value = openMessage(2)
            healthCheckResponse(status)
            close(value)
            close(entry)
        }
    }
}
