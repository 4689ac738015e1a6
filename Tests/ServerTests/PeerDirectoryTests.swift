// PeerDirectoryTests.swift: who may connect, and what a newcomer is told.
// Belongs here: Runtime/PeerDirectory.swift alone. Never here: connections.
// Source: etcd semantics K5, K10.

import Storage
import Testing

@testable import Server

@Suite struct PeerDirectoryTests {
    private static let identity = Identity(clusterID: 0xc1, memberID: 1)

    private static func row(_ id: UInt64) -> MemberRow {
        MemberRow(
            id: id, name: "m\(id)", peerURLs: ["http://127.0.0.1:\(2380 + id)"], clientURLs: [],
            role: .voter)
    }

    @Test("K10: a founder without data says just that; who joins, or has data, nothing")
    func beforeFounding() throws {
        let founder = PeerDirectory([Self.row(1), Self.row(2)], isFounding: true)
        let answer = try #require(founder.answer(to: BootstrapRequest(), by: Self.identity))
        #expect(answer.isFounding && answer.members.isEmpty && answer.clusterID == 0xc1)
        let joining = PeerDirectory([Self.row(1), Self.row(2)], isFounding: false)
        #expect(joining.answer(to: BootstrapRequest(), by: Self.identity) == nil)
    }

    @Test("K5, K10: a newcomer is told the members, and whether its id was removed")
    func answers() throws {
        let directory = PeerDirectory([Self.row(1)], isFounding: true)
        directory.set([Self.row(1), Self.row(3)], removed: [2])
        let told = try #require(
            directory.answer(to: BootstrapRequest(memberID: 3), by: Self.identity))
        #expect(told.members.map(\.id) == [1, 3])
        #expect(told.clusterID == 0xc1 && told.answererID == 1 && !told.isRemoved)
        let gone = directory.answer(to: BootstrapRequest(memberID: 2), by: Self.identity)
        #expect(gone?.isRemoved == true)
        #expect(directory.members.map(\.id) == [1, 3])
    }
}
