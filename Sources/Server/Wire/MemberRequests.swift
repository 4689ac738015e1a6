// MemberRequests.swift: membership requests that members send each other, not clients.
// Belongs here: their fields. Never here: the requests of clients (ClusterRequests), handling
// (Executor+Cluster).
// Source: semantics K9 for publishing; replacing has no counterpart in etcd.

/// Tells the cluster a member's name and client URLs, at each of its starts (K9).
struct PublishMemberRequest: FieldMessage, Hashable {
    var id: UInt64 = 0
    var name = ""
    var clientURLs: [String] = []

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &id)
        try fields.field(2, &name)
        try fields.field(3, &clientURLs)
    }
}

/// Asks for a fresh identity in place of that of a member whose disk is lost.
///
/// The old id never votes again, so a vote or an acknowledgement that went down with the disk can't be
/// given twice.
struct MemberReplaceRequest: FieldMessage, Hashable {
    /// The member that is replaced; it must not be running.
    var oldID: UInt64 = 0
    var name = ""

    mutating func visit<Fields: FieldVisitor>(_ fields: inout Fields) throws(Fields.Failure) {
        try fields.field(1, &oldID)
        try fields.field(2, &name)
    }
}
