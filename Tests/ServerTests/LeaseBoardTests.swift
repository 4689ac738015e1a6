// LeaseBoardTests.swift: leases that event loops renew while the replica looks elsewhere.
// Belongs here: the board with the clock, and with a whole member. Never here: the clock alone
// (LeaseClockTests). Source: etcd semantics L3, L11.

import Storage
import Testing

@testable import Server

@Suite struct LeaseBoardTests {
    private static func tick(_ milliseconds: UInt64) -> Tick { Tick(milliseconds: milliseconds) }

    private static func clock(_ board: LeaseBoard) -> LeaseClock {
        var clock = LeaseClock()
        clock.use(board)
        clock.insert(Lease(id: 1, timeToLive: 2, deadline: tick(2_000), checkpointed: 2))
        if let lease = clock[1] { clock.share(lease) }
        return clock
    }

    @Test(
        "board: a lease renewed there is not due at its former deadline, and comes off when looked at"
    )
    func renewal() {
        let board = LeaseBoard()
        var clock = Self.clock(board)
        #expect(board.renew(1, now: Self.tick(1_500)) == 2)
        // A loop whose clock was read earlier does not take the time back.
        #expect(board.renew(1, now: Self.tick(1_200)) == 2)
        #expect(clock[1]?.deadline == Self.tick(3_500))
        #expect(clock.bySoonestExpiry().map(\.deadline) == [Self.tick(3_500)])
        #expect(clock.expired(now: Self.tick(2_000), limit: 1).isEmpty)
        #expect(board.renew(1, now: Self.tick(2_001)) == nil)
        #expect(clock.expired(now: Self.tick(3_499), limit: 1).isEmpty)
        #expect(clock.expired(now: Self.tick(3_500), limit: 1) == [1])
    }

    @Test("board: no loop renews a lease that is found expired, removed, written down or unknown")
    func off() {
        let board = LeaseBoard()
        var clock = Self.clock(board)
        #expect(clock.expired(now: Self.tick(2_000), limit: 1) == [1])
        #expect(board.renew(1, now: Self.tick(2_000)) == nil)
        clock = Self.clock(board)
        clock.remove(1)
        #expect(board.renew(1, now: Self.tick(1)) == nil)
        clock = Self.clock(board)
        #expect(board.renew(1, now: Self.tick(1_000)) == 2)
        clock.checkpoint(1, remaining: 1)
        #expect(board.renew(1, now: Self.tick(1_000)) == nil)
        #expect(clock[1]?.deadline == Self.tick(3_000))
        // Until its full time is written down again, a renewal has to come by the replica.
        if let lease = clock[1] { clock.share(lease) }
        #expect(board.renew(1, now: Self.tick(1_000)) == nil)
        #expect(board.renew(9, now: Self.tick(1_000)) == nil)
        clock = Self.clock(board)
        #expect(board.renew(1, now: Self.tick(1_700)) == 2)
        clock.settleAll()
        #expect(board.renew(1, now: Self.tick(1_800)) == nil)
        #expect(clock[1]?.deadline == Self.tick(3_700))
    }

    @Test("replica: a lease kept alive once is renewed by loops, until it is revoked")
    func shared() throws {
        let rig = try ReplicaRig.started()
        _ = rig.ask(.leaseGrant(LeaseGrantRequest(ttl: 10, id: 5)))
        let board = rig.status.leaseBoard
        #expect(board.renew(5, now: Self.tick(rig.now)) == nil)
        _ = rig.ask(.leaseKeepAlive(LeaseKeepAliveRequest(id: 5)), after: 1_000)
        for _ in 0..<30 {
            rig.settle(after: 1_000)
            if board.renew(5, now: Self.tick(rig.now)) == nil {
                _ = rig.ask(.leaseKeepAlive(LeaseKeepAliveRequest(id: 5)))
            }
            #expect(try rig.content().leases == [5: 10])
        }
        #expect(board.renew(5, now: Self.tick(rig.now)) == 10)
        // Carried out and not yet saved is enough: the answer may be on its way.
        rig.send(.leaseRevoke(LeaseRevokeRequest(id: 5)))
        rig.turn()
        #expect(board.renew(5, now: Self.tick(rig.now)) == nil)
    }

    @Test(
        "replica: a lease is not renewed by loops before its grant is agreed, nor once the store stopped"
    )
    func unshared() throws {
        let rig = try ReplicaRig.started()
        let board = rig.status.leaseBoard
        rig.send(.leaseGrant(LeaseGrantRequest(ttl: 10, id: 5)))
        rig.turn()
        rig.send(.leaseKeepAlive(LeaseKeepAliveRequest(id: 5)))
        rig.turn()
        #expect(board.renew(5, now: Self.tick(rig.now)) == nil)
        rig.settle()
        _ = rig.ask(.leaseKeepAlive(LeaseKeepAliveRequest(id: 5)))
        #expect(board.renew(5, now: Self.tick(rig.now)) == 10)
        rig.replica.logFailed(.busy(what: "a test"))
        #expect(board.renew(5, now: Self.tick(rig.now)) == nil)
    }
}
