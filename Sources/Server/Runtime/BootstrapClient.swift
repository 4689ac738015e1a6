// BootstrapClient.swift: one question to another member, on a connection of its own.
// Belongs here: connecting, the time limit. Never here: what is asked and why (Bootstrapper, FounderCheck).

internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Transport

/// Asks members before this one is one of them; must not be used on an event loop.
struct BootstrapClient {
    let name: String
    let group: MultiThreadedEventLoopGroup
    let tls: PeerTLS?
    let logger: Logger
    /// How loud a question without an answer is.
    var failureLevel = Logger.Level.info

    /// Longer than an election, for some questions go through the log.
    private static let answerSeconds: Int64 = 5

    /// The answer; nil if there was none in time.
    func ask(_ url: EndpointURL, _ kind: PeerFrame, _ bytes: [UInt8]) -> [UInt8]? {
        let loop = group.next()
        let promise = loop.makePromise(of: [UInt8].self)
        let question = BootstrapQuestion(promise: promise)
        loop.scheduleTask(in: .seconds(Self.answerSeconds)) { question.giveUp() }
        // Who asks has no id yet, and may not know the cluster's.
        let nobody = PeerIdentity(clusterID: 0, memberID: 0, name: name)
        let settings = PeerSettings(
            identity: nobody, tls: tls, group: group, handler: question,
            report: { [logger] in logger.debug("\($0)") })
        PeerDialer.connect(
            to: PeerURL(url), member: 0, channel: .bootstrap, settings: settings
        ) { result in
            switch result {
            case .success(let connection): _ = connection.send(kind: kind.rawValue, bytes)
            case .failure(let error): question.fail(error)
            }
        }
        do {
            return try promise.futureResult.wait()
        } catch {
            logger.log(
                level: failureLevel, "a member could not be asked about the cluster",
                metadata: ["url": "\(url)", "reason": "\(error)"])
            return nil
        }
    }
}

/// The handler of a connection that carries one question.
private final class BootstrapQuestion: PeerHandler {
    private struct NoAnswer: Error, CustomStringConvertible {
        let description: String
    }

    private let promise: EventLoopPromise<[UInt8]>

    init(promise: EventLoopPromise<[UInt8]>) {
        self.promise = promise
    }

    func fail(_ error: any Error) { promise.fail(error) }

    func giveUp() { fail(NoAnswer(description: "no answer in time")) }

    func peerAdmits(_ hello: PeerHello) -> PeerAdmission {
        .refuse(.busy, "nothing is accepted here")
    }
    func peerConnected(_ connection: PeerConnection) {}
    func peerDrained(_ connection: PeerConnection) {}

    func peerClosed(_ connection: PeerConnection) {
        fail(NoAnswer(description: "the connection was closed without an answer"))
    }

    func peerReceived(_ connection: PeerConnection, kind: UInt8, payload: ByteBuffer) {
        promise.succeed(Array(payload.readableBytesView))
        connection.close()
    }
}
