// ReplicaMembersTests.swift: membership requests on their way through batches, commits and restarts.
// Belongs here: one member stepped by hand. Never here: what a request checks (ExecutorClusterTests).
// Source: etcd semantics K5; design section 3; Schema.upgrade.

import Storage
import Testing
import TestSupport

@testable import Server

@Suite struct ReplicaMembersTests {
    private func members(_ rig: ReplicaRig) throws -> [MemberRow] {
        try rig.read { (reader, _) throws(StorageError) in
            try MemberTable(connection: reader.connection).all()
        }
    }

    private static let addLearner = ReplicaRequest.Body.memberAdd(
        MemberAddRequest(peerURLs: ["http://x:1"], isLearner: true), nonce: 1)

    @Test("change: it is published with its answer, and is there after a restart")
    func lasting() throws {
        let rig = try ReplicaRig.started()
        rig.send(Self.addLearner)
        rig.turn()
        #expect(try members(rig).count == 1)
        rig.settle()
        #expect(try members(rig).count == 2)
        let again = try ReplicaRig(disk: rig.disk.afterCrash(.nothing))
        again.start()
        again.settle()
        #expect(try members(again) == members(rig))
        #expect(again.replica.tip?.executor.members == (try members(rig)))
    }

    @Test("change: one that is refused takes nothing else of its batch with it")
    func refused() throws {
        let rig = try ReplicaRig.started()
        let put = rig.send(.put("a", "1"))
        let remove = rig.send(
            .memberRemove(MemberRemoveRequest(id: ReplicaRig.identity.memberID)))
        let add = rig.send(Self.addLearner)
        rig.settle()
        guard case .answer? = rig.output.outcome(of: put),
            case .answer? = rig.output.outcome(of: add)
        else {
            Issue.record("\(rig.output.outcomes)")
            return
        }
        #expect(
            rig.output.outcome(of: remove)
                == .failure(EtcdError.notEnoughStartedMembers.status))
        #expect(try members(rig).count == 2)
    }

    @Test("upgrade: the store of an older release gets what it lacks before anything else")
    func upgrade() throws {
        // Given a store without the table of removed members
        let old = try ReplicaRig.started()
        try #require(old.replica.tip).connection.execute(
            "BEGIN; DROP TABLE removed_member; COMMIT")
        _ = old.ask(.put("a", "1"))
        _ = try old.read { (reader, _) throws(StorageError) in
            #expect(try !Schema.isCurrent(on: reader.connection))
        }
        // When this release opens it
        let new = try ReplicaRig(disk: old.disk.afterCrash(.nothing))
        new.start()
        new.settle()
        // Then the table is there, at the revision the store had, and works
        _ = try new.read { (reader, state) throws(StorageError) in
            #expect(try Schema.isCurrent(on: reader.connection))
            #expect((state.revision, state.compacted) == (2, -1))
        }
        #expect(try new.content().keys["a"]?.value == "1")
        guard case .answer? = new.ask(Self.addLearner) else {
            Issue.record("\(new.output.outcomes)")
            return
        }
        #expect(try new.integrity() == "ok")
    }
}
