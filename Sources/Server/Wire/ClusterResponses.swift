// ClusterResponses.swift: the answers of the Cluster service, written for clients and read by members.
// Belongs here: fields and their order. Never here: who the members are.
// Source: messages.tsv, package etcdserverpb; headers of these answers have revision 0 (rule G4).
// A member that starts reads them from one that runs (BootstrapMessages.swift).

/// One member of the cluster as clients see it (etcd rpc.proto, Member).
struct WireMember: Hashable, Sendable {
    var id: UInt64 = 0
    /// Empty until the member has started once (rule K1).
    var name = ""
    var peerURLs: [String] = []
    /// Empty until the member has started once (rule K1).
    var clientURLs: [String] = []
    var isLearner = false
}

extension WireMember: FieldMessage {
    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &id)
        try fields.field(2, &name)
        try fields.field(3, &peerURLs)
        try fields.field(4, &clientURLs)
        try fields.field(5, &isLearner)
    }
}

/// A MemberAddResponse as a member reads it (etcd rpc.proto, MemberAddResponse).
struct MemberAddResponse: WireDecodable, Hashable {
    var header = ResponseHeader()
    var added = WireMember()
    var members: [WireMember] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, into: &header)
            case 2: try reader.message(field, into: &added)
            case 3: try reader.messages(field, into: &members)
            default: try reader.skip(field)
            }
        }
    }
}

extension ProtoWriter {
    /// A whole answer of MemberList, MemberRemove, MemberUpdate or MemberPromote.
    mutating func memberListResponse(_ header: ResponseHeader, members: [WireMember]) {
        self.header(header)
        for member in members { message(2, member) }
    }

    /// A whole MemberAddResponse: the new member and the full list.
    mutating func memberAddResponse(
        _ header: ResponseHeader, added: WireMember, members: [WireMember]
    ) {
        self.header(header)
        message(2, added)
        for member in members { message(3, member) }
    }
}
