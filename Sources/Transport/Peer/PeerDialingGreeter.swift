// PeerDialingGreeter.swift: the dialer's side of the hello.
// Belongs here: what is said, and whether the answer comes from the member meant. Never here:
// connecting (PeerDialer.swift).

import NIOCore

final class PeerDialingGreeter: PeerGreeter {
    private let dial: PeerDial
    private let settings: PeerSettings

    init(_ dial: PeerDial, settings: PeerSettings) {
        self.dial = dial
        self.settings = settings
    }

    let isDialed = true

    func opening() -> ByteBuffer? {
        PeerHello(identity: settings.identity, to: dial.member, channel: dial.channel).encoded
    }

    func secured(_ event: TLSHandshakeEvent) -> String? {
        event.applicationProtocol == "\(PeerWire.applicationProtocol)"
            ? nil : "it does not speak \(PeerWire.applicationProtocol); is the URL a peer URL?"
    }

    func received(
        _ body: ByteBuffer, make: (PeerIntroduction) -> PeerConnection
    ) throws(PeerFault) -> PeerGreeting {
        let answer = try PeerAnswer(body: body)
        if let refusal = answer.refusal {
            dial.failed(.refusedByPeer(url: url, refusal, answer.text))
            return .close(reply: nil)
        }
        let own = settings.identity
        guard PeerWire.versions.contains(answer.version) else {
            return refuse(.versionMismatch, "it chose peer protocol \(answer.version)")
        }
        guard dial.member == 0 || dial.member == answer.memberID else {
            return refuse(
                .wrongMember,
                "it is member \(PeerEvent.hex(answer.memberID)), not "
                    + "\(PeerEvent.hex(dial.member)); correct the peer URL")
        }
        let isClusterOpen =
            dial.channel == .bootstrap && (own.clusterID == 0 || answer.clusterID == 0)
        guard answer.clusterID == own.clusterID || isClusterOpen else {
            return refuse(
                .wrongCluster,
                "cluster ID mismatch: it is in cluster \(PeerEvent.hex(answer.clusterID)), this member in "
                    + PeerEvent.hex(own.clusterID))
        }
        let other = PeerIntroduction(
            channel: dial.channel, member: answer.memberID, version: answer.version)
        return .open(make(other), reply: nil)
    }

    private func refuse(_ refusal: PeerRefusal, _ text: String) -> PeerGreeting {
        dial.failed(.refusedByUs(url: url, refusal, text))
        return .close(reply: nil)
    }

    private var url: String { dial.url.description }

    func reply(to fault: PeerFault) -> ByteBuffer? { nil }

    func opened(_ connection: PeerConnection) { dial.opened(connection) }

    func closed(_ connection: PeerConnection) { dial.closed(connection) }

    func failed(_ reason: String) { dial.failed(.handshake(url: url, reason: reason)) }
}
