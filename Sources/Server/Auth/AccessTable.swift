// AccessTable.swift: what each RPC needs of its caller once calls are checked: the one table for all of them.
// Belongs here: one line for each method. Never here: what keys a request names (KeyAccess.swift).
// Source: services.tsv, column auth_needs, in its newest reading; etcd semantics A6, A8, A9. No `default`: a new
// method does not compile before it has its line.

/// What a method needs of its caller.
enum AccessNeed: Equatable, Sendable {
    /// Nothing: it is how one logs in, or says no more than that the server lives.
    case nothing
    /// That it is a user.
    case user
    /// The role "root".
    case root
    /// The role "root", or that it asks about itself.
    case rootOrOwn
    /// Permissions on the keys that the request names, or that are attached to its lease.
    case keys
    /// That of the action of an alarm request: `user` to list, `root` to change.
    case alarm
}

/// Who checks what a method needs.
enum AccessPlace: Equatable, Sendable {
    /// The member that was asked, as soon as the request comes.
    case onArrival
    /// The member that was asked, when its state is as new as the read has to be.
    case onReading
    /// The leader, in the order of the log, against the state the request is carried out on.
    case onExecution
}

/// One line of the table.
struct AccessRule: Equatable, Sendable {
    let need: AccessNeed
    let place: AccessPlace
}

extension Method {
    /// What the method needs of its caller, and who checks it.
    var access: AccessRule {
        switch self {
        case .range, .rangeStream: AccessRule(need: .keys, place: .onReading)
        case .put, .deleteRange: AccessRule(need: .keys, place: .onExecution)
        // One that only reads is checked like a range.
        case .txn: AccessRule(need: .keys, place: .onExecution)
        case .compact: AccessRule(need: .root, place: .onExecution)
        case .watch: AccessRule(need: .keys, place: .onReading)
        case .leaseGrant: AccessRule(need: .user, place: .onExecution)
        case .leaseRevoke, .leaseKeepAlive, .leaseTimeToLive, .leaseLeases:
            AccessRule(need: .keys, place: .onExecution)
        case .memberList: AccessRule(need: .user, place: .onReading)
        case .memberAdd, .memberRemove, .memberUpdate, .memberPromote:
            AccessRule(need: .root, place: .onExecution)
        case .alarm: AccessRule(need: .alarm, place: .onExecution)
        case .status: AccessRule(need: .user, place: .onArrival)
        case .defragment, .hash, .hashKV, .snapshot, .moveLeader, .downgrade:
            AccessRule(need: .root, place: .onArrival)
        case .authEnable, .authDisable, .userAdd, .userDelete, .userChangePassword, .userGrantRole,
            .userRevokeRole, .roleAdd, .roleDelete, .roleGrantPermission, .roleRevokePermission:
            AccessRule(need: .root, place: .onExecution)
        case .userList, .roleList: AccessRule(need: .root, place: .onReading)
        case .userGet, .roleGet: AccessRule(need: .rootOrOwn, place: .onReading)
        case .authStatus, .authenticate: AccessRule(need: .nothing, place: .onArrival)
        case .healthCheck, .healthWatch, .healthList: AccessRule(need: .nothing, place: .onArrival)
        // They are calls of others, each made with the caller's own credentials and checked as such.
        case .lock, .unlock, .campaign, .proclaim, .leader, .observe, .resign:
            AccessRule(need: .nothing, place: .onArrival)
        }
    }
}

extension ReplicaRequest.Body {
    /// The method whose need a request of the log, or about leases, has; nil: members send it on their own, and
    /// no client can.
    var method: Method? {
        switch self {
        case .put: .put
        case .deleteRange: .deleteRange
        case .txn: .txn
        case .compact: .compact
        case .leaseGrant: .leaseGrant
        case .leaseRevoke: .leaseRevoke
        case .leaseKeepAlive: .leaseKeepAlive
        case .leaseTimeToLive: .leaseTimeToLive
        case .leaseLeases: .leaseLeases
        case .alarm: .alarm
        case .moveLeader: .moveLeader
        case .memberAdd: .memberAdd
        case .memberRemove: .memberRemove
        case .memberUpdate: .memberUpdate
        case .memberPromote: .memberPromote
        case .auth(let command): command.method
        case .loginUsed, .publishMember, .memberReplace, .readIndex, .subscribe: nil
        }
    }
}
