// PeerRegistry.swift: the connections a listener has accepted.
// Belongs here: counting, replacing an older connection by a newer one. Never here: sockets.
// Owner: the listener; its connections' loops call it, hence the lock.

import NIOCore
import Synchronization

final class PeerRegistry: Sendable {
    private struct State {
        var greeting = 0
        var connections: [PeerConnection] = []
    }

    /// Connections that broke before they stood, by remote address.
    let failures: PeerFailures
    /// Members that were refused, by who they are: each keeps trying.
    let refusals: PeerFailures
    private let limits: PeerLimits
    private let state = Mutex(State())

    init(limits: PeerLimits) {
        self.limits = limits
        failures = PeerFailures(
            intervalNanoseconds: limits.failureReportNanoseconds,
            reportsMax: limits.failureReportsMax)
        refusals = PeerFailures(intervalNanoseconds: limits.failureReportNanoseconds)
    }

    /// The monotonic clock of the event loops.
    var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

    /// Counts a connection that has not said hello; false when there are too many.
    func beginGreeting() -> Bool {
        state.withLock { state in
            guard state.greeting < limits.greetingMax else { return false }
            state.greeting += 1
            return true
        }
    }

    func endGreeting() {
        state.withLock { state in
            state.greeting -= 1
            precondition(state.greeting >= 0, "greeting \(state.greeting)")
        }
    }

    /// Takes a connection, in place of an older one of the same member and channel where there may
    /// be only one; false when there are too many.
    func admit(_ connection: PeerConnection) -> Bool {
        let channel = connection.channel
        var older: PeerConnection?
        let isAdmitted = state.withLock { state in
            if channel.isReplaced {
                let place = state.connections.firstIndex {
                    $0.channel == channel && $0.member == connection.member
                }
                if let place { older = state.connections.remove(at: place) }
            } else {
                let count = state.connections.count { $0.channel == channel }
                guard count < limits.transfersMax else { return false }
            }
            guard state.connections.count < limits.acceptedMax else { return false }
            state.connections.append(connection)
            return true
        }
        older?.close(reason: "a newer connection of the same member took its place")
        return isAdmitted
    }

    func remove(_ connection: PeerConnection) {
        state.withLock { state in
            state.connections.removeAll { $0 === connection }
        }
    }

    func closeAll(reason: String) {
        let all = state.withLock { $0.connections }
        for connection in all { connection.close(reason: reason) }
    }

    var count: Int { state.withLock { $0.connections.count } }
}
