// SendQueue.swift: the bytes of a call on their way out, as chunks that are not copied until they
// are framed. Belongs here: message prefixes and order. Never here: windows and frames (HTTP2).
// Invariant: `byteCount` is the sum of all prefixes and bytes not written yet.

import NIOCore

struct SendQueue {
    private struct Chunk {
        var bytes: [UInt8]
        /// The message length whose prefix goes before `bytes`; nil for a later part of a message.
        var prefix: Int?
    }

    private(set) var byteCount = 0
    private var current: Chunk?
    private var offset = 0
    private var waiting: [Chunk] = []
    private var waitingHead = 0

    /// Queues bytes; `prefix` is the length of the message that begins with them.
    mutating func append(_ bytes: consuming [UInt8], prefix: Int?) {
        byteCount += bytes.count + (prefix == nil ? 0 : 5)
        let chunk = Chunk(bytes: bytes, prefix: prefix)
        if current == nil {
            current = chunk
        } else {
            waiting.append(chunk)
        }
    }

    /// Moves exactly `count` bytes from the front of the queue to the end of `buffer`.
    mutating func write(_ count: Int, into buffer: inout ByteBuffer) {
        precondition(count <= byteCount, "\(count) bytes wanted of \(byteCount)")
        byteCount -= count
        var left = count
        while left > 0 {
            guard let chunk = current else { preconditionFailure("\(left) bytes are missing") }
            let prefixCount = chunk.prefix == nil ? 0 : 5
            if offset < prefixCount, let length = chunk.prefix {
                left -= writePrefix(length, atMost: left, into: &buffer)
            }
            let from = offset - prefixCount
            if left > 0 || from == chunk.bytes.count {
                let taken = min(left, chunk.bytes.count - from)
                chunk.bytes.withUnsafeBytes { all in
                    _ = buffer.writeBytes(
                        UnsafeRawBufferPointer(rebasing: all[from..<from + taken]))
                }
                left -= taken
                offset += taken
            }
            if offset == prefixCount + chunk.bytes.count { advance() }
        }
    }

    /// Forgets everything.
    mutating func removeAll() {
        byteCount = 0
        current = nil
        offset = 0
        waiting = []
        waitingHead = 0
    }

    private mutating func writePrefix(
        _ length: Int, atMost limit: Int, into buffer: inout ByteBuffer
    ) -> Int {
        if offset == 0 && limit >= 5 {
            buffer.writeInteger(UInt8(0))
            buffer.writeInteger(UInt32(length))
            offset = 5
            return 5
        }
        var written = 0
        while offset < 5 && written < limit {
            let shift = 8 * (4 - offset)
            buffer.writeInteger(offset == 0 ? 0 : UInt8(truncatingIfNeeded: length >> shift))
            offset += 1
            written += 1
        }
        return written
    }

    private mutating func advance() {
        offset = 0
        guard waitingHead < waiting.count else {
            current = nil
            return
        }
        current = waiting[waitingHead]
        waiting[waitingHead].bytes = []
        waitingHead += 1
        if waitingHead == waiting.count {
            waiting.removeAll(keepingCapacity: waiting.count <= 64)
            waitingHead = 0
        } else if waitingHead >= 1_024 && waitingHead * 2 >= waiting.count {
            waiting.removeFirst(waitingHead)
            waitingHead = 0
        }
    }
}
