// LeaseResponses.swift: the answers of the Lease service, read as a client reads them.
// Belongs here: plain copies of the messages. Never here: what they should say (the simulator's checkers, tests).
// Source: etcd rpc.proto.

@testable import Server

/// LeaseGrantResponse and LeaseKeepAliveResponse, which have the same fields.
struct DecodedLease: DecodedResponse {
    var header: DecodedHeader?
    var id: Int64 = 0
    var ttl: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 2: id = try reader.int64(field)
            case 3: ttl = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// LeaseTimeToLiveResponse.
struct DecodedTimeToLive: DecodedResponse {
    var header: DecodedHeader?
    var ttl: Int64 = 0
    var granted: Int64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 3: ttl = try reader.int64(field)
            case 4: granted = try reader.int64(field)
            default: try reader.skip(field)
            }
        }
    }
}
