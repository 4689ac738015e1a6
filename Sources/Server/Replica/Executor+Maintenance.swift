// Executor+Maintenance.swift: compaction and alarms.
// Belongs here: what goes through the log. Never here: the pace of compaction (Replica+Background.swift).
// Source: etcd semantics C1-C5, M2-M4.

internal import Storage

extension Executor {
    func compact(_ request: CompactionRequest) throws(RequestFailure) -> Execution {
        try refuseIfCorrupt()
        guard request.revision > compacted else { throw .refused(.compacted) }
        guard request.revision <= keys.revision else { throw .refused(.futureRevision) }
        try beginCompaction(at: request.revision)
        var writer = ProtoWriter()
        writer.headerOnlyResponse(header(revision: keys.revision))
        return request.physical
            ? .answerWhenCompacted(writer.take()) : .answer(writer.take())
    }

    /// Makes a revision the compacted one; its rows go in steps.
    func beginCompaction(at revision: Int64) throws(RequestFailure) {
        #if SIMULATION
            if ServerBug.compactsOneMore.isPlanted, revision < keys.revision {
                try storing { () throws(StorageError) in try compactor.begin(at: revision + 1) }
                compacted = revision + 1
                hasNewCompaction = true
                return
            }
        #endif
        try storing { () throws(StorageError) in
            try compactor.begin(at: revision)
        }
        compacted = revision
        hasNewCompaction = true
    }

    /// Raises CORRUPT for this member: from now on nothing is written (M4).
    func raiseCorrupt() throws(RequestFailure) {
        try raise(AlarmRow(member: identity.memberID, kind: AlarmType.corrupt.rawValue))
    }

    func alarm(_ request: AlarmRequest) throws(RequestFailure) -> [UInt8] {
        var shown: [AlarmRow] = []
        let row = AlarmRow(member: request.memberID, kind: request.alarm.rawValue)
        switch request.action {
        case .get:
            shown = alarms.filter { request.alarm == .none || $0.kind == request.alarm.rawValue }
        case .activate:
            if request.alarm != .none {
                if request.alarm == .noSpace { try disownNoSpace(of: request.memberID) }
                try raise(row)
                shown = [row]
            }
        case .deactivate:
            if alarms.contains(row) {
                if request.alarm == .noSpace { try disownNoSpace(of: request.memberID) }
                try storing { () throws(StorageError) in
                    try alarmTable.clear(row)
                    alarms = try alarmTable.all()
                }
                shown = [row]
            }
        default: break
        }
        var writer = ProtoWriter()
        writer.alarmResponse(
            header(revision: keys.revision),
            alarms: shown.map {
                AlarmMember(memberID: $0.member, alarm: AlarmType(rawValue: $0.kind))
            })
        return writer.take()
    }
}
