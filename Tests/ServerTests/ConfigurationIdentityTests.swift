// ConfigurationIdentityTests.swift: ids as etcd computes them.
// Belongs here: known answers. Never here: who may use an id (BootstrapPlanTests).
// Source: the ids were printed by etcd 3.5.16 for the same settings (semantics G17).

import Testing

@testable import Server

@Suite struct ConfigurationIdentityTests {
    /// The ids with which a founder fills an empty directory.
    private func founding(_ configuration: Configuration) throws -> Identity {
        let plan = try BootstrapPlan.decide(configuration, stored: nil, running: nil)
        guard case .found(let identity, _) = plan else {
            preconditionFailure("the test expected a founder, not \(plan)")
        }
        return identity
    }

    private func hex(_ message: String) -> String {
        SHA1.digest(Array(message.utf8)).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
    }

    @Test("SHA-1: the standard's examples, and lengths around the block's border")
    func digest() {
        #expect(hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(
            hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "84983e441c3bd26ebaae4aa1f95129e5e54670f1")
        #expect(
            hex(String(repeating: "a", count: 1000)) == "291e9a6c66994949b57ba5e650361e98fc36b1ba")
        let digests = (54...66).map { hex(String(repeating: "x", count: $0)) }
        #expect(Set(digests).count == digests.count)
    }

    @Test("ids: the defaults give etcd's well-known ids")
    func defaultIDs() throws {
        let identity = try founding(loadConfiguration().configuration)
        #expect(identity.memberID == 0x8e9e_05c5_2164_694d)
        #expect(identity.clusterID == 0xcdf8_1819_4e3a_8c32)
    }

    @Test("ids: two URLs and another token give what etcd gave, whatever the order")
    func twoURLs() throws {
        let a = "http://127.0.0.1:31002"
        let b = "http://10.0.0.1:31002"
        for (first, second) in [(a, b), (b, a)] {
            let identity = try founding(
                loadConfiguration(
                    "--name=a", "--initial-advertise-peer-urls=\(a),\(b)",
                    "--initial-cluster=a=\(first),a=\(second)", "--initial-cluster-token=tkn"
                ).configuration)
            #expect(identity.memberID == 0x6d59_e59f_633a_a59b)
            #expect(identity.clusterID == 0x752d_26db_9cd2_478b)
        }
    }

    @Test(
        "ids: a member added later gets another one for each nonce, whatever the URLs' order (G18)")
    func addedIDs() {
        let urls = ["http://b:1", "http://a:1"]
        let ids = (1...100).map { ClusterIdentity.addedMemberID(peerURLs: urls, nonce: $0) }
        #expect(Set(ids).count == 100)
        #expect(ClusterIdentity.addedMemberID(peerURLs: urls.reversed(), nonce: 1) == ids[0])
        #expect(ClusterIdentity.addedMemberID(peerURLs: ["http://a:1"], nonce: 1) != ids[0])
    }
}
