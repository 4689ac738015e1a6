// LoopSet.swift: the services of every event loop, made on their loops.
// Belongs here: one Front, hub and store per loop, shared by all listeners. Never here: their behaviour.

internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Storage
internal import Transport

/// What the services of a loop are made of.
struct ServiceParts: Sendable {
    let identity: Identity
    let limits: FrontLimits
    let status: SharedStatus
    let pages: PageStore
    let inbox: ReplicaInbox
    let pool: ComputePool
    let metrics: Metrics
    let logger: Logger
    let observer: ObserverSettings
    let fragmentBytesMax: Int
    let progressMilliseconds: UInt64
    let corsOrigins: [String]
    let hostWhitelist: [String]
    let servesGateway: Bool
}

/// The services of one loop; confined to it.
final class LoopServices {
    let front: Front
    let environment: NIOLoopEnvironment
    let calls: CallRunner
    let gateway: Gateway

    init(_ parts: ServiceParts, loop: any EventLoop, index: Int, mailbox: LoopMailbox) {
        let environment = NIOLoopEnvironment(
            loop: loop, inbox: parts.inbox, pool: parts.pool)
        let logger = parts.logger
        let store = LoopStore(pages: parts.pages) { [inbox = parts.inbox] error in
            logger.error("a read met an error of the store", metadata: ["error": "\(error)"])
            inbox.add(.damaged(error))
        }
        let context = LoopContext(
            identity: parts.identity, limits: parts.limits, status: parts.status, store: store,
            environment: environment, loop: Int32(index), pages: parts.pages)
        let hub = WatchHub(
            identity: parts.identity, status: parts.status, store: store, environment: environment,
            loop: Int32(index), fragmentBytesMax: parts.fragmentBytesMax,
            progressMilliseconds: parts.progressMilliseconds)
        let front = Front(context: context, watches: hub)
        self.front = front
        self.environment = environment
        calls = CallRunner(
            front: front, metrics: parts.metrics,
            observer: CallObserver(parts.observer) { front.userName(of: $0) })
        gateway = Gateway(
            calls: calls, environment: environment,
            messageBytesMax: parts.limits.receiveMessageBytesMax)
        environment.refused = { [weak front] request in
            guard case .call(let ticket) = request.origin else { return }
            front?.take(.failure(ticket, EtcdError.tooManyRequests.status))
        }
        mailbox.receiver = { [weak front] in front?.take($0) }
    }
}

/// All loops with their mailboxes and, once they serve, their services.
final class LoopSet: Sendable {
    let mailboxes: [LoopMailbox]
    private let group: MultiThreadedEventLoopGroup
    // One a loop, each touched on its loop only.
    private let services: [NIOLoopBoundBox<LoopServices?>]

    init(group: MultiThreadedEventLoopGroup) {
        self.group = group
        let loops = Array(group.makeIterator())
        mailboxes = loops.map { LoopMailbox(loop: $0) }
        services = loops.map { .makeEmptyBox(valueType: LoopServices.self, eventLoop: $0) }
    }

    /// The handlers for a kind of listener.
    func registry(
        _ set: EndpointSet, services parts: ServiceParts
    ) throws(TransportError) -> HandlerRegistry {
        try HandlerRegistry(
            group: group, methods: Method.table,
            rpc: { [self] index, loop in
                let services = make(parts, index, loop)
                return LoopRPCHandler(
                    calls: services.calls, environment: services.environment)
            },
            http: { [self] index, loop in
                let services = make(parts, index, loop)
                return LoopHTTPHandler(
                    endpoints: Endpoints(
                        set: set, front: services.front,
                        gateway: set == .client && parts.servesGateway ? services.gateway : nil,
                        metrics: parts.metrics, corsOrigins: parts.corsOrigins,
                        hostWhitelist: parts.hostWhitelist))
            },
            report: { event in
                parts.logger.log(level: event.level, "\(event)")
            })
    }

    private func make(_ parts: ServiceParts, _ index: Int, _ loop: any EventLoop) -> LoopServices {
        if let made = services[index].value { return made }
        let made = LoopServices(parts, loop: loop, index: index, mailbox: mailboxes[index])
        services[index].value = made
        return made
    }
}

extension TransportEvent {
    // What any client can cause by hanging up is no news; what an operator can mend, or must know, is.
    fileprivate var level: Logger.Level {
        switch self {
        case .connectionFailed, .protocolError, .connectionTimedOut: .debug
        case .certificatesReloaded: .info
        case .connectionRefused, .handshakeFailed, .plainTextOnTLS, .tlsOnPlainText,
            .enhanceYourCalm, .certificateReloadFailed, .certificateWarning:
            .warning
        }
    }
}
