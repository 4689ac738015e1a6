// ClusterAuthTests.swift: users and logins of three members in one process, under time of the test's own.
// Belongs here: what travels with a forwarded request, deadlines, failover. Never here: rules of one (AuthTests).
// Source: etcd semantics A4, A5; invariant: all members hold the same bytes.

import Raft
import Storage
import Testing

@testable import Server

@Suite struct ClusterAuthTests {
    private static let digest = Bytes([UInt8](repeating: 7, count: AuthLimits.digestBytes))

    private func user(_ name: String, _ revision: UInt64 = 99) -> Authority {
        .user(Caller(name: Array(name.utf8), revision: revision))
    }

    private func isAnswered(_ outcome: Outcome?) -> Bool {
        if case .answer? = outcome { return true }
        return false
    }

    /// Three members with auth on, whose user "u" may write b"u".
    private func guarded() throws -> ClusterWorld {
        let cluster = try ClusterWorld(3) { $0.executor.tokenTTLSeconds = 10 }
        let leader = try #require(cluster.awaitLeader())
        cluster.run(milliseconds: 300)
        let commands: [AuthCommand] = [
            .addUser(AuthUserAddRequest(name: "root")),
            .grantRole(AuthUserRoleRequest(user: "root", role: "root")),
            .addUser(AuthUserAddRequest(name: "u")), .addRole(AuthNameRequest(name: "r")),
            .grantPermission(
                AuthRoleGrantPermissionRequest(
                    role: "r", permission: WirePermission(kind: 1, key: "u"))),
            .grantRole(AuthUserRoleRequest(user: "u", role: "r")), .enable,
        ]
        // From every member in turn: what changes users is forwarded as everything else is.
        for (number, command) in commands.enumerated() {
            let outcome = cluster.ask((leader + number) % 3, .auth(command))
            #expect(isAnswered(outcome), "\(command)")
        }
        cluster.run(milliseconds: 200)
        return cluster
    }

    private func expectEqual(_ cluster: ClusterWorld) {
        let hashes = cluster.rigs.compactMap { $0?.pages.committedState.databaseHash }
        #expect(Set(hashes).count == 1)
        let marks = cluster.rigs.compactMap { $0?.status.authMark.rawValue }
        #expect(Set(marks).count == 1 && marks.first.map { $0 & 1 } == 1)
    }

    @Test("forwarding: the user goes with the request, whichever member it came by")
    func identity() throws {
        let cluster = try guarded()
        let denied = Outcome.failure(EtcdError.permissionDenied.status)
        for place in 0..<3 {
            #expect(isAnswered(cluster.ask(place, .put("u", "1"), by: user("u"))))
            #expect(cluster.ask(place, .put("v", "1"), by: user("u")) == denied)
            #expect(isAnswered(cluster.ask(place, .put("v", "1"), by: user("root"))))
            #expect(
                cluster.ask(place, .put("u", "1"))
                    == .failure(EtcdError.userNameEmpty.status))
            #expect(
                cluster.ask(place, .put("u", "1"), by: user("u", 3))
                    == .failure(EtcdError.authRevisionOld.status))
            #expect(
                cluster.ask(place, .leaseLeases) == .failure(EtcdError.userNameEmpty.status))
        }
        cluster.run(milliseconds: 200)
        expectEqual(cluster)
    }

    @Test("failover: a new leader checks by the same users, and a former one once it is back")
    func failover() throws {
        let cluster = try guarded()
        let leader = try #require(cluster.leader)
        cluster.kill(leader)
        let next = try #require(cluster.awaitLeader(not: leader))
        #expect(isAnswered(cluster.ask(next, .put("u", "2"), by: user("u"))))
        #expect(cluster.ask(next, .put("u", "2")) == .failure(EtcdError.userNameEmpty.status))
        let command = AuthCommand.revokeRole(AuthUserRoleRequest(user: "u", role: "r"))
        #expect(isAnswered(cluster.ask(next, .auth(command), by: user("root"))))
        try cluster.start(leader, founders: 3)
        cluster.run(milliseconds: 2000)
        #expect(
            cluster.ask(leader, .put("u", "3"), by: user("u"))
                == .failure(EtcdError.permissionDenied.status))
        expectEqual(cluster)
    }

    /// Logins that a member knows of.
    private func logins(_ cluster: ClusterWorld, _ place: Int) throws -> Int {
        try cluster[place].read { (reader, _) throws(StorageError) in
            try AuthTokenTable(connection: reader.connection).all().count
        }
    }

    @Test(
        "logins: use on any member keeps one alive, also under a new leader; then it ends everywhere"
    )
    func logins() throws {
        let cluster = try guarded()
        let leader = try #require(cluster.leader)
        let login = LoginRequest(name: "u", hash: Bytes(), digest: Self.digest)
        let answer = cluster.ask((leader + 1) % 3, .auth(.login(login)))
        guard case .answer(let bytes)? = answer else {
            Issue.record("\(answer as Any)")
            return
        }
        let index = try LoginResponse(decoding: bytes).index
        cluster.run(milliseconds: 200)
        for place in 0..<3 {
            let row = try cluster[place].read { (reader, _) throws(StorageError) in
                try AuthTokenTable(connection: reader.connection).row(digest: Self.digest.array)
            }
            #expect(row?.index == UInt64(index) && row?.user == Array("u".utf8))
        }
        let used = ReplicaRequest.Body.loginUsed(LoginUsedRequest(digest: Self.digest))
        for _ in 0..<4 {
            cluster.run(milliseconds: 6000)
            #expect(isAnswered(cluster.ask((leader + 2) % 3, used)))
        }
        #expect(try logins(cluster, leader) == 1)
        cluster.kill(leader)
        let next = try #require(cluster.awaitLeader(not: leader))
        // It has its full time again: who used it when, the new leader can't know.
        cluster.run(milliseconds: 9000)
        #expect(try logins(cluster, next) == 1)
        try cluster.start(leader, founders: 3)
        cluster.run(milliseconds: 5000)
        for place in 0..<3 { #expect(try logins(cluster, place) == 0) }
        expectEqual(cluster)
    }
}
