// BootstrapPlanTests.swift: how a member begins, by its settings, its directory and what others say.
// Belongs here: decisions and the texts of refusals. Never here: flags (ConfigurationPeerTests).
// Source: semantics G17, K5, K9, K10; ids and texts of etcd 3.5.16.

import Storage
import Testing

@testable import Server

@Suite struct BootstrapPlanTests {
    private static let cluster = "--initial-cluster=a=http://a:1,b=http://b:1,c=http://c:1"

    /// The settings of one of three members.
    private func settings(_ name: String, _ words: String...) throws -> Configuration {
        let outcome = try Configuration.load(
            arguments: [
                "--name=\(name)", "--initial-advertise-peer-urls=http://\(name):1", Self.cluster,
            ] + words, environment: [:])
        guard case .run(let configuration, _) = outcome else {
            preconditionFailure("the test expected a configuration, not \(outcome)")
        }
        return configuration
    }

    /// What a running member answers; members named in `started` have published their client URLs.
    private func running(
        _ names: [String] = ["a", "b", "c"], started: Set<String> = [], clusterID: UInt64 = 0xc1
    ) -> BootstrapResponse {
        var response = BootstrapResponse(clusterID: clusterID, answererID: 1)
        for (place, name) in names.enumerated() {
            response.members.append(
                WireMember(
                    id: UInt64(place + 1), name: started.contains(name) ? name : "",
                    peerURLs: ["http://\(name):1"],
                    clientURLs: started.contains(name) ? ["http://\(name):2"] : []))
        }
        return response
    }

    private func refusal(
        _ configuration: Configuration, stored: Identity? = nil, _ running: BootstrapResponse?
    ) -> BootstrapError? {
        do throws(BootstrapError) {
            _ = try BootstrapPlan.decide(configuration, stored: stored, running: running)
            return nil
        } catch {
            return error
        }
    }

    // MARK: founding

    @Test("found: every member computes the same list and cluster, and its own id from its URLs")
    func founding() throws {
        var lists: [[MemberRow]] = []
        var identities: [Identity] = []
        for name in ["a", "b", "c"] {
            let plan = try BootstrapPlan.decide(settings(name), stored: nil, running: nil)
            guard case .found(let identity, let members) = plan else {
                Issue.record("\(plan)")
                return
            }
            lists.append(members)
            identities.append(identity)
        }
        #expect(lists[0] == lists[1] && lists[1] == lists[2])
        #expect(Set(identities.map(\.clusterID)).count == 1)
        #expect(Set(identities.map(\.memberID)) == Set(lists[0].map(\.id)))
        #expect(lists[0].map(\.id) == lists[0].map(\.id).sorted())
        #expect(Set(lists[0].map(\.name)) == ["a", "b", "c"])
        #expect(lists[0].allSatisfy { $0.clientURLs.isEmpty && $0.role == .voter })
    }

    @Test("found: the ids of three members are those that etcd gives them (G17)")
    func knownIDs() throws {
        // SHA-1 of URL and token, and of the three ids, computed apart from this code
        let plan = try BootstrapPlan.decide(
            settings("a", "--initial-cluster-token=tkn"), stored: nil, running: nil)
        guard case .found(let identity, let members) = plan else {
            Issue.record("\(plan)")
            return
        }
        #expect(
            identity == Identity(clusterID: 0x4d74_6363_c5d3_1324, memberID: 0xae66_6024_b912_d399))
        #expect(
            members.map(\.id) == [
                0x63d4_7f68_0a0e_e1ea, 0x6942_317f_32cc_b94f, 0xae66_6024_b912_d399,
            ])
    }

    @Test("found: members that are just being founded, too, are no obstacle")
    func foundingTogether() throws {
        let plan = try BootstrapPlan.decide(settings("a"), stored: nil, running: nil)
        guard case .found(let identity, let members) = plan else { return }
        var others = BootstrapResponse(clusterID: identity.clusterID, answererID: 7)
        others.members = members.map(WireMember.init)
        #expect(try BootstrapPlan.decide(settings("a"), stored: nil, running: others) == plan)
    }

    @Test(
        "found: an id that the others know as started is refused, and the text says how to rejoin")
    func alreadyBootstrapped() throws {
        let plan = try BootstrapPlan.decide(settings("a"), stored: nil, running: nil)
        guard case .found(let identity, let members) = plan else { return }
        var others = BootstrapResponse(clusterID: identity.clusterID, answererID: 7)
        others.members = members.map {
            var member = WireMember($0)
            member.clientURLs = ["http://x:2"]
            return member
        }
        let error = try refusal(settings("a"), others)
        #expect(error == .alreadyBootstrapped(identity.memberID))
        let text = error.map { "\($0)" } ?? ""
        #expect(text.hasPrefix("member \(identity.memberID.idText) has already been bootstrapped"))
        #expect(text.contains("--initial-cluster-state=existing"))
    }

    @Test("found: a removed id and another cluster at the same URLs are refused")
    func foreign() throws {
        let own = ClusterIdentity.memberID(
            peerURLs: try EndpointURL.list("http://a:1"), token: "etcd-cluster")
        var removed = running()
        removed.isRemoved = true
        #expect(try refusal(settings("a"), removed) == .removed(own))
        guard case .otherCluster(0xc1, _) = try refusal(settings("a"), running()) else {
            Issue.record("another cluster was joined")
            return
        }
    }

    @Test("found: name, URLs and cluster must agree, with etcd's texts")
    func disagreement() throws {
        func text(_ name: String, _ words: String...) throws -> String {
            let outcome = try Configuration.load(
                arguments: ["--name=\(name)"] + words, environment: [:])
            guard case .run(let configuration, _) = outcome else { return "" }
            return refusal(configuration, nil).map { "\($0)" } ?? "taken"
        }
        let unknown = try text("x", Self.cluster)
        #expect(
            unknown.hasPrefix("couldn't find local name \"x\" in the initial cluster configuration")
        )
        #expect(
            try text("a", Self.cluster, "--initial-advertise-peer-urls=http://z:1")
                == "--initial-cluster has a=http://a:1 but missing from "
                + "--initial-advertise-peer-urls=http://z:1")
        #expect(
            try text("a", Self.cluster, "--initial-advertise-peer-urls=http://a:1,http://z:1")
                .hasPrefix(
                    "--initial-advertise-peer-urls has http://z:1 but missing from "
                        + "--initial-cluster=a=http://a:1,b="))
        let twice = "--initial-cluster=a=http://a:1,b=http://a:1"
        #expect(
            try text("a", twice, "--initial-advertise-peer-urls=http://a:1")
                .hasPrefix("initial cluster a=http://a:1,b=http://a:1 has duplicated url"))
    }

    // MARK: restarting

    @Test("restart: with data the settings of the first start mean nothing, however wrong (K10)")
    func restart() throws {
        let stored = Identity(clusterID: 1, memberID: 2)
        let wrong = try loadConfiguration("--name=x", Self.cluster).configuration
        #expect(
            try BootstrapPlan.decide(wrong, stored: stored, running: nil) == .restart(stored))
        let existing = try settings("a", "--initial-cluster-state=existing")
        #expect(
            try BootstrapPlan.decide(existing, stored: stored, running: running())
                == .restart(stored))
    }

    @Test("restart: a member that was removed meanwhile is told so (K5)")
    func restartRemoved() throws {
        var answer = running()
        answer.isRemoved = true
        let error = try refusal(
            settings("a"), stored: Identity(clusterID: 1, memberID: 0xab), answer)
        #expect(error == .removed(0xab))
        #expect("\(BootstrapError.removed(0xab))".contains("permanently removed from the cluster"))
    }

    // MARK: joining

    @Test("join: the id and cluster are those of the entry with the same URLs, in any order")
    func joining() throws {
        var answer = running(["b", "c", "a"], started: ["a", "b"])
        answer.members[1].peerURLs = ["http://c:1", "http://c2:1"]
        let configuration = try loadConfiguration(
            "--name=c", "--initial-cluster-state=existing",
            "--initial-cluster=a=http://a:1,b=http://b:1,c=http://c2:1,c=http://c:1"
        ).configuration
        #expect(
            try BootstrapPlan.decide(configuration, stored: nil, running: answer)
                == .join(
                    Identity(clusterID: 0xc1, memberID: 2),
                    members: answer.members.map(MemberRow.init)))
    }

    @Test("join: whom to ask are the others only; a founder asks about its own id")
    func peersToAsk() throws {
        let joiner = BootstrapPlan.peersToAsk(
            try settings("b", "--initial-cluster-state=existing"))
        #expect(joiner.urls.map(\.host) == ["a", "c"])
        #expect(joiner.request.memberID == 0)
        let founder = BootstrapPlan.peersToAsk(try settings("b"))
        #expect(
            founder.request.memberID
                == ClusterIdentity.memberID(
                    peerURLs: try EndpointURL.list("http://b:1"), token: "etcd-cluster"))
    }

    @Test("join: counts and URLs that differ are refused with etcd's texts")
    func mismatch() throws {
        let joiner = try settings("c", "--initial-cluster-state=existing")
        func text(_ answer: BootstrapResponse?) -> String {
            refusal(joiner, answer).map { "\($0)" } ?? "taken"
        }
        #expect(text(nil).hasPrefix("cannot fetch cluster info from peer urls"))
        #expect(text(nil).contains("http://a:1,http://b:1"))
        let fewer = text(running(["a", "b"]))
        #expect(fewer.hasPrefix("error validating peerURLs {1  http://a:1} {2  http://b:1}: "))
        #expect(fewer.contains("member count is unequal"))
        let other = text(running(["a", "b", "z"]))
        #expect(other.contains("unmatched member while checking PeerURLs ({3  http://z:1}"))
        // Each running member was given, but one name has the URLs of two
        var odd = running(["a", "b", "b"])
        odd.members[2].id = 9
        #expect(text(odd).contains("no member has the URLs http://c:1"))
    }

    @Test("join: alone, the text says that the other members have to be given")
    func alone() throws {
        let configuration = try loadConfiguration("--initial-cluster-state=existing").configuration
        let text = refusal(configuration, nil).map { "\($0)" } ?? ""
        #expect(text.contains("--initial-cluster names no other"))
    }

    // MARK: rejoining

    @Test("rejoin: a member whose entry has started, and whose directory is empty, lost its disk")
    func rejoin() throws {
        let joiner = try settings("b", "--initial-cluster-state=existing")
        let answer = running(started: ["a", "b", "c"])
        let old = MemberRow(answer.members[1])
        let plan = try BootstrapPlan.decide(joiner, stored: nil, running: answer)
        #expect(
            plan
                == .rejoin(
                    old: old, clusterID: 0xc1, members: answer.members.map(MemberRow.init)))
        #expect(
            BootstrapPlan.replacement(of: old, joiner) == MemberReplaceRequest(oldID: 2, name: "b"))
        #expect("\(plan)".contains("fresh identity"))
        // Once replaced, the entry is one that never started: an answer that was lost does no harm
        let again = try BootstrapPlan.decide(
            joiner, stored: nil, running: running(started: ["a", "c"]))
        guard case .join(Identity(clusterID: 0xc1, memberID: 2), _) = again else {
            Issue.record("\(again)")
            return
        }
    }

    @Test("rejoin: each refusal of the cluster says what to do about it")
    func notReplaced() {
        let advice: [(EtcdError, String)] = [
            (.memberExists, "stop the process"), (.tooManyLearners, "--max-learners"),
            (.unhealthy, "start the others first"),
            (.notEnoughStartedMembers, "start the others first"),
            (.memberNotFound, "etcdctl member add"), (.timeout, "try again"),
        ]
        for (error, words) in advice {
            let text = "\(BootstrapError.notReplaced(0xab, error))"
            #expect(text.contains(words) && text.contains(error.rawValue), "\(text)")
            #expect(text.hasPrefix("member ab was not replaced"))
        }
    }
}
