// ByteBufferBIO.swift: OpenSSL's view of a TLSHandler's buffers.
// Belongs here: the BIO method and its C functions. Never here: TLS.
// Owner of a BIO: the SSL it is set on, which its TLSHandler frees; the handler is the BIO's data,
// unretained.

import COpenSSL

enum ByteBufferBIO {
    // Made once, never changed, and used by OpenSSL only for reading.
    private struct Method: @unchecked Sendable {
        let pointer: OpaquePointer?
    }

    private static let retryFlags =
        BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY

    private static let method: Method = {
        let kind = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK
        guard let method = BIO_meth_new(kind, "martlet byte buffer") else {
            return Method(pointer: nil)
        }
        BIO_meth_set_read(method) { bio, bytes, count in
            guard let bytes, count > 0 else { return 0 }
            BIO_clear_flags(bio, retryFlags)
            let room = UnsafeMutableRawBufferPointer(start: bytes, count: Int(count))
            let read = ByteBufferBIO.with(bio) { $0.readRecord(into: room) }
            guard read == 0 else { return Int32(read) }
            BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return -1
        }
        BIO_meth_set_write(method) { bio, bytes, count in
            guard let bytes, count > 0 else { return 0 }
            BIO_clear_flags(bio, retryFlags)
            let record = UnsafeRawBufferPointer(start: bytes, count: Int(count))
            ByteBufferBIO.with(bio) { $0.writeRecord(record) }
            return count
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in
            command == BIO_CTRL_FLUSH ? 1 : 0
        }
        return Method(pointer: method)
    }()

    /// Makes a BIO over the buffers of `owner`, a TLSHandler.
    static func make(owner: UnsafeMutableRawPointer) -> OpaquePointer? {
        guard let method = method.pointer, let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, owner)
        BIO_set_init(bio, 1)
        return bio
    }

    @inline(__always)
    private static func with<Result>(_ bio: OpaquePointer?, _ body: (TLSHandler) -> Result)
        -> Result
    {
        guard let owner = BIO_get_data(bio) else { preconditionFailure("a BIO lost its owner") }
        return Unmanaged<TLSHandler>.fromOpaque(owner)._withUnsafeGuaranteedRef(body)
    }
}
