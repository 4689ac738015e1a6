// RequestQueueTests.swift: who may still join requests that wait.
// Belongs here: order, bytes, the reserve. Never here: what a replica does with them (ReplicaTests).

import Testing

@testable import Server

@Suite struct RequestQueueTests {
    private static func put(_ bytes: Int) -> ReplicaRequest {
        ReplicaRequest(origin: .replica, body: .put(PutRequest(key: "k")), byteCount: bytes)
    }

    private static let keepAlive = ReplicaRequest(
        origin: .replica, body: .leaseKeepAlive(LeaseKeepAliveRequest(id: 1)), byteCount: 0)

    @Test("admission: puts fill the queue to its number, and what is vital still has places")
    func number() {
        let max = ReplicaLimits.queuedRequestsMax
        #expect(Admission.admits(Self.put(1), count: max - 1, bytes: 0))
        #expect(!Admission.admits(Self.put(1), count: max, bytes: 0))
        #expect(Admission.admits(Self.keepAlive, count: max, bytes: 0))
        let reserved = max + ReplicaLimits.vitalRequestsReserve
        #expect(!Admission.admits(Self.keepAlive, count: reserved, bytes: 0))
    }

    @Test("admission: a full queue takes what ends a storm, and not what clients storm with")
    func kinds() {
        func isAdmitted(_ body: ReplicaRequest.Body) -> Bool {
            let request = ReplicaRequest(origin: .replica, body: body, byteCount: 1)
            let max = ReplicaLimits.queuedRequestsMax
            return Admission.admits(request, count: max, bytes: 0)
        }
        let name = AuthNameRequest(name: "n")
        let role = AuthUserRoleRequest(user: "n", role: "r")
        let vital: [ReplicaRequest.Body] = [
            .leaseKeepAlive(LeaseKeepAliveRequest(id: 1)), .leaseRevoke(LeaseRevokeRequest(id: 1)),
            .loginUsed(LoginUsedRequest()), .readIndex, .subscribe(true),
            .compact(CompactionRequest()), .alarm(AlarmRequest(action: .deactivate)),
            .moveLeader(to: 1), .memberAdd(MemberAddRequest(), nonce: 1),
            .memberRemove(MemberRemoveRequest()), .memberUpdate(MemberUpdateRequest()),
            .memberPromote(MemberPromoteRequest()), .auth(.disable), .auth(.deleteUser(name)),
            .auth(.revokeRole(role)),
            .auth(.revokePermission(AuthRoleRevokePermissionRequest(role: "r", key: "k"))),
        ]
        for body in vital { #expect(isAdmitted(body), "\(body)") }
        let ordinary: [ReplicaRequest.Body] = [
            .put("k", "v"), .delete("k"), .txn(TxnRequest()), .leaseGrant(LeaseGrantRequest()),
            .leaseTimeToLive(LeaseTimeToLiveRequest()), .leaseLeases,
            .auth(.login(LoginRequest())),
        ]
        for body in ordinary { #expect(!isAdmitted(body), "\(body)") }
    }

    @Test("admission: bytes count, however few requests they are in")
    func bytes() {
        let big = 1 << 20
        let max = ReplicaLimits.queuedBytesMax
        #expect(Admission.admits(Self.put(big), count: 5, bytes: max - Self.put(big).cost))
        #expect(!Admission.admits(Self.put(big), count: 5, bytes: max - Self.put(big).cost + 1))
        #expect(Admission.admits(Self.keepAlive, count: 5, bytes: max))
        #expect(
            !Admission.admits(
                Self.keepAlive, count: 5, bytes: max + ReplicaLimits.vitalBytesReserve))
    }

    @Test("admission: one alone is always taken, for its size was judged before")
    func alone() {
        #expect(Admission.admits(Self.put(ReplicaLimits.queuedBytesMax * 2), count: 0, bytes: 0))
    }

    @Test("queue: bytes and vital ones are counted whatever way requests go")
    func counts() {
        var queue = RequestQueue()
        queue.append(contentsOf: [Self.put(10), Self.keepAlive, Self.put(20), Self.keepAlive])
        let overhead = 4 * ReplicaLimits.requestOverheadBytes
        #expect((queue.count, queue.byteCount, queue.vitalCount) == (4, 30 + overhead, 2))
        #expect(queue.popFirst()?.byteCount == 10)
        #expect(queue.take(2).map(\.byteCount) == [0, 20])
        #expect((queue.count, queue.vitalCount) == (1, 1))
        #expect(queue.takeAll().count == 1)
        #expect((queue.count, queue.byteCount, queue.vitalCount) == (0, 0, 0))
        #expect(queue.popFirst() == nil)
    }

    @Test("queue: what is vital passes the others, which keep their order")
    func vital() {
        var queue = RequestQueue()
        func renewal(_ id: Int64) -> ReplicaRequest {
            ReplicaRequest(
                origin: .replica, body: .leaseKeepAlive(LeaseKeepAliveRequest(id: id)),
                byteCount: Int(id))
        }
        queue.append(contentsOf: [
            Self.put(10), renewal(1), Self.put(20), renewal(2), renewal(3),
        ])
        var room = 2
        let taken = queue.takeVital { _ in
            room -= 1
            return room >= 0
        }
        #expect(taken.map(\.byteCount) == [1, 2])
        #expect(queue.takeAll().map(\.byteCount) == [10, 20, 3])
    }

    @Test("queue: places hold while many come and go")
    func manyTurns() {
        var queue = RequestQueue()
        var (next, expected) = (0, 0)
        for turn in 0..<20_000 {
            queue.append(Self.put(next))
            next += 1
            if turn % 3 != 0 {
                #expect(queue.popFirst()?.byteCount == expected)
                expected += 1
            }
        }
        #expect(queue.count == next - expected)
        #expect(queue.takeAll().map(\.byteCount) == Array(expected..<next))
        #expect(queue.byteCount == 0)
    }
}
