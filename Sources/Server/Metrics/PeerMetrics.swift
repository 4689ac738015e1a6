// PeerMetrics.swift: what is counted of each other member. Belongs here: the series of etcd_network_*
// that name a member, which come and go with the members. Never here: counting (Runtime/).
// Source: etcd's /metrics; its labels To, From, Remote and Local are member ids in hexadecimal.

import Synchronization

/// What is counted of one other member; updated from any thread.
final class PeerCounts: Sendable {
    let sentBytes = Counter()
    let receivedBytes = Counter()
    let sentFailures = Counter()
    let receivedFailures = Counter()
    /// From asking to the answer, on the connection that Raft's messages take.
    let roundTripSeconds = Histogram(.doubling(from: 0.0001, count: 16), unit: .seconds)
    let isActive = Gauge()
    let disconnects = Counter()
    let snapshotsSent = TransferCounts()
    let snapshotsReceived = TransferCounts()
}

/// What is counted of the snapshots to, or from, one member.
final class TransferCounts: Sendable {
    let successes = Counter()
    let failures = Counter()
    let inflight = Gauge()
    let seconds = Histogram(.doubling(from: 0.1, count: 10), unit: .seconds)

    /// A transfer began.
    func began() { inflight.add(1) }

    /// A transfer ended.
    func ended(isComplete: Bool, nanoseconds: UInt64) {
        inflight.add(-1)
        (isComplete ? successes : failures).increment()
        if isComplete { seconds.observe(nanoseconds: nanoseconds) }
    }
}

/// The other members and what is counted of them.
final class PeerMetrics: Sendable {
    private let members = Mutex<[(id: UInt64, counts: PeerCounts)]>([])

    /// The counts of a member, made at first need.
    func counts(of member: UInt64) -> PeerCounts {
        members.withLock { members in
            if let found = members.first(where: { $0.id == member }) { return found.counts }
            let made = PeerCounts()
            members.append((member, made))
            members.sort { $0.id < $1.id }
            return made
        }
    }

    /// Forgets members that are gone, and knows those that are there from the start.
    func update(_ ids: [UInt64]) {
        members.withLock { $0.removeAll { member in !ids.contains(member.id) } }
        for id in ids { _ = counts(of: id) }
    }

    /// A family whose series are those of the members at each scrape.
    private typealias Family = (
        name: String, kind: MetricFamily.Kind, help: String, label: String,
        source: @Sendable (PeerCounts) -> MetricFamily.Source
    )

    private static let traffic: [Family] = [
        (
            "etcd_network_peer_sent_bytes_total", .counter, "Bytes sent to members.", "To",
            { .counter($0.sentBytes) }
        ),
        (
            "etcd_network_peer_received_bytes_total", .counter, "Bytes received from members.",
            "From", { .counter($0.receivedBytes) }
        ),
        (
            "etcd_network_peer_sent_failures_total", .counter,
            "Messages that could not be sent to members.", "To", { .counter($0.sentFailures) }
        ),
        (
            "etcd_network_peer_received_failures_total", .counter,
            "Messages of members that could not be read.", "From",
            { .counter($0.receivedFailures) }
        ),
        (
            "etcd_network_peer_round_trip_time_seconds", .histogram,
            "Time of a message to a member and back.", "To", { .histogram($0.roundTripSeconds) }
        ),
        (
            "etcd_network_active_peers", .gauge, "1 while a member is connected.", "Remote",
            { .gauge($0.isActive) }
        ),
        (
            "etcd_network_known_peers", .gauge, "1 for each other member.", "Remote",
            { _ in .computed { 1 } }
        ),
        (
            "etcd_network_disconnected_peers_total", .counter,
            "Connections to members that broke.", "Remote", { .counter($0.disconnects) }
        ),
    ]

    /// Those of snapshots in one direction.
    private static func transfers(
        _ direction: String, _ label: String, _ done: String,
        _ counts: @escaping @Sendable (PeerCounts) -> TransferCounts
    ) -> [Family] {
        let name = "etcd_network_snapshot_\(direction)"
        return [
            (
                "\(name)_success", .counter, "Snapshots \(done).", label,
                { .counter(counts($0).successes) }
            ),
            (
                "\(name)_failures", .counter, "Snapshots that broke off.", label,
                { .counter(counts($0).failures) }
            ),
            (
                "\(name)_inflights_total", .gauge, "Snapshots being \(done).", label,
                { .gauge(counts($0).inflight) }
            ),
            (
                "\(name)_total_duration_seconds", .histogram, "Time of a snapshot.", label,
                { .histogram(counts($0).seconds) }
            ),
        ]
    }

    /// Adds the families.
    func register(_ registry: inout MetricRegistry, ownID: UInt64) {
        let own = String(ownID, radix: 16)
        let all =
            Self.traffic + Self.transfers("send", "To", "sent") { $0.snapshotsSent }
            + Self.transfers("receive", "From", "fetched") { $0.snapshotsReceived }
        for (name, kind, help, label, source) in all {
            var family = MetricFamily(name: name, help: help, kind: kind, series: [])
            family.dynamic = { [self] in
                members.withLock { $0 }.map { id, counts in
                    let other = (name: label, value: String(id, radix: 16))
                    let pairs = label == "Remote" ? [("Local", own), other] : [other]
                    return (MetricLabels(pairs), source(counts))
                }
            }
            registry.add(family)
        }
    }
}
