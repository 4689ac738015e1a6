// TestListener.swift: a real listener on a free loopback port, with an echo service, closed when a
// test ends.

import NIOCore
import NIOPosix

@testable import Transport

/// Answers at once: unary and chat calls by echo, the method `List` with the peer's certificate
/// name.
final class EchoRPC: RPCHandler {
    func start(_ call: RPCCall) {}

    func received(_ call: RPCCall, _ message: [UInt8]) {
        if call.kind == .serverStream {
            call.send(Array((call.peer.certificateCommonName ?? "nobody").utf8))
        } else {
            call.send(message)
        }
        if call.kind == .unary { call.finish(.ok) }
    }

    func halfClosed(_ call: RPCCall) { call.finish(.ok) }
    func cancelled(_ call: RPCCall, _ reason: CancelReason) {}
    func drained(_ call: RPCCall) {}
    func endOfTurn() {}
}

final class TestListener {
    let listener: Listener
    let registry: HandlerRegistry
    let log = EventLog()
    private let group: MultiThreadedEventLoopGroup

    init(
        tls: TLSConfiguration? = nil, limits: ConnectionLimits = ConnectionLimits(),
        servesRPC: Bool = true
    ) throws {
        let log = self.log
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            registry = try HandlerRegistry(
                group: group, methods: testMethods, rpc: { _, _ in EchoRPC() },
                http: { _, _ in DescribingHTTP() }, report: { log.append($0) })
            listener = try Listener.bind(
                ListenerConfiguration(
                    address: .tcp(host: "127.0.0.1", port: 0), tls: tls, limits: limits,
                    servesRPC: servesRPC),
                registry: registry)
        } catch {
            try group.syncShutdownGracefully()
            throw error
        }
    }

    /// Closes the listener, all connections and the loops.
    func stop() throws {
        listener.close()
        try group.syncShutdownGracefully()
    }
}
