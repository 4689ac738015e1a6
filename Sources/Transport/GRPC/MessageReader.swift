// MessageReader.swift: cuts the bytes of a request stream into messages.
// Belongs here: the 5-byte prefix and the bytes after it. Never here: what a broken message is
// answered with. Source: gRPC over HTTP/2, "Length-Prefixed-Message". Invariant: memory grows only
// with bytes that arrived.

struct MessageReader {
    /// What the bytes so far make.
    enum Outcome: Equatable {
        case needsMore
        case message([UInt8])
        case tooLarge(Int)
        case compressed
        case badFlag(UInt8)
    }

    private var prefix: UInt64 = 0
    private var prefixCount = 0
    private var length = 0
    private var partial: [UInt8] = []

    /// Bytes held for a message that is not complete.
    var partialBytes: Int { partial.count }

    /// Whether the stream may end here.
    var isBetweenMessages: Bool { prefixCount == 0 }

    /// Takes bytes from the front of `bytes` until a message is complete or they are used up.
    mutating func next(_ bytes: inout UnsafeRawBufferPointer, bytesMax: Int) -> Outcome {
        while prefixCount < 5 {
            guard let byte = bytes.first else { return .needsMore }
            bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
            prefix = prefix << 8 | UInt64(byte)
            prefixCount += 1
            guard prefixCount == 5 else { continue }
            let flag = UInt8(truncatingIfNeeded: prefix >> 32)
            length = Int(prefix & 0xFFFF_FFFF)
            guard flag == 0 else { return flag == 1 ? .compressed : .badFlag(flag) }
            guard length <= bytesMax else { return .tooLarge(length) }
        }
        let taken = min(length - partial.count, bytes.count)
        let chunk = UnsafeRawBufferPointer(rebasing: bytes.prefix(taken))
        bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(taken))
        if partial.isEmpty && taken == length {
            reset()
            return .message([UInt8](chunk))
        }
        if partial.isEmpty { partial.reserveCapacity(min(length, Limits.messageReserveBytesMax)) }
        partial.append(contentsOf: chunk)
        guard partial.count == length else { return .needsMore }
        let message = partial
        reset()
        return .message(message)
    }

    private mutating func reset() {
        prefix = 0
        prefixCount = 0
        length = 0
        partial = []
    }
}
