// MemberRequests.swift: membership requests that members send each other, not clients.
// Belongs here: their fields. Never here: the requests of clients (ClusterRequests), handling
// (Executor+Cluster).
// Source: semantics K9 for publishing; replacing has no counterpart in etcd.

/// Tells the cluster a member's name and client URLs, at each of its starts (K9).
struct PublishMemberRequest: WireMessage, Hashable {
    var id: UInt64 = 0
    var name = ""
    var clientURLs: [String] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: id = try reader.uint64(field)
            case 2: name = try reader.string(field)
            case 3: clientURLs.append(try reader.string(field))
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.uint64(1, id)
        writer.string(2, name)
        for url in clientURLs { writer.string(3, url, keepsDefault: true) }
    }
}

/// Asks for a fresh identity in place of that of a member whose disk is lost.
///
/// The old id never votes again, so a vote or an acknowledgement that went down with the disk can't be
/// given twice.
struct MemberReplaceRequest: WireMessage, Hashable {
    /// The member that is replaced; it must not be running.
    var oldID: UInt64 = 0
    var name = ""

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: oldID = try reader.uint64(field)
            case 2: name = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.uint64(1, oldID)
        writer.string(2, name)
    }
}
