// PeerProbe.swift: how long a message to another member and back takes.
// Belongs here: what is in the message, and reading it. Never here: sending it (PeerNetwork.swift).
// The other member gives the bytes back as they are: they are this member's own clock.

internal import Transport

enum PeerProbe {
    /// Between two questions to one member: etcd asks as often.
    static let intervalMilliseconds: Int64 = 5_000

    /// The time now, as bytes.
    static var stamp: [UInt8] {
        withUnsafeBytes(of: MonotonicClock.nanoseconds.littleEndian) { Array($0) }
    }

    /// Takes the answer to a question; what is no answer is passed over.
    static func note(_ bytes: [UInt8], _ counts: PeerCounts) {
        guard bytes.count == 8 else { return }
        let sent = bytes.withUnsafeBytes {
            UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self))
        }
        let now = MonotonicClock.nanoseconds
        guard sent <= now else { return }
        counts.roundTripSeconds.observe(nanoseconds: now - sent)
    }
}
