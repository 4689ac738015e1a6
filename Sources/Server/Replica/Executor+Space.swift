// Executor+Space.swift: what may grow the store, and the alarms that stop it.
// Belongs here: the quota, a full disk, who raised NOSPACE and so may clear it. Never here: when a leader
// looks (BackgroundWork), what the disk has (SpaceGuard).
// Source: etcd semantics M2-M4, T14, S4; wishes 2: an alarm that the store raised goes when its cause is gone.

internal import Storage

/// Why the store raised NOSPACE by itself; written down, so that any leader knows.
enum NoSpaceCause: CaseIterable {
    case quota, disk

    fileprivate var name: MetaTable.Name {
        switch self {
        case .quota: .quotaAlarm
        case .disk: .diskAlarm
        }
    }
}

/// What the quota means in bytes.
enum QuotaMarks {
    /// An alarm of the quota ends when no more than this is in use: nine tenths, so that it does not come
    /// and go with every put.
    static func low(_ quota: Int64) -> Int64 { quota / 10 * 9 }
    /// Operators are warned once more than eight tenths are in use, and again only after it was less than
    /// seven.
    static func isNear(_ quota: Int64, bytesInUse: Int64, wasNear: Bool) -> Bool {
        bytesInUse > quota / 10 * (wasNear ? 7 : 8)
    }
}

extension Executor {
    /// The bytes a put is taken to cost: etcd's estimate for its records (T14).
    static func cost(of request: PutRequest) -> Int64 {
        Int64(256 + request.key.count + request.value.count)
    }

    /// Refuses what would not fit, raising the alarm (M3), and everything while data is corrupt (M4).
    func admit(cost: Int64) throws(RequestFailure) {
        try refuseIfCorrupt()
        guard !alarms.contains(where: { $0.kind == AlarmType.noSpace.rawValue }) else {
            throw .refused(.noSpace)
        }
        // The alarm for it is on its way.
        guard !isDiskFull else { throw .refused(.noSpace) }
        guard let quota = settings.quotaBytes, bytesInUse + cost > quota else { return }
        try raiseNoSpace(.quota)
        throw .refused(.noSpace)
    }

    func refuseIfCorrupt() throws(RequestFailure) {
        guard !alarms.contains(where: { $0.kind == AlarmType.corrupt.rawValue }) else {
            throw .refused(.corrupt)
        }
    }

    /// Whether the alarm that the quota raised has lost its cause.
    ///
    /// - Parameter bytesInUse: of the published state.
    func isQuotaAlarmOver(bytesInUse: Int64) -> Bool {
        guard hasQuotaAlarm else { return false }
        guard let quota = settings.quotaBytes else { return true }
        return bytesInUse <= QuotaMarks.low(quota)
    }

    /// Raises NOSPACE for this member, for a cause that can go.
    ///
    /// A leader that fails may have raised it for itself: then it is this one's from now on.
    func raiseNoSpace(_ cause: NoSpaceCause) throws(RequestFailure) {
        try clearNoSpace(cause)
        // One that an operator raised is theirs to clear.
        let row = AlarmRow(member: identity.memberID, kind: AlarmType.noSpace.rawValue)
        if alarms.contains(row) {
            guard try isOwn(row) else { return }
        }
        try raise(row)
        try storing { () throws(StorageError) in
            try meta.set(cause.name, to: Int64(bitPattern: identity.memberID))
        }
        if cause == .quota { hasQuotaAlarm = true }
    }

    /// Ends what was raised for a cause; the alarm goes unless it has another one.
    func clearNoSpace(_ cause: NoSpaceCause) throws(RequestFailure) {
        if cause == .quota { hasQuotaAlarm = false }
        try storing { () throws(StorageError) in
            guard let member = try meta.value(cause.name) else { return }
            try meta.remove(cause.name)
            for other in NoSpaceCause.allCases where try meta.value(other.name) == member {
                return
            }
            try alarmTable.clear(
                AlarmRow(member: UInt64(bitPattern: member), kind: AlarmType.noSpace.rawValue))
            alarms = try alarmTable.all()
        }
    }

    /// Whether the store raised an alarm by itself.
    private func isOwn(_ row: AlarmRow) throws(RequestFailure) -> Bool {
        try storing { () throws(StorageError) in
            for cause in NoSpaceCause.allCases
            where try meta.value(cause.name) == Int64(bitPattern: row.member) {
                return true
            }
            return false
        }
    }

    /// Forgets why an alarm was raised: an operator raised it too, or ended it.
    func disownNoSpace(of member: UInt64) throws(RequestFailure) {
        try storing { () throws(StorageError) in
            for cause in NoSpaceCause.allCases
            where try meta.value(cause.name) == Int64(bitPattern: member) {
                try meta.remove(cause.name)
                if cause == .quota { hasQuotaAlarm = false }
            }
        }
    }

    /// Raises an alarm; raised already is no error.
    func raise(_ row: AlarmRow) throws(RequestFailure) {
        guard !alarms.contains(row) else { return }
        try storing { () throws(StorageError) in
            try alarmTable.raise(row)
            alarms = try alarmTable.all()
        }
    }
}
