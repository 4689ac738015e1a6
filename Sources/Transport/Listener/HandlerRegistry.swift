// HandlerRegistry.swift: the handlers of every event loop of a group, made once and shared by
// listeners. Belongs here: making them on their loops, and the sums of their counters. Never here:
// sockets.

public import NIOCore
public import NIOPosix

/// The per-loop handlers that the connections of one or more listeners call.
public final class HandlerRegistry: Sendable {
    let group: MultiThreadedEventLoopGroup
    let contexts: [LoopContext]
    let counters = TransportCounters()
    let report: @Sendable (TransportEvent) -> Void

    /// Makes the handlers of every loop, each on its loop; must not be called on one of them.
    public init(
        group: MultiThreadedEventLoopGroup, methods: [RPCMethod],
        rpc: @escaping @Sendable (Int, any EventLoop) -> any RPCHandler,
        http: @escaping @Sendable (Int, any EventLoop) -> any HTTPHandler,
        report: @escaping @Sendable (TransportEvent) -> Void
    ) throws(TransportError) {
        let table = MethodTable(methods)
        let counters = self.counters
        let pending = group.makeIterator().enumerated().map { index, loop in
            loop.submit {
                LoopContext(
                    eventLoop: loop, index: index, methods: table, rpc: rpc(index, loop),
                    http: http(index, loop), counters: counters, report: report)
            }
        }
        do {
            self.contexts = try pending.map { try $0.wait() }
        } catch {
            throw .eventLoops(reason: "\(error)")
        }
        self.group = group
        self.report = report
    }

    /// The counters of all connections so far.
    public var counts: TransportCounts { counters.counts }

    /// The context of a loop of the group.
    func context(of loop: any EventLoop) -> LoopContext {
        guard let context = contexts.first(where: { $0.eventLoop === loop }) else {
            preconditionFailure("the event loop is not of the registry's group")
        }
        return context
    }
}
