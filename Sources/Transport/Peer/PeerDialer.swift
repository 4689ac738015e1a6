// PeerDialer.swift: connects to another member once.
// Belongs here: TCP, and one answer for every attempt. Never here: trying again (PeerLink.swift).

import NIOCore
import NIOPosix

/// Connects to another member once: for snapshots, and for questions of a new member.
public enum PeerDialer {
    /// Connects, and calls `done` once, on an event loop.
    ///
    /// `member` is the one meant, 0 for any. On success `done` comes before the handler's
    /// `peerConnected`, so that it can set the connection's `state`.
    public static func connect(
        to url: PeerURL, member: UInt64, channel: PeerChannel, settings: PeerSettings,
        done: @escaping @Sendable (Result<PeerConnection, PeerError>) -> Void
    ) {
        let dial = PeerDial(
            url: url, member: member, channel: channel, opened: { done(.success($0)) },
            failed: { done(.failure($0)) }, closed: { _ in })
        dial.start(on: settings.group.next(), settings)
    }
}

/// One attempt to connect; of `opened` and `failed` exactly one is called, `closed` after `opened`.
struct PeerDial: Sendable {
    var url: PeerURL
    var member: UInt64
    var channel: PeerChannel
    var opened: @Sendable (PeerConnection) -> Void
    var failed: @Sendable (PeerError) -> Void
    var closed: @Sendable (PeerConnection) -> Void

    func start(on loop: any EventLoop, _ settings: PeerSettings) {
        guard !url.isTLS || settings.tls != nil else {
            loop.execute { failed(.noCertificate(url: url.description)) }
            return
        }
        ClientBootstrap(group: loop)
            .connectTimeout(.nanoseconds(settings.limits.handshakeNanoseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.writeBufferWaterMark, value: PeerSockets.waterMark)
            .channelOption(.recvAllocator, value: PeerSockets.readAllocator)
            .connect(host: url.host, port: url.port)
            .whenComplete { result in
                switch result {
                case .failure(let error):
                    failed(.unreachable(url: url.description, reason: Self.text(of: error)))
                case .success(let channel):
                    greet(on: channel, settings)
                }
            }
    }

    /// Handlers are added when the connection stands: of a name with two addresses NIO tries both,
    /// and only one attempt may be heard of.
    private func greet(on channel: any Channel, _ settings: PeerSettings) {
        let greeter = PeerDialingGreeter(self, settings: settings)
        guard channel.isActive else {
            greeter.failed("the other side closed it at once")
            return
        }
        do {
            let handshake = try PeerSockets.install(
                greeter, on: channel, settings: settings, address: url.description,
                role: url.isTLS ? .dialing(host: url.host) : nil, remoteIP: nil)
            // TLS may have failed before the handshake was there to hear of it.
            if !channel.isActive { handshake.end() }
        } catch {
            greeter.failed("\(error)")
            channel.close(promise: nil)
        }
    }

    private static func text(of error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first {
                text(of: first.error)
            } else {
                "\(error.host) has no address: is the name right, and does DNS know it?"
            }
        case ChannelError.connectTimeout: "no answer in time: is the host up and the port open?"
        default: SystemErrorText.of(error)
        }
    }
}
