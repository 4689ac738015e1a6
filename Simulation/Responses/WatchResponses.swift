// WatchResponses.swift: the answers of the Watch service, read as a client reads them.
// Belongs here: plain copies of the messages. Never here: what they should say (the simulator's checkers, tests).
// Source: etcd rpc.proto, WatchResponse; kv.proto, Event.

@testable import Server

/// mvccpb.Event.
struct DecodedEvent: WireDecodable {
    var type: Int32 = 0
    var kv: WireKeyValue?
    var prevKV: WireKeyValue?

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: type = try reader.int32(field)
            case 2: try reader.message(field, intoOptional: &kv)
            case 3: try reader.message(field, intoOptional: &prevKV)
            default: try reader.skip(field)
            }
        }
    }
}

/// WatchResponse.
struct DecodedWatch: DecodedResponse {
    var header: DecodedHeader?
    var watchID: Int64 = 0
    var created = false
    var canceled = false
    var compactRevision: Int64 = 0
    var cancelReason = ""
    var fragment = false
    var events: [DecodedEvent] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: try reader.message(field, intoOptional: &header)
            case 2: watchID = try reader.int64(field)
            case 3: created = try reader.bool(field)
            case 4: canceled = try reader.bool(field)
            case 5: compactRevision = try reader.int64(field)
            case 6: cancelReason = try reader.string(field)
            case 7: fragment = try reader.bool(field)
            case 11: try reader.messages(field, into: &events)
            default: try reader.skip(field)
            }
        }
    }
}
