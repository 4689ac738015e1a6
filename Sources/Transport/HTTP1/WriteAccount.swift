// WriteAccount.swift: how many bytes of an answer a channel has not written yet.
// Belongs here: counting, the high- and low-water marks. Never here: what is written.

import NIOCore

/// Counts what one connection was given to write; confined to its event loop.
struct WriteAccount {
    private(set) var bytes = 0
    private var isAboveHighWater = false

    /// Bytes were given to the channel.
    mutating func add(_ count: Int) {
        bytes += count
        if bytes >= Limits.callWaterMarks.high { isAboveHighWater = true }
    }

    /// The channel has written them, or failed; true if the stream is drained by that.
    mutating func remove(_ count: Int) -> Bool {
        bytes -= count
        guard isAboveHighWater, bytes < Limits.callWaterMarks.low else { return false }
        isAboveHighWater = false
        return true
    }
}
