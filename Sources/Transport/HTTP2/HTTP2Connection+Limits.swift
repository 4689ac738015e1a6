// HTTP2Connection+Limits.swift: what ends calls and connections without anybody asking for it.
// Belongs here: deadlines, keepalive, floods, drain. Never here: the numbers (Limits.swift,
// PingPolicy.swift). Source: etcd semantics G13.

import CNGHTTP2
import NIOCore

extension HTTP2Connection {
    // MARK: Deadlines

    /// Sets a call's deadline; false if it has passed already, and the call is answered.
    func setDeadline(of call: RPCCall, after timeout: UInt64) -> Bool {
        guard timeout > 0 else {
            abandon(call, Self.deadlineStatus, .deadline)
            return false
        }
        // Headers are read in `channelRead`, which has just looked at the clock.
        let deadline = UInt64(lastReadNanoseconds) + timeout
        call.deadline = deadline
        loop.arm(deadline)
        return true
    }

    /// Ends the calls whose deadline is not after `now`, and returns the next deadline.
    func expireCalls(at now: UInt64) -> UInt64 {
        var next = UInt64.max
        var expired: [RPCCall] = []
        for call in calls where call.phase == .open {
            guard let deadline = call.deadline else { continue }
            if deadline <= now {
                expired.append(call)
            } else {
                next = min(next, deadline)
            }
        }
        for call in expired where call.phase == .open {
            abandon(call, Self.deadlineStatus, .deadline)
        }
        return next
    }

    private static var deadlineStatus: RPCStatus {
        RPCStatus(.deadlineExceeded, "context deadline exceeded")
    }

    // MARK: Floods

    func pingReceived(isAnswer: Bool) {
        let now = lastReadNanoseconds
        // While answers flow, Go clients measure the bandwidth by a ping each round trip, which on one
        // machine is thousands a second: the answers bound their number.
        if !isAnswer, pingPolicy.isForgiven { return pingPolicy.forgive(at: now) }
        guard pings.admit(at: now, max: limits.pingsPerSecondMax) else {
            expel("too many pings in a second", "too_many_pings")
            return
        }
        if isAnswer {
            drainPingAnswered()
            return
        }
        let isAllowed = pingPolicy.allows(
            at: now, hasOpenStreams: !calls.isEmpty, limits: limits)
        if !isAllowed { expel("pings more often than allowed", "too_many_pings") }
    }

    func settingsReceived() {
        if !settings.admit(at: lastReadNanoseconds, max: limits.settingsPerSecondMax) {
            expel("too many settings in a second", "too_many_settings")
        }
    }

    /// - Parameter call: whose stream it ends, if that is known.
    func resetReceived(_ call: RPCCall?) {
        // Go's clients end each single keep-alive of a lease so, once they have its answer. What was answered
        // cost its client as much as any call; floods reset what they do not wait for.
        if let call, call.sentBytes > 0, call.bufferedBytes == 0 { return }
        if !resets.admit(at: lastReadNanoseconds, max: limits.resetsPerSecondMax) {
            expel("too many resets in a second", "too_many_resets")
        }
    }

    private func expel(_ reason: String, _ debugText: StaticString) {
        guard !closesAfterFlush else { return }
        loop.reportFailure(.enhanceYourCalm(peer: peer.address, reason: reason))
        session?.goAway(NGHTTP2_ENHANCE_YOUR_CALM, debugText: debugText)
        closesAfterFlush = true
    }

    // MARK: Keepalive of our own

    // The tasks hold the connection strongly until `tearDown` cancels them: one weak reference
    // would move its reference count to a side table and make every retain on the hot path slow.
    func scheduleKeepalive(after nanoseconds: Int64) {
        keepaliveTask = loop.eventLoop.scheduleTask(in: .nanoseconds(nanoseconds)) {
            self.keepaliveDue()
        }
    }

    private func keepaliveDue() {
        guard let session, !isTorn else { return }
        let silence = loop.nowNanoseconds - lastReadNanoseconds
        guard silence >= limits.keepaliveTimeNanoseconds else {
            scheduleKeepalive(after: limits.keepaliveTimeNanoseconds - silence)
            return
        }
        session.ping()
        loop.markDirty(self)
        let pinged = loop.nowNanoseconds
        keepaliveTask = loop.eventLoop.scheduleTask(
            in: .nanoseconds(limits.keepaliveTimeoutNanoseconds)
        ) {
            self.keepaliveAnswerDue(pinged)
        }
    }

    private func keepaliveAnswerDue(_ pinged: Int64) {
        guard !isTorn else { return }
        guard lastReadNanoseconds < pinged else {
            scheduleKeepalive(after: limits.keepaliveTimeNanoseconds)
            return
        }
        loop.reportFailure(
            .connectionTimedOut(peer: peer.address, phase: "no answer to a keepalive ping"))
        context?.close(promise: nil)
    }

    // MARK: Drain

    /// Tells the client to open no more streams, and closes when those there are have ended.
    func drain() {
        guard let session, !isDraining, !closesAfterFlush else { return }
        isDraining = true
        // Two steps: streams the client opened before it saw the first GOAWAY are still served. The
        // answer to the ping proves that it saw it.
        nghttp2_submit_shutdown_notice(session.pointer)
        session.ping()
        loop.markDirty(self)
    }

    func drainPingAnswered() {
        guard isDraining, !hasSentFinalGoAway, let session else { return }
        hasSentFinalGoAway = true
        session.goAway(NGHTTP2_NO_ERROR, debugText: "graceful_stop")
        finishDrainIfIdle()
    }

    func finishDrainIfIdle() {
        guard hasSentFinalGoAway, calls.isEmpty else { return }
        closesAfterFlush = true
        if !isInSession { loop.markDirty(self) }
    }
}
