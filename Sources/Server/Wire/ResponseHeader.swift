// ResponseHeader.swift: the header that most answers begin with.
// Belongs here: its fields and bytes. Never here: which answer carries which (rules G4 to G6).
// Source: messages.tsv, etcdserverpb.ResponseHeader; it is field 1 of every answer that has one.

/// Who answered, and at which revision (etcd rpc.proto, ResponseHeader).
struct ResponseHeader: Hashable, Sendable {
    var clusterID: UInt64 = 0
    var memberID: UInt64 = 0
    var revision: Int64 = 0
    var raftTerm: UInt64 = 0

    /// The header of a nested transaction's answer: present and empty (rule G6).
    static let empty = ResponseHeader()

    /// The header of an answer inside a transaction: the revision alone (rule G6).
    static func inTxn(revision: Int64) -> ResponseHeader {
        ResponseHeader(revision: revision)
    }

    /// The size of the header's content.
    var bodySize: Int {
        WireSize.uint64(1, clusterID) + WireSize.uint64(2, memberID)
            + WireSize.int64(3, revision) + WireSize.uint64(4, raftTerm)
    }

    /// The size of the header as field 1 of an answer.
    var fieldSize: Int { WireSize.lengthDelimited(1, bodySize) }
}

extension ResponseHeader: WireDecodable {
    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: clusterID = try reader.uint64(field)
            case 2: memberID = try reader.uint64(field)
            case 3: revision = try reader.int64(field)
            case 4: raftTerm = try reader.uint64(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension WireCursor {
    /// Writes the header, whose content has `bodySize` bytes, as field 1, also when it is empty.
    @inline(__always)
    mutating func header(_ header: ResponseHeader, bodySize: Int) {
        tag(1, .lengthDelimited)
        varint(UInt64(bodySize))
        uint64(1, header.clusterID)
        uint64(2, header.memberID)
        int64(3, header.revision)
        uint64(4, header.raftTerm)
    }
}

extension ProtoWriter {
    /// Appends the header as field 1, also when it is empty.
    mutating func header(_ header: ResponseHeader) {
        let bodySize = header.bodySize
        append(exactly: WireSize.lengthDelimited(1, bodySize)) { cursor in
            cursor.header(header, bodySize: bodySize)
        }
    }

    /// A whole answer that is a header and nothing more, such as that of Compact.
    mutating func headerOnlyResponse(_ header: ResponseHeader) {
        self.header(header)
    }
}
