// AuthResponses.swift: the answers of the Auth service, read as a client reads them.
// Belongs here: plain copies of the messages. Never here: what they should say (the simulator's checkers, tests).
// Source: etcd rpc.proto.

@testable import Server

/// AuthenticateResponse.
struct DecodedLogin: DecodedResponse {
    var header: DecodedHeader?
    var token = ""

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 2: token = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }
}
