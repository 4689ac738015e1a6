// PeerDirectoryTests.swift: who may connect, and what a newcomer is told.
// Belongs here: Runtime/PeerDirectory.swift alone. Never here: connections.
// Source: etcd semantics K5, K10.

import Storage
import Testing

@testable import Server
@testable import Transport

@Suite struct PeerDirectoryTests {
    private static let identity = Identity(clusterID: 0xc1, memberID: 1)

    private static func row(_ id: UInt64) -> MemberRow {
        MemberRow(
            id: id, name: "m\(id)", peerURLs: ["http://127.0.0.1:\(2380 + id)"], clientURLs: [],
            role: .voter)
    }

    @Test("K10: a founder without data says just that; who joins, or has data, nothing")
    func beforeFounding() throws {
        let founder = PeerDirectory(
            [Self.row(1), Self.row(2)], ownID: 1, isFounding: true, status: SharedStatus())
        let answer = try #require(founder.answer(to: BootstrapRequest(), by: Self.identity))
        #expect(answer.isFounding && answer.members.isEmpty && answer.clusterID == 0xc1)
        let joining = PeerDirectory(
            [Self.row(1), Self.row(2)], ownID: 2, isFounding: false, status: SharedStatus())
        #expect(joining.answer(to: BootstrapRequest(), by: Self.identity) == nil)
    }

    @Test("K5, K10: a newcomer is told the members, and whether its id was removed")
    func answers() throws {
        let directory = PeerDirectory(
            [Self.row(1)], ownID: 1, isFounding: true, status: SharedStatus())
        directory.set([Self.row(1), Self.row(3)], removed: [2])
        let told = try #require(
            directory.answer(to: BootstrapRequest(memberID: 3), by: Self.identity))
        #expect(told.members.map(\.id) == [1, 3])
        #expect(told.clusterID == 0xc1 && told.answererID == 1 && !told.isRemoved)
        let gone = directory.answer(to: BootstrapRequest(memberID: 2), by: Self.identity)
        #expect(gone?.isRemoved == true)
        #expect(directory.members.map(\.id) == [1, 3])
    }

    private static func hello(_ id: UInt64) -> PeerHello {
        PeerHello(
            identity: PeerIdentity(
                clusterID: 0xc1, memberID: id, name: "m\(id)",
                url: "http://127.0.0.1:\(2380 + id)"),
            to: 1, channel: .log)
    }

    @Test(
        "K5: a stranger is admitted only while no other leader is known, and one that was removed never"
    )
    func strangers() {
        let status = SharedStatus()
        let directory = PeerDirectory(
            [Self.row(1), Self.row(2)], ownID: 1, isFounding: true, status: status)
        directory.set([Self.row(1), Self.row(2)], removed: [7])
        status.leader = 2
        #expect(directory.admits(Self.hello(3)) != .accept)
        status.leader = 0
        #expect(directory.admits(Self.hello(3)) == .accept)
        #expect(directory.isStranger(3) && directory.reachable.map(\.id) == [1, 2, 3])
        #expect(directory.members.map(\.id) == [1, 2])
        #expect(directory.admits(Self.hello(7)) != .accept)
        // It leads: an older table that lacks it does not cut it off, and it may connect again.
        status.leader = 3
        directory.set([Self.row(1)], removed: [2, 7])
        #expect(directory.isStranger(3) && directory.admits(Self.hello(3)) == .accept)
        // Once it is in the table it is none any more.
        directory.set([Self.row(1), Self.row(3)], removed: [2, 7])
        #expect(!directory.isStranger(3) && directory.reachable.map(\.id) == [1, 3])
    }

    /// Of scenario members, seed 4005517: the tables of a member that repeats the log from its beginning lacked one
    /// that was added later and led, and the member refused it for ever.
    @Test(
        "K5, K10: one that joins admits whom it was told of while its tables are older than itself"
    )
    func joining() {
        let status = SharedStatus()
        let directory = PeerDirectory(
            [1, 2, 4, 5].map(Self.row), ownID: 5, isFounding: false, status: status)
        status.leader = 2
        #expect(directory.admits(Self.hello(4)) == .accept)
        // As the cluster was before 4 and 5 were added, and 3 was removed.
        directory.set([1, 2, 3].map(Self.row), removed: [])
        #expect(directory.admits(Self.hello(4)) == .accept && !directory.isStranger(4))
        #expect(directory.admits(Self.hello(6)) != .accept)
        #expect(directory.reachable.map(\.id) == [1, 2, 3, 4, 5])
        #expect(directory.members.map(\.id) == [1, 2, 3])
        #expect(directory.answer(to: BootstrapRequest(), by: Self.identity) == nil)
        // One that was removed before this member joined is let go, whoever told of it.
        directory.set([1, 3].map(Self.row), removed: [2])
        #expect(directory.admits(Self.hello(2)) != .accept)
        #expect(directory.admits(Self.hello(4)) == .accept)
        // With its own addition the tables are the newest word.
        directory.set([1, 5].map(Self.row), removed: [2, 3])
        #expect(directory.admits(Self.hello(4)) != .accept)
        #expect(directory.reachable.map(\.id) == [1, 5])
        #expect(directory.answer(to: BootstrapRequest(), by: Self.identity)?.members.count == 2)
    }
}
