// TLSBuffers.swift: buffers that the TLS connections of one owner take turns with.
// Belongs here: plaintext being handed on, an empty buffer for records. Never here: TLS itself
// (TLSHandler.swift). Owner: one event loop, for all its client connections or for one connection
// between members.

import NIOCore

// Not Sendable: it stays on its event loop.
final class TLSBuffers {
    /// Plaintext that is being handed to a connection.
    var plaintext = ByteBuffer()
    /// An empty buffer that lost its user, for TLS records on their way out.
    private var spare: ByteBuffer?

    /// An empty buffer for TLS records; idle connections hold none.
    func take() -> ByteBuffer {
        guard var buffer = spare else {
            return ByteBufferAllocator().buffer(capacity: Limits.outputBufferBytes)
        }
        spare = nil
        buffer.clear(minimumCapacity: Limits.outputBufferBytes)
        return buffer
    }

    func giveBack(_ buffer: consuming ByteBuffer) {
        spare = buffer
    }
}
