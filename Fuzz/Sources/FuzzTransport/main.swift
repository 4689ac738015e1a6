// main.swift: libFuzzer's driver for the HTTP/2 and gRPC connection, and for that between members (PeerFuzz.swift).
// Belongs here: turning bytes into a connection's life. Never here: expectations of single inputs (TransportTests).
// The first byte chooses what the rest is: bytes of a fresh connection, frames after a proper preface, or frames whose
// lengths are put right. A failed precondition or a broken order of callbacks is the finding.

import FuzzDriver
import NIOCore
import NIOEmbedded

@testable import Transport

/// Answers, and checks that Transport keeps the order it promises.
final class CheckingRPC: RPCHandler {
    private enum State {
        case started
        case halfClosed
        case over
    }

    private var states: [ObjectIdentifier: State] = [:]
    private var kept: [RPCCall] = []

    func start(_ call: RPCCall) {
        precondition(states.updateValue(.started, forKey: ObjectIdentifier(call)) == nil)
        kept.append(call)
        if kept.count % 5 == 0 { call.pauseReceiving() }
    }

    func received(_ call: RPCCall, _ message: [UInt8]) {
        precondition(states[ObjectIdentifier(call)] == .started)
        // While a message in parts is open, no other may be sent.
        guard call.partBytesLeft == 0 else { return }
        switch message.first {
        case 1: call.send([UInt8](repeating: 0, count: message.count * 100))
        case 2: end(call, RPCStatus(.aborted, String(decoding: message, as: UTF8.self)))
        case 3:
            call.beginMessage(length: 10)
            call.sendPart([1])
            return
        default: call.send(message)
        }
        if call.kind == .unary && call.isOpen { end(call, .ok) }
    }

    func halfClosed(_ call: RPCCall) {
        precondition(states[ObjectIdentifier(call)] == .started)
        states[ObjectIdentifier(call)] = .halfClosed
        if call.partBytesLeft == 0 { end(call, .ok) }
    }

    func cancelled(_ call: RPCCall, _ reason: CancelReason) {
        let state = states.updateValue(.over, forKey: ObjectIdentifier(call))
        precondition(state == .started || state == .halfClosed)
    }

    func drained(_ call: RPCCall) {
        if call.partBytesLeft == 0 { call.send([4]) }
    }

    func endOfTurn() {
        for call in kept.suffix(3) { call.resumeReceiving() }
    }

    private func end(_ call: RPCCall, _ status: RPCStatus) {
        guard call.partBytesLeft == 0 else { return }
        states[ObjectIdentifier(call)] = .over
        call.finish(status)
    }
}

final class CheckingHTTP: HTTPHandler {
    func handle(_ request: HTTPRequest, respond: @escaping @Sendable (HTTPResponse) -> Void) {
        respond(HTTPResponse(status: 200, headers: [("a", "b")], body: request.body))
    }
}

let methods = [
    RPCMethod(path: "/test.Echo/Unary", kind: .unary),
    RPCMethod(path: "/test.Echo/List", kind: .serverStream),
    RPCMethod(path: "/test.Echo/Chat", kind: .bidi),
]

/// First bytes from here on choose a connection between members.
let firstPeerMode: UInt8 = 0xC0

/// The frames of `bytes`: length byte, type, flags, stream, payload, with the frame's length put right.
func frames(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var made: [UInt8] = []
    var rest = bytes
    while rest.count >= 4 {
        let head = Array(rest.prefix(4))
        rest = rest.dropFirst(4)
        let payload = rest.prefix(Int(head[0]))
        rest = rest.dropFirst(payload.count)
        made += [0, 0, UInt8(payload.count), head[1] % 11, head[2], 0, 0, 0, head[3]] + payload
    }
    return made
}

/// A whole life of one connection.
func live(_ input: [UInt8]) throws {
    guard let mode = input.first else { return }
    let rest = input.dropFirst()
    guard mode < firstPeerMode else {
        try runPeer(mode, rest)
        return
    }
    let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
    let bytes: [UInt8] =
        switch mode % 3 {
        case 0: Array(rest)
        case 1: preface + rest
        default: preface + frames(rest)
        }
    let loop = EmbeddedEventLoop()
    let channel = EmbeddedChannel(loop: loop)
    var limits = ConnectionLimits()
    limits.liveStreamsMax = 20
    limits.receiveMessageBytesMax = 1_000
    limits.partialBytesMax = 2_000
    limits.outputBytesMax = 100_000
    limits.httpBodyBytesMax = 500
    let context = LoopContext(
        eventLoop: loop, index: 0, methods: MethodTable(methods), rpc: CheckingRPC(),
        http: CheckingHTTP(), counters: TransportCounters(), report: { _ in })
    try channel.pipeline.syncOperations.addHandler(
        ProtocolDetector(
            loop: context, peer: PeerInfo(address: "fuzz"), limits: limits, servesRPC: true))
    try channel.connect(to: SocketAddress(ipAddress: "10.0.0.1", port: 1)).wait()
    let step = 1 + Int(mode) * 8
    var offset = 0
    while offset < bytes.count, channel.isActive {
        let piece = bytes[offset..<min(offset + step, bytes.count)]
        offset += step
        channel.isWritable = (offset / step) % 4 != 3
        try channel.writeInbound(ByteBuffer(bytes: piece))
        loop.advanceTime(by: .milliseconds(5))
        while try channel.readOutbound(as: ByteBuffer.self) != nil {}
    }
    channel.isWritable = true
    channel.pipeline.fireChannelWritabilityChanged()
    loop.advanceTime(by: .seconds(1))
    let connections = context.connections
    _ = try channel.finish(acceptAlreadyClosed: true)
    loop.run()
    for connection in connections {
        precondition(connection.calls.isEmpty && connection.session == nil)
        precondition(connection.bufferedBytes == 0, "\(connection.bufferedBytes) bytes leaked")
        precondition(connection.partialBytes == 0, "\(connection.partialBytes) bytes leaked")
    }
    precondition(context.connections.isEmpty)
}

run { input in
    do {
        try live(input)
    } catch {
        // Errors of the connection surface here; they are what bad bytes should lead to.
        return
    }
}
