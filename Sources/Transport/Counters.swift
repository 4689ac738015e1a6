// Counters.swift: what the metrics page says about the transport.
// Belongs here: sums over all connections of a registry. Never here: metric names (Server).
// Relaxed atomics: touched once per read and once per flush, not once per call.

import Synchronization

/// A copy of the counters at one moment.
public struct TransportCounts: Equatable, Sendable {
    /// Bytes read from sockets.
    public var bytesReceived: UInt64 = 0
    /// Bytes written to sockets.
    public var bytesSent: UInt64 = 0
    /// Bytes of request messages.
    public var messageBytesReceived: UInt64 = 0
    /// Bytes of reply messages.
    public var messageBytesSent: UInt64 = 0
    /// Connections accepted since the start.
    public var connectionsAccepted: UInt64 = 0
    /// Connections refused because of the limit.
    public var connectionsRefused: UInt64 = 0
    /// Connections open now.
    public var connectionsOpen: Int = 0
    /// Connections that ended by an error of the client or the network.
    public var connectionErrors: UInt64 = 0
}

/// The counters of all connections of a registry.
final class TransportCounters: Sendable {
    let bytesReceived = Atomic<UInt64>(0)
    let bytesSent = Atomic<UInt64>(0)
    let messageBytesReceived = Atomic<UInt64>(0)
    let messageBytesSent = Atomic<UInt64>(0)
    let connectionsAccepted = Atomic<UInt64>(0)
    let connectionsRefused = Atomic<UInt64>(0)
    let connectionsOpen = Atomic<Int>(0)
    let connectionErrors = Atomic<UInt64>(0)

    var counts: TransportCounts {
        TransportCounts(
            bytesReceived: bytesReceived.load(ordering: .relaxed),
            bytesSent: bytesSent.load(ordering: .relaxed),
            messageBytesReceived: messageBytesReceived.load(ordering: .relaxed),
            messageBytesSent: messageBytesSent.load(ordering: .relaxed),
            connectionsAccepted: connectionsAccepted.load(ordering: .relaxed),
            connectionsRefused: connectionsRefused.load(ordering: .relaxed),
            connectionsOpen: connectionsOpen.load(ordering: .relaxed),
            connectionErrors: connectionErrors.load(ordering: .relaxed))
    }

    @inline(__always)
    func received(bytes: Int, messageBytes: Int) {
        bytesReceived.wrappingAdd(UInt64(bytes), ordering: .relaxed)
        if messageBytes > 0 {
            messageBytesReceived.wrappingAdd(UInt64(messageBytes), ordering: .relaxed)
        }
    }

    @inline(__always)
    func sent(bytes: Int, messageBytes: Int) {
        bytesSent.wrappingAdd(UInt64(bytes), ordering: .relaxed)
        if messageBytes > 0 {
            messageBytesSent.wrappingAdd(UInt64(messageBytes), ordering: .relaxed)
        }
    }

    func failed() {
        connectionErrors.wrappingAdd(1, ordering: .relaxed)
    }
}
