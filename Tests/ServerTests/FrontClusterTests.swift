// FrontClusterTests.swift: the Cluster service up to the replica's queue, and its list of members.
// Belongs here: URLs, nonces, dispatch. Never here: whether a change is allowed (ExecutorClusterTests).
// Source: etcd semantics K1, K2; errors.tsv.

import Storage
import Testing
import Transport

@testable import Server

@Suite struct FrontClusterTests {
    @Test("K2: URLs are sorted, in one form and each once, before the leader sees them")
    func urls() throws {
        let rig = try FrontRig()
        rig.loop.nonce = 42
        let request = MemberAddRequest(
            peerURLs: ["http://b:1", "HTTP://a:1", "http://b:1"], isLearner: true)
        #expect(rig.call(.memberAdd, request.encoded()).isOpen)
        guard case .memberAdd(let sent, 42)? = rig.loop.takeSubmitted().first?.body else {
            Issue.record("nothing was submitted")
            return
        }
        #expect(sent == MemberAddRequest(peerURLs: ["http://a:1", "http://b:1"], isLearner: true))
    }

    @Test(
        "K2, K7: URLs that nobody can dial are refused at once, also in an update",
        arguments: [
            [], [""], ["http://a"], ["a:1"], ["ftp://a:1"], ["http://a:1/x"], ["http://a:1", "x"],
            ["http://a:1,http://b:1"], ["http://a,b:1"], (1...17).map { "http://a:\($0)" },
            ["http://\(String(repeating: "a", count: 510)):1"],
        ])
    func badURLs(urls: [String]) throws {
        let rig = try FrontRig()
        let add = rig.call(.memberAdd, MemberAddRequest(peerURLs: urls).encoded())
        #expect(add.status == EtcdError.memberBadURLs.status)
        let update = rig.call(.memberUpdate, MemberUpdateRequest(id: 1, peerURLs: urls).encoded())
        #expect(update.status == EtcdError.memberBadURLs.status)
        #expect(rig.loop.takeSubmitted().isEmpty)
    }

    @Test("dispatch: removal, update and promotion go to the leader as they came")
    func dispatch() throws {
        let rig = try FrontRig()
        _ = rig.call(.memberRemove, MemberRemoveRequest(id: 3).encoded())
        _ = rig.call(.memberUpdate, MemberUpdateRequest(id: 4, peerURLs: ["http://x:1"]).encoded())
        _ = rig.call(.memberPromote, MemberPromoteRequest(id: 5).encoded())
        let sent = rig.loop.takeSubmitted().map(\.body)
        guard sent.count == 3, case .memberRemove(let remove) = sent[0],
            case .memberUpdate(let update) = sent[1], case .memberPromote(let promote) = sent[2]
        else {
            Issue.record("\(sent)")
            return
        }
        #expect(remove.id == 3)
        #expect(update == MemberUpdateRequest(id: 4, peerURLs: ["http://x:1"]))
        #expect(promote.id == 5)
    }

    @Test("K1: the list is read where it is asked for; only linearizable asks for a quorum")
    func list() throws {
        let rig = try FrontRig()
        let local = rig.call(.memberList, [])
        let answer = try BootstrapResponse(decoding: try #require(local.messages.first))
        #expect(answer.members.map(\.id) == [ReplicaRig.identity.memberID])
        #expect(answer.clusterID == ReplicaRig.identity.clusterID)
        // A member that is not alone has to ask
        rig.rig.status.readsLocally = false
        let quorum = rig.call(.memberList, MemberListRequest(linearizable: true).encoded())
        #expect(quorum.messages.isEmpty && quorum.isOpen)
        guard case .readIndex? = rig.loop.takeSubmitted().first?.body else {
            Issue.record("nobody was asked")
            return
        }
        #expect(rig.call(.memberList, []).messages.count == 1)
    }

    @Test("end to end: a sole member adds another, and lists it once the change is agreed")
    func addAndList() throws {
        let rig = try FrontRig()
        let outcome = rig.rig.ask(
            .memberAdd(MemberAddRequest(peerURLs: ["http://x:1"], isLearner: true), nonce: 1))
        guard case .answer(let bytes)? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        let added = try MemberAddResponse(decoding: bytes).added
        let listed = try BootstrapResponse(
            decoding: try #require(rig.call(.memberList, []).messages.first))
        #expect(listed.members.contains(added) && listed.members.count == 2)
    }
}
