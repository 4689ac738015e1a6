// PeerLink.swift: keeps one connection to one member and channel up.
// Belongs here: when to dial, and which URL. Never here: one attempt (PeerDialer.swift), what is
// sent. Owner: the link's event loop, for everything but the present connection, which any thread
// may ask for.
//
//     idle --start--> dialing --opened--> up --closed--> waiting or dialing
//                     dialing --failed--> waiting --timer--> dialing
//     any --stop--> stopped

import NIOCore
import Synchronization

/// A lasting connection to one member for one channel.
public final class PeerLink: Sendable {
    private struct State {
        var urls: [PeerURL]
        var nextURL = 0
        var isStarted = false
        var isStopped = false
        var isDialing = false
        var backoff: PeerBackoff
        var retry: Scheduled<Void>?
        var openedNanoseconds: Int64 = 0
        let failures: PeerFailures
    }

    /// The member at the other end.
    public let member: UInt64
    /// What the link is for.
    public let channel: PeerChannel

    private let settings: PeerSettings
    private let loop: any EventLoop
    private let state: NIOLoopBoundBox<State>
    private let current = Mutex<PeerConnection?>(nil)

    /// Describes a link that begins to connect when it is started.
    ///
    /// The seed varies the waits between attempts.
    public init(
        to member: UInt64, urls: [PeerURL], channel: PeerChannel, seed: UInt64,
        settings: PeerSettings
    ) {
        self.member = member
        self.channel = channel
        self.settings = settings
        loop = settings.group.next()
        let limits = settings.limits
        state = .makeBoxSendingValue(
            State(
                urls: urls,
                backoff: PeerBackoff(
                    minNanoseconds: limits.backoffMinNanoseconds,
                    maxNanoseconds: limits.backoffMaxNanoseconds, seed: seed),
                failures: PeerFailures(intervalNanoseconds: limits.linkReportNanoseconds)),
            eventLoop: loop)
    }

    /// Begins to connect, and goes on until `stop`; from any thread.
    public func start() {
        onLoop {
            guard !self.state.value.isStarted, !self.state.value.isStopped else { return }
            self.state.value.isStarted = true
            self.dial()
        }
    }

    /// Closes the connection for good; from any thread.
    public func stop() {
        onLoop {
            self.state.value.isStopped = true
            self.state.value.retry?.cancel()
            self.state.value.retry = nil
            self.connection?.close()
        }
    }

    /// Queues frames, all or none and together; false when not connected or the queue is full.
    ///
    /// From any thread; see `PeerConnection.send`. Frames queued when the connection is lost are
    /// lost with it.
    public func send(_ frames: [(kind: UInt8, payload: [UInt8])]) -> Bool {
        current.withLock { $0 }?.send(frames) ?? false
    }

    /// Whether the connection stands.
    public var isConnected: Bool { connection?.isOpen ?? false }

    /// The present connection.
    public var connection: PeerConnection? { current.withLock { $0 } }

    /// The URLs for the next attempts, which begin at once if there is no connection.
    ///
    /// A connection that stands is kept: it was made to the same member.
    public func update(urls: [PeerURL]) {
        onLoop {
            guard self.state.value.urls != urls else { return }
            self.state.value.urls = urls
            self.state.value.nextURL = 0
            guard self.state.value.isStarted, self.connection == nil else { return }
            self.state.value.retry?.cancel()
            self.state.value.retry = nil
            self.state.value.backoff.reset()
            self.dial()
        }
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) {
        if loop.inEventLoop { body() } else { loop.execute(body) }
    }

    // MARK: On the loop

    private func dial() {
        let state = self.state.value
        guard !state.isStopped, !state.isDialing, !state.urls.isEmpty else { return }
        let url = state.urls[state.nextURL % state.urls.count]
        self.state.value.nextURL = (state.nextURL + 1) % state.urls.count
        self.state.value.isDialing = true
        PeerDial(
            url: url, member: member, channel: channel, opened: { self.opened($0) },
            failed: { self.failed($0) }, closed: { self.closed($0) }
        ).start(on: loop, settings)
    }

    private var now: Int64 { Int64(loop.now.uptimeNanoseconds) }

    private func opened(_ connection: PeerConnection) {
        state.value.isDialing = false
        state.value.openedNanoseconds = now
        // The next attempt after a loss begins with the URL that worked.
        let count = state.value.urls.count
        state.value.nextURL = count == 0 ? 0 : (state.value.nextURL + count - 1) % count
        current.withLock { $0 = connection }
        if state.value.isStopped { connection.close() }
    }

    private func failed(_ error: PeerError) {
        state.value.isDialing = false
        guard !state.value.isStopped else { return }
        if let count = state.value.failures.count(error.description, at: now) {
            settings.report(
                .dialFailed(member: member, channel: channel, error, count: count))
        }
        wait()
    }

    private func closed(_ connection: PeerConnection) {
        current.withLock { $0 = nil }
        guard !state.value.isStopped else { return }
        // Two processes with one member's id would else take turns without a pause.
        let lasted = now - state.value.openedNanoseconds
        if lasted >= settings.limits.steadyNanoseconds { state.value.backoff.reset() }
        wait()
    }

    private func wait() {
        let delay = state.value.backoff.next()
        state.value.retry = loop.scheduleTask(in: .nanoseconds(delay)) {
            self.state.value.retry = nil
            self.dial()
        }
    }
}
