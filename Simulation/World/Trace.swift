// Trace.swift: what happened, as a number always and as text on demand.
// Belongs here: the events worth a line, the hash. Never here: pictures (Report/Picture.swift).

/// What a line of the trace can be about.
enum TraceKind: UInt8 {
    case started, ended, becameLeader, message, checkpoint, snapshotFetched, fault, healed, paused
    case call, answer, published, phase, clock, member, reported
}

/// One line of the trace.
struct TraceEvent {
    let time: Moment
    let kind: TraceKind
    let node: Int
    let first: UInt64
    let second: UInt64
    let text: String
}

/// The record of a run.
final class Trace {
    /// The hash of every event so far, of every byte that was sent, and of all that was agreed: equal for equal
    /// runs.
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    /// Events that were noted.
    private(set) var count: UInt64 = 0
    /// Whether lines are kept.
    let keepsLines: Bool
    /// The newest lines; older ones are dropped beyond the bound.
    private(set) var lines: [TraceEvent] = []

    /// Lines kept: about 100 MB.
    static let linesMax = 1_000_000

    init(keepsLines: Bool) {
        self.keepsLines = keepsLines
    }

    func note(
        _ kind: TraceKind, at time: Moment, node: Int, _ first: UInt64, _ second: UInt64,
        _ text: () -> String
    ) {
        count += 1
        mix(time.microseconds)
        mix(UInt64(kind.rawValue) << 32 | UInt64(UInt32(truncatingIfNeeded: node)))
        mix(first)
        mix(second)
        guard keepsLines else { return }
        if lines.count == Self.linesMax { lines.removeFirst(Self.linesMax / 2) }
        lines.append(
            TraceEvent(
                time: time, kind: kind, node: node, first: first, second: second, text: text()))
    }

    /// Makes a number count that is worth no line.
    @inline(__always)
    func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 29
    }

    /// Makes bytes count.
    func mix(_ bytes: [UInt8]) {
        mix(UInt64(bytes.count))
        bytes.withUnsafeBytes { all in
            var place = 0
            while place + 8 <= all.count {
                mix(all.loadUnaligned(fromByteOffset: place, as: UInt64.self))
                place += 8
            }
            var rest: UInt64 = 0
            while place < all.count {
                rest = rest << 8 | UInt64(all[place])
                place += 1
            }
            mix(rest)
        }
    }
}

extension TraceEvent {
    /// The line as text.
    var line: String {
        let seconds = time.microseconds / 1_000_000
        let rest = String(time.microseconds % 1_000_000)
        let padded = String(repeating: "0", count: 6 - rest.utf8.count) + rest
        let place = node < 0 ? "-" : "n\(node)"
        return "\(seconds).\(padded) \(place) \(kind) \(first) \(second) \(text)"
    }
}
