// InflightWindow.swift: what was sent to a member and not yet acknowledged.
// Belongs here: the window. Never here: what to send (RaftNode+Replication.swift).
// Source: thesis §10.2.1 (pipelining). Invariant: at most `appendsMax` records are held.

/// The append messages under way to one member.
struct InflightWindow: Sendable {
    private struct Sent: Sendable {
        var through: LogIndex
        var bytes: Int
    }

    private var sent: [Sent] = []
    private(set) var byteCount = 0
    private let appendsMax: Int
    private let bytesMax: Int

    init(appendsMax: Int, bytesMax: Int) {
        self.appendsMax = appendsMax
        self.bytesMax = bytesMax
    }

    /// Whether nothing more may be sent; one message always may, however large.
    var isFull: Bool { sent.count >= appendsMax || byteCount >= bytesMax }

    /// How many more bytes may be sent.
    var room: Int { max(0, bytesMax - byteCount) }

    mutating func add(through index: LogIndex, bytes: Int) {
        precondition(!isFull, "window is full: \(sent.count) messages, \(byteCount) bytes")
        sent.append(Sent(through: index, bytes: bytes))
        byteCount += bytes
    }

    /// Forgets the messages that an acknowledgement through `index` covers.
    mutating func acknowledge(through index: LogIndex) {
        var covered = 0
        while covered < sent.count, sent[covered].through <= index {
            byteCount -= sent[covered].bytes
            covered += 1
        }
        sent.removeFirst(covered)
    }

    /// Makes room for one message, to find out whether all of them were lost.
    mutating func forgetOldest() {
        guard let oldest = sent.first else { return }
        byteCount -= oldest.bytes
        sent.removeFirst()
    }

    mutating func removeAll() {
        sent.removeAll(keepingCapacity: true)
        byteCount = 0
    }
}
