// ConfigurationIdentityTests.swift: ids as etcd computes them, and what must agree before a cluster
// is founded. The ids were printed by etcd 3.5.16 for the same settings (semantics G17).

import Testing

@testable import Server

@Suite struct ConfigurationIdentityTests {
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
        let identity = try loadConfiguration().configuration.foundingIdentity()
        #expect(identity.memberID == 0x8e9e_05c5_2164_694d)
        #expect(identity.clusterID == 0xcdf8_1819_4e3a_8c32)
    }

    @Test("ids: two URLs and another token give what etcd gave, whatever the order")
    func twoURLs() throws {
        let a = "http://127.0.0.1:31002"
        let b = "http://10.0.0.1:31002"
        for (first, second) in [(a, b), (b, a)] {
            let identity = try loadConfiguration(
                "--name=a", "--initial-advertise-peer-urls=\(a),\(b)",
                "--initial-cluster=a=\(first),a=\(second)", "--initial-cluster-token=tkn"
            ).configuration.foundingIdentity()
            #expect(identity.memberID == 0x6d59_e59f_633a_a59b)
            #expect(identity.clusterID == 0x752d_26db_9cd2_478b)
        }
    }

    @Test("founding: initial-cluster follows name and peer URLs when it is not given")
    func defaultCluster() throws {
        let configuration = try loadConfiguration(
            "--name=n", "--initial-advertise-peer-urls=http://h:1,http://h:2"
        ).configuration
        #expect(configuration.initialCluster.map(\.name) == ["n"])
        #expect(configuration.initialCluster.first?.peerURLs.map(\.port) == [1, 2])
        #expect(throws: Never.self) { try configuration.foundingIdentity() }
    }

    @Test("founding: several members are refused with a clear text")
    func severalMembers() {
        let error = configurationError("--name=a", "--initial-cluster=a=http://h:1,b=http://i:1")
        #expect(
            error.map { "\($0)" }
                == "--initial-cluster with 2 members is not supported: "
                + "clusters of several members come with a later version")
    }

    @Test("founding: another name, other URLs or an existing cluster are errors, but only then")
    func disagreement() throws {
        for words in [
            "--initial-cluster=other=http://localhost:2380",
            "--initial-cluster=default=http://elsewhere:2380", "--initial-cluster-state=existing",
        ] {
            let configuration = try loadConfiguration(words).configuration
            #expect(throws: ConfigurationError.self) { try configuration.foundingIdentity() }
        }
        #expect(configurationError("--initial-cluster-state=old") != nil)
        #expect(configurationError("--initial-cluster=default") != nil)
        #expect(configurationError("--name=") != nil)
    }
}
