// PeerAcceptingGreeter.swift: the acceptor's side of the hello.
// Belongs here: the order of checks, the answer. Never here: membership (the caller's
// `peerAdmits`), counting (PeerRegistry.swift).

import NIOCore

final class PeerAcceptingGreeter: PeerGreeter {
    private let settings: PeerSettings
    private let registry: PeerRegistry
    private let address: String
    private let host: String
    private var certificateFault: String?
    private var isGreeting = true
    private var hasFailed = false

    init(settings: PeerSettings, registry: PeerRegistry, address: String, host: String) {
        self.settings = settings
        self.registry = registry
        self.address = address
        self.host = host
    }

    let isDialed = false

    func opening() -> ByteBuffer? { nil }

    func secured(_ event: TLSHandshakeEvent) -> String? {
        // Told in the answer, so that the operator on the other side can read it too.
        certificateFault = event.certificateFault
        guard event.applicationProtocol == "\(PeerWire.applicationProtocol)" else {
            return "it did not ask for \(PeerWire.applicationProtocol) by ALPN; is it a member?"
        }
        return nil
    }

    func received(
        _ body: ByteBuffer, make: (PeerIntroduction) -> PeerConnection
    ) throws(PeerFault) -> PeerGreeting {
        let hello = try PeerHello(body: body)
        if case .refuse(let refusal, let text) = judge(hello) {
            return refuse(hello, refusal, text)
        }
        let version = min(hello.newestVersion, PeerWire.versions.upperBound)
        let connection = make(
            PeerIntroduction(
                channel: hello.channel, member: hello.from, version: version, hello: hello))
        guard registry.admit(connection) else {
            return refuse(
                hello, .busy,
                "there are as many \(hello.channel) connections as are allowed; try again later")
        }
        return .open(connection, reply: answer(nil, version: version, "welcome"))
    }

    /// The checks in the order in which their answers help: protocol, certificate, cluster, member.
    private func judge(_ hello: PeerHello) -> PeerAdmission {
        let own = settings.identity
        let versions = PeerWire.versions
        guard hello.oldestVersion <= hello.newestVersion else {
            return .refuse(.malformed, "the oldest version is newer than the newest")
        }
        guard hello.oldestVersion <= versions.upperBound,
            hello.newestVersion >= versions.lowerBound
        else {
            return .refuse(
                .versionMismatch,
                "this member speaks peer protocol \(versions.lowerBound) to "
                    + "\(versions.upperBound), the other \(hello.oldestVersion) to "
                    + "\(hello.newestVersion); upgrade the older one")
        }
        if let certificateFault { return .refuse(.notAllowed, certificateFault) }
        let isNew = hello.channel == .bootstrap
        guard isNew || (hello.from != 0 && hello.clusterID != 0) else {
            return .refuse(.malformed, "only the bootstrap channel is for members without an id")
        }
        let isClusterOpen = isNew && (hello.clusterID == 0 || own.clusterID == 0)
        guard hello.clusterID == own.clusterID || isClusterOpen else {
            return .refuse(
                .wrongCluster,
                "cluster ID mismatch: this member is in cluster \(PeerEvent.hex(own.clusterID)), the other in "
                    + "\(PeerEvent.hex(hello.clusterID)); compare initial-cluster and its token")
        }
        guard hello.to == 0 || hello.to == own.memberID else {
            return .refuse(
                .wrongMember,
                "this is member \(PeerEvent.hex(own.memberID)), not \(PeerEvent.hex(hello.to)); "
                    + "correct the peer URL of one of them")
        }
        guard hello.from == 0 || hello.from != own.memberID else {
            return .refuse(.wrongMember, "this member has the same id as the one that connects")
        }
        return settings.handler.peerAdmits(hello)
    }

    private func refuse(
        _ hello: PeerHello, _ refusal: PeerRefusal, _ text: String
    ) -> PeerGreeting {
        greeted()
        // Refused members keep trying: the log hears of each no more often than of other failures.
        let key = "\(host) \(hello.from) \(hello.channel.rawValue)"
        if registry.refusals.count(key, at: registry.now) != nil {
            settings.report(
                .refused(
                    member: hello.from, channel: hello.channel, address: address, refusal, text))
        }
        return .close(reply: answer(refusal, version: PeerWire.versions.upperBound, text))
    }

    private func answer(_ refusal: PeerRefusal?, version: UInt16, _ text: String) -> ByteBuffer {
        PeerAnswer(refusal: refusal, version: version, identity: settings.identity, text: text)
            .encoded
    }

    func reply(to fault: PeerFault) -> ByteBuffer? {
        switch fault {
        // Whoever does not say the magic words would not understand the answer.
        case .notAPeer, .tlsOnPlain: nil
        default: answer(.malformed, version: PeerWire.versions.upperBound, "\(fault)")
        }
    }

    func opened(_ connection: PeerConnection) { greeted() }

    func closed(_ connection: PeerConnection) { registry.remove(connection) }

    func failed(_ reason: String) {
        greeted()
        // What comes after the first failure follows from it.
        guard !hasFailed else { return }
        hasFailed = true
        guard let count = registry.failures.count(host, at: registry.now) else { return }
        settings.report(.handshakeFailed(address: address, reason: reason, count: count))
    }

    /// The connection no longer counts as one that has not said hello.
    func greeted() {
        guard isGreeting else { return }
        isGreeting = false
        registry.endGreeting()
    }
}
