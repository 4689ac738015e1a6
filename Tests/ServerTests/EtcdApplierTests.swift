// EtcdApplierTests.swift: what becomes of a logged request, by the rules of etcd's releases.
// Belongs here: EtcdApplier, one rule a test. Never here: logs (EtcdLogTests), logs of etcd itself (Tests/Conformance).
// Source: as in EtcdApplier.swift.

import Storage
import Testing

@testable import Server

@Suite struct EtcdApplierTests {
    private let rig: ExecutorRig
    private let applier: EtcdApplier

    /// Auth is on, for users "root" and "u".
    ///
    /// "u" may write "/a" and what begins with "/u/", and read "/r". Lease 7 has the key "/b" of somebody else, lease 8
    /// has none.
    init() throws {
        rig = try ExecutorRig()
        applier = EtcdApplier(executor: rig.executor)
        let none = UserAddOptions(noPassword: true)
        try rig.run(.auth(.addUser(AuthUserAddRequest(name: "root", options: none))))
        try rig.run(.auth(.addUser(AuthUserAddRequest(name: "u", options: none))))
        try rig.run(.auth(.addRole(AuthNameRequest(name: "r"))))
        for permission in [
            WirePermission(kind: 1, key: "/a"),
            WirePermission(kind: 1, key: "/u/", rangeEnd: "/u0"),
            WirePermission(kind: 0, key: "/r"),
        ] {
            try rig.run(.auth(.grantPermission(Self.grant(permission))))
        }
        try rig.run(.auth(.grantRole(AuthUserRoleRequest(user: "root", role: "root"))))
        try rig.run(.auth(.grantRole(AuthUserRoleRequest(user: "u", role: "r"))))
        try rig.run(.leaseGrant(LeaseGrantRequest(ttl: 100, id: 7)))
        try rig.run(.leaseGrant(LeaseGrantRequest(ttl: 100, id: 8)))
        try rig.run(.put(PutRequest(key: "/b", lease: 7)))
        try rig.run(.auth(.enable))
    }

    private static func grant(_ permission: WirePermission) -> AuthRoleGrantPermissionRequest {
        AuthRoleGrantPermissionRequest(role: "r", permission: permission)
    }

    private func user(_ name: String, behind: UInt64 = 0) -> Authority {
        .user(Caller(name: name.utf8Bytes, revision: rig.executor.auth.revision - behind))
    }

    private func txn(_ operations: RequestOp...) -> ReplicaRequest.Body {
        .txn(TxnRequest(success: operations))
    }

    private func reason(_ outcome: EtcdOutcome) -> String {
        guard case .stopped(let reason) = outcome else { return "\(outcome)" }
        return reason
    }

    private static let varying = "releases of etcd differ in whether its user may do that"

    // MARK: transactions

    @Test("applier: what each release allows is carried out, what none does is refused")
    func common() throws {
        let (put, other) = (PutRequest(key: "/a"), PutRequest(key: "/b"))
        #expect(try applier.apply(.put(put), by: user("u")) == .applied)
        #expect(try applier.apply(txn(.put(put)), by: user("u")) == .applied)
        let revision = rig.executor.keys.revision
        #expect(try applier.apply(.put(other), by: user("u")) == .refused)
        #expect(try applier.apply(txn(.put(put), .put(other)), by: user("u")) == .refused)
        #expect(try applier.apply(.put(put), by: user("u", behind: 1)) == .refused)
        #expect(try applier.apply(.put(put), by: .nobody) == .refused)
        #expect(try applier.apply(.put(PutRequest(key: "/a", lease: 7)), by: user("u")) == .refused)
        #expect(rig.executor.keys.revision == revision)
        #expect(try applier.apply(.put(other), by: user("root")) == .applied)
    }

    @Test("applier: a put in a transaction, with another's lease or prev_kv, stops the import")
    func putsOfTransactions() throws {
        for put in [
            PutRequest(key: "/a", lease: 7), PutRequest(key: "/a", prevKV: true),
        ] {
            #expect(reason(try applier.apply(txn(.put(put)), by: user("u"))) == Self.varying)
            #expect(try applier.apply(txn(.put(put)), by: user("root")) == .applied)
        }
        let own = PutRequest(key: "/a", lease: 8)
        #expect(try applier.apply(txn(.put(own)), by: user("u")) == .applied)
    }

    @Test("applier: a nested transaction that its user may not do stops the import, if it acts")
    func nested() throws {
        let put = RequestOp.txn(TxnRequest(success: [.put(PutRequest(key: "/b"))]))
        #expect(reason(try applier.apply(txn(put), by: user("u"))) == Self.varying)
        #expect(reason(try applier.apply(txn(put), by: .nobody)) == Self.varying)
        let get = RequestOp.txn(TxnRequest(success: [.range(RangeRequest(key: "/b"))]))
        #expect(try applier.apply(txn(get), by: user("u")) == .applied)
        let missing = RequestOp.txn(
            TxnRequest(success: [.deleteRange(DeleteRangeRequest(key: "/c"))]))
        #expect(try applier.apply(txn(missing), by: user("u")) == .applied)
        // What is beside it is checked by all.
        #expect(
            try applier.apply(txn(put, .put(PutRequest(key: "/b"))), by: user("u")) == .refused)
        let own = RequestOp.txn(TxnRequest(success: [.put(PutRequest(key: "/a"))]))
        #expect(try applier.apply(txn(own), by: user("u")) == .applied)
    }

    @Test("applier: a range that ends before it begins matters only beside what changes something")
    func emptyRanges() throws {
        let empty = DeleteRangeRequest(key: "/u/9", rangeEnd: "/u/1")
        #expect(try applier.apply(.deleteRange(empty), by: user("u")) == .applied)
        let both = txn(.deleteRange(empty), .put(PutRequest(key: "/a")))
        #expect(reason(try applier.apply(both, by: user("u"))) == Self.varying)
        #expect(try applier.apply(both, by: user("root")) == .applied)
        let foreign = DeleteRangeRequest(key: "/v", rangeEnd: "/b")
        #expect(try applier.apply(txn(.deleteRange(foreign)), by: user("u")) == .refused)
    }

    // MARK: leases

    @Test("applier: a lease without keys is anybody's to revoke, one with keys its writers'")
    func revokes() throws {
        let (leased, free) = (LeaseRevokeRequest(id: 7), LeaseRevokeRequest(id: 8))
        #expect(try applier.apply(.leaseRevoke(leased), by: user("u")) == .refused)
        #expect(try applier.apply(.leaseRevoke(leased), by: .nobody) == .refused)
        #expect(try applier.apply(.leaseRevoke(free), by: .nobody) == .applied)
        #expect(rig.executor.leases[8] == nil && rig.executor.leases[7] != nil)
        try rig.run(.leaseGrant(LeaseGrantRequest(ttl: 100, id: 9)), by: .member)
        let another = ReplicaRequest.Body.leaseRevoke(LeaseRevokeRequest(id: 9))
        #expect(try applier.apply(another, by: user("u", behind: 1)) == .applied)
        // It is gone in all of them.
        #expect(try applier.apply(.leaseRevoke(free), by: user("u")) == .refused)
        #expect(try applier.apply(.leaseRevoke(leased), by: user("root")) == .applied)
        #expect(rig.executor.leases[7] == nil)
    }

    @Test("applier: newer releases ask root for no revision before it revokes a lease")
    func revokesOfRoot() throws {
        let outcome = try applier.apply(
            .leaseRevoke(LeaseRevokeRequest(id: 7)), by: user("root", behind: 1))
        #expect(reason(outcome) == Self.varying)
    }

    // MARK: alarms

    @Test("applier: under an alarm old releases check nothing, and want of space is refused by all")
    func alarms() throws {
        let delete = ReplicaRequest.Body.deleteRange(DeleteRangeRequest(key: "/b"))
        #expect(try applier.apply(delete, by: user("u")) == .refused)
        let raise = AlarmRequest(action: .activate, memberID: 1, alarm: .noSpace)
        #expect(try applier.apply(.alarm(raise), by: .member) == .applied)
        #expect(try applier.apply(.put(PutRequest(key: "/b")), by: user("u")) == .refused)
        #expect(try applier.apply(.put(PutRequest(key: "/a")), by: user("u")) == .refused)
        let revoke = ReplicaRequest.Body.leaseRevoke(LeaseRevokeRequest(id: 7))
        #expect(reason(try applier.apply(revoke, by: user("u"))) == Self.varying)
        #expect(reason(try applier.apply(.auth(.disable), by: user("u"))) == Self.varying)
    }

    @Test("applier: old releases do not refuse nested puts for want of space")
    func nestedPutsWithoutSpace() throws {
        let raise = AlarmRequest(action: .activate, memberID: 1, alarm: .noSpace)
        #expect(try applier.apply(.alarm(raise), by: .member) == .applied)
        let put = RequestOp.put(PutRequest(key: "/a"))
        #expect(try applier.apply(txn(put), by: user("root")) == .refused)
        let nested = txn(.txn(TxnRequest(success: [put])))
        #expect(reason(try applier.apply(nested, by: user("root"))).contains("a nested put"))
    }

    // MARK: users and roles

    @Test("applier: permissions that some releases grant and others don't stop the import")
    func permissions() throws {
        func outcome(_ permission: WirePermission, role: String = "r") throws -> EtcdOutcome {
            let request = AuthRoleGrantPermissionRequest(role: role, permission: permission)
            return try applier.apply(.auth(.grantPermission(request)), by: user("root"))
        }
        for permission in [
            WirePermission(kind: 2, key: "/z", rangeEnd: "/y"),
            WirePermission(kind: 2, key: "/z", rangeEnd: "/z"),
            WirePermission(kind: 2, key: "", rangeEnd: [0]),
        ] {
            #expect(reason(try outcome(permission)).contains("a permission on no key"))
            #expect(try outcome(permission, role: "none") == .refused)
        }
        #expect(reason(try outcome(WirePermission(kind: 9, key: "/z"))).contains("not known"))
        #expect(try outcome(WirePermission(kind: 2, key: "/a")) == .applied)
        #expect(try outcome(WirePermission(kind: 2, key: "/a", rangeEnd: "/b")) == .applied)
        #expect(reason(try outcome(WirePermission(kind: 0, key: "/a"))).contains("beside one"))
        #expect(
            try applier.apply(
                .auth(.grantPermission(Self.grant(WirePermission(key: "/z", rangeEnd: "/y")))),
                by: user("u")) == .refused)
    }

    @Test("applier: changes of users need the role root, under any release")
    func changes() throws {
        let add = ReplicaRequest.Body.auth(.addRole(AuthNameRequest(name: "new")))
        #expect(try applier.apply(add, by: user("u")) == .refused)
        #expect(try applier.apply(add, by: .nobody) == .refused)
        #expect(try applier.apply(add, by: user("root", behind: 2)) == .applied)
        #expect(try applier.apply(add, by: user("root")) == .refused)
    }

    @Test("applier: without auth nobody is asked who it is")
    func withoutAuth() throws {
        #expect(try applier.apply(.auth(.disable), by: user("root")) == .applied)
        let put = PutRequest(key: "/b", lease: 7)
        #expect(try applier.apply(txn(.put(put)), by: .nobody) == .applied)
        #expect(try applier.apply(.leaseRevoke(LeaseRevokeRequest(id: 7)), by: .nobody) == .applied)
    }

    @Test("ranges: a permission of an old release on the empty key is one on nothing")
    func emptyKey() {
        let ranges = KeyRanges([(key: [], rangeEnd: [0]), (key: [], rangeEnd: Array("b".utf8))])
        #expect(ranges.isEmpty)
        #expect(!ranges.covers(KeyBounds(start: "a", end: .single)))
    }
}
