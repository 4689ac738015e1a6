// PeerTestMember.swift: a member on a loopback port with one event loop, and a handler that writes
// down what it is told. Belongs here: set-up and waiting. Never here: expectations.

import Glibc
import NIOCore
import NIOPosix
import Synchronization

@testable import Transport

/// Waits until a condition holds, at most 10 s; false when it never did.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<10_000 {
        if try condition() { return true }
        usleep(1_000)
    }
    return false
}

/// Writes down every call; answers frames of kind 9 with the same payload as kind 10.
final class PeerRecorder: PeerHandler {
    struct Frame: Equatable {
        var kind: UInt8
        var payload: [UInt8]
    }

    struct State {
        var hellos: [PeerHello] = []
        var connected: [PeerConnection] = []
        var closed: [PeerConnection] = []
        var frames: [Frame] = []
        var drained = 0
        var admission = PeerAdmission.accept
        /// Pauses each connection when a frame of this kind comes.
        var pausesAt: UInt8?
        var closesAtOnce = false
    }

    let state = Mutex(State())

    var connected: [PeerConnection] { state.withLock { $0.connected } }
    var closed: [PeerConnection] { state.withLock { $0.closed } }
    var drained: Int { state.withLock { $0.drained } }
    var frames: [Frame] { state.withLock { $0.frames } }

    func peerAdmits(_ hello: PeerHello) -> PeerAdmission {
        state.withLock { state in
            state.hellos.append(hello)
            return state.admission
        }
    }

    func peerConnected(_ connection: PeerConnection) {
        connection.eventLoop.preconditionInEventLoop()
        let closes = state.withLock { state in
            state.connected.append(connection)
            return state.closesAtOnce
        }
        if closes { connection.close() }
    }

    func peerReceived(_ connection: PeerConnection, kind: UInt8, payload: ByteBuffer) {
        connection.eventLoop.preconditionInEventLoop()
        let bytes = Array(payload.readableBytesView)
        let pauses = state.withLock { state in
            state.frames.append(Frame(kind: kind, payload: bytes))
            return state.pausesAt == kind
        }
        if pauses { connection.pauseReading() }
        if kind == 9 { _ = connection.send(kind: 10, bytes) }
    }

    func peerClosed(_ connection: PeerConnection) {
        connection.eventLoop.preconditionInEventLoop()
        state.withLock { state in
            precondition(state.connected.contains { $0 === connection }, "closed, not connected")
            precondition(!state.closed.contains { $0 === connection }, "closed twice")
            state.closed.append(connection)
        }
    }

    func peerDrained(_ connection: PeerConnection) {
        state.withLock { $0.drained += 1 }
    }
}

final class PeerTestMember {
    let handler = PeerRecorder()
    let events = PeerEventLog()
    let settings: PeerSettings
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private(set) var listener: PeerListener?
    private var links: [PeerLink] = []

    init(
        _ id: UInt64, cluster: UInt64 = 7, tls: PeerTLSConfiguration? = nil,
        limits: PeerLimits = PeerLimits()
    ) throws {
        let events = self.events
        let report: @Sendable (PeerEvent) -> Void = { events.append($0) }
        settings = PeerSettings(
            identity: PeerIdentity(
                clusterID: cluster, memberID: id, name: "member \(id)", url: "http://m\(id):2380"),
            tls: try tls.map { try PeerTLS($0, report: report) }, group: group, handler: handler,
            limits: limits, report: report)
    }

    /// Where the member listens.
    func listen(port: Int = 0, isTLS: Bool = false, host: String = "127.0.0.1") throws -> PeerURL {
        let made = try PeerListener.bind(
            host: "127.0.0.1", port: port, isTLS: isTLS, settings: settings)
        listener = made
        return PeerURL(isTLS: isTLS, host: host, port: made.boundPort)
    }

    /// Closes the socket and every accepted connection, as a process that ends does.
    func stopListening() throws {
        try listener?.close().wait()
        listener = nil
    }

    func link(
        to member: UInt64, _ urls: [PeerURL], _ channel: PeerChannel = .log
    ) -> PeerLink {
        let link = PeerLink(
            to: member, urls: urls, channel: channel, seed: 1, settings: settings)
        links.append(link)
        link.start()
        return link
    }

    /// Connects once and waits for the outcome.
    func dial(
        _ url: PeerURL, to member: UInt64, _ channel: PeerChannel = .snapshot
    ) -> Result<PeerConnection, PeerError>? {
        let box = ResultBox()
        PeerDialer.connect(to: url, member: member, channel: channel, settings: settings) {
            box.set($0)
        }
        _ = eventually { box.value != nil }
        return box.value
    }

    func stop() throws {
        for link in links { link.stop() }
        try stopListening()
        for connection in handler.connected { connection.close() }
        _ = eventually { handler.connected.count == handler.closed.count }
        try group.syncShutdownGracefully()
    }
}

final class ResultBox: Sendable {
    private let result = Mutex<Result<PeerConnection, PeerError>?>(nil)

    var value: Result<PeerConnection, PeerError>? { result.withLock { $0 } }

    func set(_ value: Result<PeerConnection, PeerError>) {
        result.withLock { result in
            precondition(result == nil, "an attempt ended twice")
            result = value
        }
    }
}

/// Collects reports.
final class PeerEventLog: Sendable {
    private let events = Mutex<[PeerEvent]>([])

    func append(_ event: PeerEvent) {
        events.withLock { $0.append(event) }
    }

    var all: [PeerEvent] { events.withLock { $0 } }

    /// Whether some report contains the text, now or soon.
    func has(_ text: String) -> Bool {
        eventually { all.contains { $0.description.contains(text) } }
    }
}

/// Lets the other threads go on.
func pass(milliseconds: UInt32) {
    usleep(milliseconds * 1_000)
}
