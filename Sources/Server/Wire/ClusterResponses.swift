// ClusterResponses.swift: the answers of the Cluster service.
// Belongs here: fields and their order. Never here: who the members are.
// Source: messages.tsv, package etcdserverpb; headers of these answers have revision 0 (rule G4).

/// One member of the cluster as clients see it (etcd rpc.proto, Member).
struct WireMember: Hashable, Sendable {
    var id: UInt64
    /// Empty until the member has started once (rule K1).
    var name = ""
    var peerURLs: [String] = []
    /// Empty until the member has started once (rule K1).
    var clientURLs: [String] = []
    var isLearner = false
}

extension ProtoWriter {
    /// A whole answer of MemberList, MemberRemove, MemberUpdate or MemberPromote.
    mutating func memberListResponse(_ header: ResponseHeader, members: [WireMember]) {
        self.header(header)
        for member in members { self.member(2, member) }
    }

    /// A whole MemberAddResponse: the new member and the full list.
    mutating func memberAddResponse(
        _ header: ResponseHeader, added: WireMember, members: [WireMember]
    ) {
        self.header(header)
        member(2, added)
        for member in members { self.member(3, member) }
    }

    private mutating func member(_ field: Int, _ member: WireMember) {
        let open = openMessage(field)
        uint64(1, member.id)
        string(2, member.name)
        for url in member.peerURLs { string(3, url, keepsDefault: true) }
        for url in member.clientURLs { string(4, url, keepsDefault: true) }
        bool(5, member.isLearner)
        close(open)
    }
}
