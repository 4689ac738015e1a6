// AuthTests.swift: who calls and what that allows, rule by rule, where a real client can't look.
// Belongs here: the table of needs, races with changes, what travels between members, bounds. Never here: what clients
// see (Tests/Conformance/test_auth*.py), random requests (AuthRandomTests).
// Source: etcd semantics A; services.tsv.

import Storage
import Testing
import Transport

@testable import Server

@Suite struct AuthTests {
    // MARK: the table of needs

    @Test("table: open are logging in, asking whether one must, health, and what only calls others")
    func open() {
        let open = Method.allCases.filter { $0.access.need == .nothing }
        #expect(
            open == [
                .authStatus, .authenticate, .healthCheck, .healthWatch, .healthList, .lock, .unlock,
                .campaign, .proclaim, .leader, .observe, .resign,
            ])
    }

    @Test("table: what only root may do")
    func root() {
        let root = Method.allCases.filter { $0.access.need == .root }
        #expect(
            Set(root) == [
                .compact, .memberAdd, .memberRemove, .memberUpdate, .memberPromote, .defragment,
                .hash, .hashKV, .snapshot, .moveLeader, .downgrade, .authEnable, .authDisable,
                .userAdd,
                .userList, .userDelete, .userChangePassword, .userGrantRole, .userRevokeRole,
                .roleAdd, .roleList, .roleDelete, .roleGrantPermission, .roleRevokePermission,
            ])
    }

    // MARK: the executor

    private static let root = Authority.user(Caller(name: AuthState.root, revision: 99))

    /// An executor with auth on, whose user "u" may write b"a".
    private func executor() throws -> ExecutorRig {
        let rig = try ExecutorRig()
        let commands: [AuthCommand] = [
            .addUser(AuthUserAddRequest(name: "root")),
            .grantRole(AuthUserRoleRequest(user: "root", role: "root")),
            .addUser(AuthUserAddRequest(name: "u")), .addRole(AuthNameRequest(name: "r")),
            .grantPermission(
                AuthRoleGrantPermissionRequest(
                    role: "r", permission: WirePermission(kind: 1, key: "a"))),
            .grantRole(AuthUserRoleRequest(user: "u", role: "r")), .enable,
        ]
        for command in commands { _ = try rig.executor.execute(.auth(command)) }
        return rig
    }

    private func refusal(
        _ rig: ExecutorRig, _ body: ReplicaRequest.Body, by authority: Authority
    ) -> EtcdError? {
        do throws(RequestFailure) {
            _ = try rig.executor.execute(body, by: authority)
            return nil
        } catch {
            if case .refused(let reason) = error { return reason }
            return .corrupt
        }
    }

    @Test("execution: a user whom the asking member knew by older users is sent back")
    func staleRevision() throws {
        let rig = try executor()
        let now = rig.executor.auth.revision
        #expect(now == 7)
        func user(_ revision: UInt64) -> Authority {
            .user(Caller(name: Array("u".utf8), revision: revision))
        }
        #expect(refusal(rig, .put("a", "1"), by: user(now)) == nil)
        #expect(refusal(rig, .put("b", "1"), by: user(now)) == .permissionDenied)
        #expect(refusal(rig, .put("a", "1"), by: user(now - 1)) == .authRevisionOld)
        #expect(refusal(rig, .delete("a"), by: user(now - 1)) == .authRevisionOld)
        // Leases go on while users change, as in etcd: whoever holds a lock by one would give it up.
        #expect(
            refusal(rig, .leaseGrant(LeaseGrantRequest(ttl: 9, id: 5)), by: user(now - 1)) == nil)
        try rig.executor.authorize(.leaseKeepAlive(LeaseKeepAliveRequest(id: 5)), by: user(now - 1))
        // But their keys are told by the permissions of now.
        func told(_ body: ReplicaRequest.Body) -> EtcdError? {
            do throws(RequestFailure) {
                try rig.executor.authorize(body, by: user(now - 1))
                return nil
            } catch {
                if case .refused(let reason) = error { return reason }
                return .corrupt
            }
        }
        #expect(told(.leaseTimeToLive(LeaseTimeToLiveRequest(id: 5, keys: false))) == nil)
        #expect(
            told(.leaseTimeToLive(LeaseTimeToLiveRequest(id: 5, keys: true))) == .authRevisionOld)
        #expect(told(.leaseLeases) == .authRevisionOld)
        #expect(
            refusal(rig, .leaseRevoke(LeaseRevokeRequest(id: 5)), by: user(now - 1))
                == .authRevisionOld)
        #expect(refusal(rig, .put("a", "1"), by: .nobody) == .userNameEmpty)
        #expect(
            refusal(rig, .put("a", "1"), by: .user(Caller(name: [], revision: now)))
                == .userNameEmpty)
        // What root may do does not depend on it, as in etcd
        let addRole = ReplicaRequest.Body.auth(.addRole(AuthNameRequest(name: "x")))
        #expect(refusal(rig, addRole, by: user(now)) == .permissionDenied)
        #expect(
            refusal(rig, addRole, by: .user(Caller(name: Array("gone".utf8), revision: now)))
                == .userNotFound)
        #expect(refusal(rig, addRole, by: Self.root) == nil)
    }

    @Test("execution: a refusal writes nothing, and takes nothing else of its batch with it")
    func refusalInBatch() throws {
        let rig = try executor()
        #expect(refusal(rig, .put("a", "1"), by: Self.root) == nil)
        #expect(refusal(rig, .put("a", "2"), by: .nobody) == .userNameEmpty)
        #expect(!rig.executor.hasChangedKeys)
        #expect(try rig.content() == ["a=1@2"])
    }

    @Test("execution: members need no user for what they do on their own")
    func members() throws {
        let rig = try executor()
        let publish = ReplicaRequest.Body.publishMember(PublishMemberRequest(id: 1))
        #expect(refusal(rig, publish, by: .nobody) == .memberNotFound)
        let promote = ReplicaRequest.Body.memberPromote(MemberPromoteRequest(id: 1))
        #expect(refusal(rig, promote, by: .nobody) == .userNameEmpty)
        #expect(refusal(rig, promote, by: .member) == .memberNotFound)
    }

    @Test("execution: a login is void if the password changed after it was looked at")
    func loginRace() throws {
        let rig = try executor()
        let login = LoginRequest(
            name: "u", hash: "another hash", digest: Bytes([UInt8](repeating: 1, count: 32)))
        #expect(refusal(rig, .auth(.login(login)), by: .nobody) == .authenticationFailed)
        var right = login
        right.hash = Bytes()
        right.digest = "short"
        #expect(refusal(rig, .auth(.login(right)), by: .nobody) == .authenticationFailed)
        right.digest = login.digest
        #expect(refusal(rig, .auth(.login(right)), by: .nobody) == nil)
        #expect(rig.executor.logins.count == 1)
        #expect(refusal(rig, .auth(.deleteUser(AuthNameRequest(name: "u"))), by: Self.root) == nil)
        #expect(rig.executor.logins.count == 0)
        #expect(try rig.executor.loginTable.all().isEmpty)
    }

    @Test("header: it tells states with other users apart, and keeps the alarms")
    func mark() throws {
        let rig = try ExecutorRig()
        var seen: [UInt64] = []
        func note() {
            let header = rig.executor.stateHeader
            seen.append(AuthMark(header: header).rawValue)
            #expect(UInt8(truncatingIfNeeded: header.spare) == rig.executor.alarmKinds)
        }
        note()
        let commands: [AuthCommand] = [
            .addUser(AuthUserAddRequest(name: "root")),
            .grantRole(AuthUserRoleRequest(user: "root", role: "root")), .enable, .disable,
        ]
        for command in commands {
            _ = try rig.executor.execute(.auth(command), by: Self.root)
            note()
        }
        #expect(seen == seen.sorted() && Set(seen).count == seen.count)
        try rig.run(.alarm(AlarmRequest(action: .activate, memberID: 1, alarm: .noSpace)))
        note()
        #expect(seen.suffix(2).first == seen.last)
    }

    @Test("format: with auth on, a release that knows no users refuses the store")
    func format() throws {
        let rig = try executor()
        #expect(try rig.executor.meta.value(.formatVersion) == Schema.formatVersionWithAuth)
        #expect(try Schema.exists(on: rig.connection))
        _ = try rig.executor.execute(.auth(.disable), by: Self.root)
        #expect(try rig.executor.meta.value(.formatVersion) == Schema.formatVersion)
    }

    // MARK: between members

    @Test("forwarding: the user travels, and what the leader is asked for")
    func forwarding() throws {
        let commands: [AuthCommand] = [
            .enable, .disable, .addUser(AuthUserAddRequest(name: "u", hashedPassword: "h")),
            .deleteUser(AuthNameRequest(name: "u")),
            .changePassword(AuthUserChangePasswordRequest(name: "u", hashedPassword: "h")),
            .grantRole(AuthUserRoleRequest(user: "u", role: "r")),
            .revokeRole(AuthUserRoleRequest(user: "u", role: "r")),
            .addRole(AuthNameRequest(name: "r")), .deleteRole(AuthNameRequest(name: "r")),
            .grantPermission(
                AuthRoleGrantPermissionRequest(
                    role: "r", permission: WirePermission(kind: 2, key: "k"))),
            .revokePermission(AuthRoleRevokePermissionRequest(role: "r", key: "k", rangeEnd: "l")),
            .login(LoginRequest(name: "u", hash: "h", digest: "d")),
        ]
        let bodies =
            commands.map { ReplicaRequest.Body.auth($0) } + [
                .loginUsed(LoginUsedRequest(digest: "d")), .put("a", "1"),
            ]
        for (number, body) in bodies.enumerated() {
            let caller = Caller(name: Array("user".utf8), revision: 7)
            let request = ForwardedRequest(
                sequence: UInt64(number), body: body, byteCount: 1, authority: .user(caller))
            let fields = try #require(ForwardedRequestFields(request))
            let again = try ForwardedRequestFields(decoding: fields.encoded())
            #expect(again == fields)
            let taken = ForwardedRequest(
                sequence: UInt64(number), body: try again.body(), byteCount: 1,
                authority: again.authority)
            #expect(ForwardedRequestFields(taken) == fields)
            #expect(again.authority.caller?.name == caller.name)
            #expect(again.authority.caller?.revision == 7)
        }
        let nobody = try #require(
            ForwardedRequestFields(
                ForwardedRequest(sequence: 1, body: .put("a", "1"), byteCount: 1)))
        guard case .nobody = nobody.authority else {
            Issue.record("\(nobody)")
            return
        }
    }

    // MARK: tokens

    @Test("token: of a login that this member has yet to apply, it waits in order, and then counts")
    func tokenAhead() throws {
        let rig = try GuardedRig.enabled()
        let token = try #require(rig.logIn("root", "r"))
        // A member that is behind, and not alone
        rig.rig.status.readsLocally = false
        let early = "abcdefghijklmnop.\(rig.rig.status.applied + 1000)"
        let calls = (0..<2).map { _ in FakeCall() }
        for call in calls {
            call.credentials = Credentials(token: early)
            rig.begin(call, .range, RangeRequest(key: "a", serializable: true).encoded())
            #expect(call.isOpen && call.messages.isEmpty)
        }
        guard case .readIndex? = rig.loop.submitted.first?.body else {
            Issue.record("nobody was asked")
            return
        }
        // Up to date, there is still no such login
        rig.rig.status.readsLocally = true
        rig.run()
        for call in calls { #expect(call.status == EtcdError.invalidAuthToken.status) }
        let right = rig.call(.range, RangeRequest(key: "a").encoded(), token: token)
        #expect(right.status == .ok)
    }

    @Test(
        "token: used again and again it is looked up once, and the leader hears of it now and then")
    func renewals() throws {
        let rig = try GuardedRig.enabled()
        let token = try #require(rig.logIn("root", "r"))
        func use() -> Int {
            let call = FakeCall()
            call.credentials = Credentials(token: token)
            rig.begin(call, .range, RangeRequest(key: "a").encoded())
            return rig.loop.takeSubmitted().filter {
                if case .loginUsed = $0.body { return true }
                return false
            }.count
        }
        #expect((0..<10).map { _ in use() } == [1] + Array(repeating: 0, count: 9))
        rig.loop.pass(milliseconds: 300_000 / AuthLimits.renewalsPerLifetime)
        #expect((0..<3).map { _ in use() } == [1, 0, 0])
    }

    @Test("token: each login has another secret, of 16 letters")
    func secrets() throws {
        let rig = try GuardedRig.enabled()
        let secrets = (0..<200).map { _ in rig.front.auth.makeSecret() }
        #expect(Set(secrets).count == secrets.count)
        #expect(secrets.allSatisfy { $0.utf8.count == 16 && $0.allSatisfy(\.isLetter) })
    }

    @Test("login clock: a login ends so long after its last use, and is counted for its user")
    func loginClock() {
        var clock = LoginClock(lifetimeMilliseconds: 100)
        func at(_ time: UInt64) -> Tick { Tick(milliseconds: time) }
        clock.add([1], of: [7], now: at(0))
        clock.add([2], of: [7], now: at(10))
        clock.add([3], of: [8], now: at(20))
        #expect(clock.count == 3 && clock.count(of: [7]) == 2 && clock.nextDeadline == at(100))
        clock.renew([1], now: at(50))
        clock.renew([9], now: at(50))
        #expect(clock.expired(now: at(109), limit: 10) == [])
        #expect(clock.expired(now: at(115), limit: 10) == [[2]])
        clock.remove([2])
        #expect(clock.count(of: [7]) == 1)
        #expect(clock.expired(now: at(200), limit: 1) == [[3]])
        #expect(clock.expired(now: at(200), limit: 1) == [[1]])
        clock.remove([1])
        clock.remove([3])
        #expect(clock.count == 0 && clock.count(of: [7]) == 0 && clock.nextDeadline == nil)
        for digest in 0..<5 as Range<UInt8> { clock.add([digest], of: [digest % 2], now: at(300)) }
        #expect(clock.removeAll(of: [0]) == [[0], [2], [4]])
        #expect(clock.expired(now: at(400), limit: 10) == [[1], [3]])
    }

    // MARK: passwords

    @Test(
        "bcrypt: hashes that etcd 3.5.16 made, also of passwords that are not ASCII",
        arguments: [
            ("U*U", "$2a$04$SohC5eHYcmJ8XjFfRuKD8eJ10KR6csuzkwdXUF4z2dg4GYBGyYbui"),
            ("", "$2a$04$p5U6OR9bGN5JydS1GLRhjeUZS09x8LxgoPgJjRN7vYfSFYtvxnNDG"),
            ("\u{ff}\u{ff}\u{a3}", "$2a$04$ikdWqRQkkY8tUjvu4yIUf.YJKTjUOzF/s3gfcTyaEOi10gQHhrTZm"),
            ("p\u{e4}\u{df}", "$2a$04$CYY2JAJXfk1rTjsyHnU10OlVGoSOYmM.0jNnvJfjExihcqwZbqnly"),
            (
                String(repeating: "🔑", count: 18),
                "$2a$04$nVbGKJdN5XCNvTLzCjUCKuT5XcgAOoGr7XJjL0jyqn3.hlEp0mI.2"
            ),
        ])
    func knownHashes(password: String, hash: String) {
        #expect(PasswordHash.matches(password.utf8Bytes, hash.utf8Bytes))
        #expect(
            !PasswordHash.matches(password.utf8Bytes + [1], hash.utf8Bytes)
                || password.utf8.count >= 72)
        #expect(!PasswordHash.matches(Array("x".utf8), hash.utf8Bytes))
    }

    @Test("bcrypt: what is hashed here is found again, and nothing else")
    func hashing() throws {
        let salt = Array(0..<16 as Range<UInt8>)
        for password in ["", "a", "pass", "\u{e9}\u{df}", String(repeating: "x", count: 72)] {
            let bytes = password.utf8Bytes
            let hash = try #require(PasswordHash.make(bytes, cost: 4, salt: salt))
            #expect(PasswordHash.isHash(hash) && hash.starts(with: "$2a$04$".utf8))
            #expect(PasswordHash.matches(bytes, hash))
            #expect(!PasswordHash.matches(bytes.dropLast() + [1], hash))
            #expect(!PasswordHash.matches(bytes + [0], hash))
        }
        for text in ["", "$2a$04$", "$2a$99$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"]
        {
            #expect(!PasswordHash.matches([], Array(text.utf8)))
        }
    }

    @Test("login: a name that there is not costs as much as a wrong password, and a right one once")
    func cost() throws {
        let rig = try GuardedRig.enabled()
        func turns(_ name: String, _ password: String) -> (hashes: Bool, status: RPCStatus?) {
            let call = FakeCall()
            rig.begin(
                call, .authenticate, AuthenticateRequest(name: name, password: password).encoded())
            let hashes = rig.loop.runTurn()
            rig.run()
            return (hashes, call.status)
        }
        let failed = EtcdError.authenticationFailed.status
        #expect(turns("root", "wrong") == (true, failed))
        #expect(turns("root", "wrong") == (true, failed))
        #expect(turns("nobody", "r") == (true, failed))
        #expect(turns("root", "r") == (true, .ok))
        #expect(turns("root", "r") == (false, .ok))
        rig.loop.pass(milliseconds: AuthLimits.passwordMemoryMilliseconds)
        #expect(turns("root", "r") == (true, .ok))
        // Another password, another hash: what was remembered means nothing
        let root = try #require(rig.logIn("root", "r"))
        let change = AuthUserChangePasswordRequest(name: "root", password: "q")
        #expect(rig.call(.userChangePassword, change.encoded(), token: root).status == .ok)
        #expect(turns("root", "r") == (true, failed))
        #expect(turns("root", "q") == (true, .ok))
    }

    @Test("login: too many passwords at once are refused, and nobody waits")
    func tooMany() throws {
        let rig = try GuardedRig.enabled()
        rig.loop.isComputeFull = true
        let request = AuthenticateRequest(name: "root", password: "x")
        #expect(
            rig.call(.authenticate, request.encoded()).status == EtcdError.tooManyRequests.status)
    }

    @Test("hashing is no service for strangers")
    func noHashForStrangers() throws {
        let rig = try GuardedRig.enabled()
        let call = FakeCall()
        rig.begin(call, .userAdd, AuthUserAddRequest(name: "u", password: "p").encoded())
        #expect(call.status == EtcdError.userNameEmpty.status)
        #expect(!rig.loop.runTurn())
    }

    @Test("a password does not leave the member that was asked")
    func passwordsStay() throws {
        let rig = try GuardedRig.enabled()
        let root = try #require(rig.logIn("root", "r"))
        let calls: [(Method, [UInt8])] = [
            (.userAdd, AuthUserAddRequest(name: "u", password: "secret").encoded()),
            (
                .userChangePassword,
                AuthUserChangePasswordRequest(name: "root", password: "secret").encoded()
            ),
            (.authenticate, AuthenticateRequest(name: "root", password: "r").encoded()),
        ]
        for (method, message) in calls {
            let call = FakeCall()
            call.credentials = Credentials(token: root)
            rig.begin(call, method, message)
            while rig.loop.runTurn() {}
            for request in rig.loop.takeSubmitted() {
                let forwarded = ForwardedRequest(
                    sequence: 1, body: request.body, byteCount: 1, authority: request.authority)
                guard let fields = ForwardedRequestFields(forwarded) else { continue }
                let text = String(decoding: fields.encoded(), as: UTF8.self)
                #expect(!text.contains("secret") && !text.contains(root.prefix(16)))
            }
        }
    }

    // MARK: certificates and JWT

    @Test("certificate: its name counts where the operator says so, and never against a token")
    func commonName() throws {
        for trusts in [true, false] {
            let rig = try GuardedRig.enabled(
                auth: AuthSettings(bcryptCost: 4, trustsCertificates: trusts))
            let call = FakeCall()
            call.credentials = Credentials(commonName: "root")
            rig.begin(call, .range, RangeRequest(key: "a").encoded())
            rig.run()
            #expect(call.status == (trusts ? .ok : EtcdError.userNameEmpty.status))
            let both = FakeCall()
            both.credentials = Credentials(token: "wrong", commonName: "root")
            rig.begin(both, .range, RangeRequest(key: "a").encoded())
            #expect(both.status == EtcdError.invalidAuthToken.status)
            let empty = FakeCall()
            empty.credentials = Credentials(commonName: "")
            rig.begin(empty, .range, RangeRequest(key: "a").encoded())
            #expect(empty.status == EtcdError.userNameEmpty.status)
        }
    }

    @Test("JWT: what is signed is found valid until it ends, byte for byte")
    func jwt() throws {
        let method = try #require(JWTMethod("HS256"))
        let key = JWTKey(secret: Array("secret".utf8), method: method)
        let provider = JWTProvider(method: method, lifetimeSeconds: 60) {
            JWTKeys(verifying: key, signing: key)
        }
        for name in ["u", "\u{e9}\"\\\u{1}", "🐦"] {
            let token = try #require(provider.sign(user: name.utf8Bytes, revision: 7, now: 1000))
            let text = String(decoding: token, as: UTF8.self)
            let claims = JWTClaims(user: name.utf8Bytes, revision: 7, ends: 1060)
            #expect(provider.verify(text, now: 1059) == claims)
            #expect(provider.verify(text, now: 1060) == nil)
            for place in token.indices where token[place] != UInt8(ascii: ".") {
                var wrong = token
                wrong[place] =
                    wrong[place] == UInt8(ascii: "A") ? UInt8(ascii: "Q") : UInt8(ascii: "A")
                // The last letter of a part may hold bits that mean nothing.
                let isLast = place + 1 == token.count || token[place + 1] == UInt8(ascii: ".")
                guard !isLast else { continue }
                #expect(provider.verify(String(decoding: wrong, as: UTF8.self), now: 1000) == nil)
            }
        }
        for text in ["", ".", "..", "a.b.c", String(repeating: ".", count: 50)] {
            #expect(provider.verify(text, now: 0) == nil)
        }
    }

    @Test(
        "JWT: names of methods",
        arguments: JWTMethod.names + ["", "none", "HS", "HS255", "XS256", "hs256", "EdDSA "])
    func jwtMethods(name: String) {
        #expect((JWTMethod(name) != nil) == JWTMethod.names.contains(name))
    }
}
