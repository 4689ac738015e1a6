// DecodeAny.swift: runs any request decoder on any bytes, for fuzzing.
// Belongs here: the list of decoders. Never here: the decoders.
// Invariant: whatever the bytes, it returns: no trap, no endless loop, no unbounded memory.

/// Decodes `bytes` as the message that `selector` chooses, and encodes what came out.
///
/// The second decoding must give the same message again; a difference traps, so a fuzzer sees it.
///
/// - Parameters:
///   - bytes: Anything.
///   - selector: Taken modulo the number of messages, so every value chooses one.
/// - Returns: Whether the bytes were a message of that kind.
@discardableResult
package func decodeAny(_ bytes: [UInt8], selector: UInt8) -> Bool {
    let decoder = decoders[Int(selector) % decoders.count]
    do {
        try decoder(bytes)
        return true
    } catch {
        return false
    }
}

/// How many different messages `decodeAny` knows.
package var decodeAnySelectorCount: Int { decoders.count }

private typealias Decoder = @Sendable ([UInt8]) throws(WireError) -> Void

private let decoders: [Decoder] = [
    roundTrip(RangeRequest.self), roundTrip(PutRequest.self), roundTrip(DeleteRangeRequest.self),
    roundTrip(TxnRequest.self), roundTrip(CompactionRequest.self), roundTrip(WatchRequest.self),
    roundTrip(LeaseGrantRequest.self), roundTrip(LeaseRevokeRequest.self),
    roundTrip(LeaseKeepAliveRequest.self), roundTrip(LeaseTimeToLiveRequest.self),
    roundTrip(LeaseLeasesRequest.self), roundTrip(AlarmRequest.self),
    roundTrip(StatusRequest.self), roundTrip(DefragmentRequest.self),
    roundTrip(HashRequest.self), roundTrip(HashKVRequest.self), roundTrip(SnapshotRequest.self),
    roundTrip(MoveLeaderRequest.self), roundTrip(DowngradeRequest.self),
    roundTrip(MemberListRequest.self), roundTrip(MemberAddRequest.self),
    roundTrip(MemberRemoveRequest.self), roundTrip(MemberUpdateRequest.self),
    roundTrip(MemberPromoteRequest.self), roundTrip(HealthCheckRequest.self),
    roundTrip(PublishMemberRequest.self), roundTrip(MemberReplaceRequest.self),
    roundTrip(AuthenticateRequest.self), roundTrip(AuthUserAddRequest.self),
    roundTrip(AuthUserChangePasswordRequest.self), roundTrip(AuthNameRequest.self),
    roundTrip(AuthUserRoleRequest.self), roundTrip(AuthRoleGrantPermissionRequest.self),
    roundTrip(AuthRoleRevokePermissionRequest.self), roundTrip(LoginRequest.self),
    roundTrip(LoginUsedRequest.self), roundTrip(BootstrapRequest.self),
    roundTrip(BootstrapResponse.self),
]

private func roundTrip<Message: WireMessage>(_: Message.Type) -> Decoder {
    { bytes throws(WireError) in
        let message = try Message(decoding: bytes)
        let again = try Message(decoding: message.encoded())
        precondition(again == message, "\(message) came back as \(again)")
    }
}
