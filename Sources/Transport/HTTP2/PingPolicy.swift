// PingPolicy.swift: how often a client may ping.
// Belongs here: strikes. Never here: the GOAWAY (HTTP2Connection+Limits.swift).
// Source: etcd semantics G13; grpc proposal A8. Answers between two pings forgive all strikes,
// because clients ping with their bandwidth estimate whenever data flows.

struct PingPolicy {
    private var lastPing: Int64?
    private var strikes = 0
    private var hasSent = false

    /// Notes that HEADERS or DATA were sent.
    mutating func sent() {
        hasSent = true
    }

    /// Whether something was sent since the last ping.
    var isForgiven: Bool { hasSent }

    /// Takes a ping that what was sent before allows.
    mutating func forgive(at now: Int64) {
        hasSent = false
        strikes = 0
        lastPing = now
    }

    /// Judges a ping; false when it is the strike that ends the connection.
    mutating func allows(at now: Int64, hasOpenStreams: Bool, limits: ConnectionLimits) -> Bool {
        if isForgiven {
            forgive(at: now)
            return true
        }
        defer { lastPing = now }
        guard let lastPing else { return true }
        let interval =
            hasOpenStreams ? limits.pingIntervalMinNanoseconds : limits.keepaliveTimeNanoseconds
        if now - lastPing < interval { strikes += 1 }
        return strikes < limits.pingStrikesMax
    }
}
