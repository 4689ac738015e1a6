// Harness.swift: a server connection and a client session in one thread, with a clock that tests
// move.

import NIOCore
import NIOEmbedded

@testable import Transport

final class Harness {
    let loop = EmbeddedEventLoop()
    let channel: EmbeddedChannel
    let rpc = RecordingRPC()
    let http = DescribingHTTP()
    let log = EventLog()
    let context: LoopContext
    let connection: HTTP2Connection
    let client: ClientSession
    /// Sizes of the server's writes, in order.
    private(set) var writes: [Int] = []

    init(
        limits: ConnectionLimits = ConnectionLimits(), client: ClientSession = ClientSession(),
        servesRPC: Bool = true
    ) throws {
        let log = self.log
        channel = EmbeddedChannel(loop: loop)
        context = LoopContext(
            eventLoop: loop, index: 0, methods: MethodTable(testMethods), rpc: rpc, http: http,
            counters: TransportCounters(), report: { log.append($0) })
        connection = HTTP2Connection(
            loop: context, peer: PeerInfo(address: "10.0.0.1:1234"), limits: limits,
            servesRPC: servesRPC)
        self.client = client
        try channel.pipeline.syncOperations.addHandler(connection)
        try channel.connect(to: SocketAddress(ipAddress: "10.0.0.1", port: 1234)).wait()
    }

    /// Gives bytes to the server in one read.
    func feed(_ bytes: [UInt8]) throws {
        guard !bytes.isEmpty, channel.isActive else { return }
        try channel.writeInbound(ByteBuffer(bytes: bytes))
    }

    /// Takes what the server has written, as one list of bytes.
    func take() throws -> [UInt8] {
        var all: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
            writes.append(buffer.readableBytes)
            all += Array(buffer.readableBytesView)
        }
        return all
    }

    /// Moves bytes both ways until both sides are silent.
    func pump() throws {
        var isSilent = false
        while !isSilent {
            let request = client.output()
            try feed(request)
            loop.run()
            let answer = try take()
            client.input(answer)
            isSilent = request.isEmpty && answer.isEmpty
        }
    }

    /// Closes the channel, so that the connection lets go of everything.
    func close() throws {
        _ = try channel.finish(acceptAlreadyClosed: true)
        loop.run()
    }
}
