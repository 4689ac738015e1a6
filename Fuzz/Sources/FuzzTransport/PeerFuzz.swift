// PeerFuzz.swift: the life of a connection between members, made from bytes.
// Belongs here: both sides of the hello, then frames. Never here: the driver (main.swift).
// The mode's low bits choose: the accepting or the dialing side; bytes as they are, or a proper hello and then frames
// whose lengths and checksums are put right; whole or in pieces.

import NIOCore
import NIOEmbedded

@testable import Transport

/// Checks the order that Transport promises, and answers, pauses and closes by the frame's kind.
final class CheckingPeer: PeerHandler {
    private let isOpen: NIOLoopBoundBox<Bool>
    private let isOver: NIOLoopBoundBox<Bool>

    init(loop: EmbeddedEventLoop) {
        isOpen = .makeBoxSendingValue(false, eventLoop: loop)
        isOver = .makeBoxSendingValue(false, eventLoop: loop)
    }

    var isBalanced: Bool { isOpen.value == isOver.value }

    func peerAdmits(_ hello: PeerHello) -> PeerAdmission {
        hello.from == 13 ? .refuse(.unknownMember, hello.name) : .accept
    }

    func peerConnected(_ connection: PeerConnection) {
        precondition(!isOpen.value)
        isOpen.value = true
    }

    func peerReceived(_ connection: PeerConnection, kind: UInt8, payload: ByteBuffer) {
        precondition(isOpen.value && !isOver.value && kind != 0)
        switch kind % 8 {
        case 1: _ = connection.send(kind: kind, Array(payload.readableBytesView))
        case 2:
            connection.pauseReading()
            connection.resumeReading()
        case 3: connection.pauseReading()
        case 4: connection.close()
        default: return
        }
    }

    func peerClosed(_ connection: PeerConnection) {
        precondition(isOpen.value && !isOver.value)
        isOver.value = true
    }

    func peerDrained(_ connection: PeerConnection) { precondition(isOpen.value && !isOver.value) }
}

/// Frames of `bytes`: a length, a kind, a payload, with head and checksum made for them.
private func peerFrames(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var buffer = ByteBuffer()
    var rest = bytes
    while rest.count >= 2 {
        let count = Int(rest[rest.startIndex])
        let kind = rest[rest.startIndex + 1]
        rest = rest.dropFirst(2)
        PeerFrameEncoder.write((kind, kind == 0 ? [] : Array(rest.prefix(count))), to: &buffer)
        rest = rest.dropFirst(count)
    }
    return Array(buffer.readableBytesView)
}

func runPeer(_ mode: UInt8, _ rest: ArraySlice<UInt8>) throws {
    let loop = EmbeddedEventLoop()
    let channel = EmbeddedChannel(loop: loop)
    let handler = CheckingPeer(loop: loop)
    var limits = PeerLimits()
    limits.frameBytesMax = .init(log: 300, forward: 300, snapshot: 300, bootstrap: 300)
    let settings = PeerSettings(
        identity: PeerIdentity(clusterID: 7, memberID: 2, name: "fuzz"), tls: nil, group: loop,
        handler: handler, limits: limits, report: { _ in })
    let other = PeerIdentity(clusterID: 7, memberID: 1, name: "other")
    let ends = NIOLoopBoundBox(0, eventLoop: loop)
    let greeter: any PeerGreeter
    let proper: ByteBuffer
    let registry = PeerRegistry(limits: limits)
    if mode & 1 == 0 {
        precondition(registry.beginGreeting())
        greeter = PeerAcceptingGreeter(
            settings: settings, registry: registry, address: "fuzz", host: "fuzz")
        proper = PeerHello(identity: other, to: 2, channel: .log).encoded
        ends.value = 1
    } else {
        let dial = PeerDial(
            url: PeerURL(isTLS: false, host: "fuzz", port: 1), member: 1, channel: .log,
            opened: { _ in ends.value += 1 }, failed: { _ in ends.value += 1 }, closed: { _ in })
        greeter = PeerDialingGreeter(dial, settings: settings)
        proper = PeerAnswer(refusal: nil, version: 1, identity: other, text: "").encoded
    }
    _ = try PeerSockets.install(
        greeter, on: channel, settings: settings, address: "fuzz", role: nil, remoteIP: nil)
    try channel.connect(to: SocketAddress(ipAddress: "10.0.0.1", port: 1)).wait()
    let bytes = mode & 2 == 0 ? Array(rest) : Array(proper.readableBytesView) + peerFrames(rest)
    let step = mode & 4 == 0 ? max(1, bytes.count) : 1 + Int(mode >> 3 & 7) * 5
    var offset = 0
    while offset < bytes.count, channel.isActive {
        try channel.writeInbound(ByteBuffer(bytes: bytes[offset..<min(offset + step, bytes.count)]))
        offset += step
        loop.advanceTime(by: .milliseconds(300))
        while try channel.readOutbound(as: ByteBuffer.self) != nil {}
    }
    _ = try channel.finish(acceptAlreadyClosed: true)
    loop.run()
    precondition(handler.isBalanced)
    precondition(registry.count == 0)
    precondition(ends.value == 1, "an attempt ended \(ends.value) times")
}
