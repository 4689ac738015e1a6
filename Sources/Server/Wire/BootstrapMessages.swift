// BootstrapMessages.swift: what a member that starts without data asks one that runs, and its answer.
// Belongs here: fields. Never here: what follows from them (Cluster/BootstrapPlan).
// Source: etcd semantics K10. The answer is a MemberListResponse with two fields more, so that its list
// has the form that clients know.

/// Asks who the members are.
struct BootstrapRequest: FieldMessage, Hashable {
    /// The id that the asker would use or once used; 0 for none.
    var memberID: UInt64 = 0

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &memberID)
    }
}

/// Says who the members are, and whether the asker is none any more.
struct BootstrapResponse: WireMessage, Hashable {
    /// The cluster's id, and the id of the member that answers.
    var clusterID: UInt64 = 0
    var answererID: UInt64 = 0
    var members: [WireMember] = []
    /// Whether the id that was asked about has been removed (K5).
    var isRemoved = false
    /// Whether the answering member is founding the cluster and knows nothing of it yet.
    var isFounding = false

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1:
                var header = ResponseHeader(clusterID: clusterID, memberID: answererID)
                try reader.message(field, into: &header)
                (clusterID, answererID) = (header.clusterID, header.memberID)
            case 2: try reader.messages(field, into: &members)
            case 15: isRemoved = try reader.bool(field)
            case 16: isFounding = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.memberListResponse(
            ResponseHeader(clusterID: clusterID, memberID: answererID), members: members)
        writer.bool(15, isRemoved)
        writer.bool(16, isFounding)
    }
}
