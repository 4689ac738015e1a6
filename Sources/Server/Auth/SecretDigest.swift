// SecretDigest.swift: SHA-256, and it under a key, by OpenSSL.
// Belongs here: digests of short messages. Never here: what is digested.
// Source: FIPS 180-4; RFC 2104.

internal import COpenSSL

/// SHA-256 over a short message that must not be known from its digest.
enum SecretDigest {
    /// Bytes of a digest.
    static let byteCount = 32

    /// The 32 bytes of the digest.
    static func of(_ message: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: byteCount)
        let code = EVP_Digest(message, message.count, &digest, nil, EVP_sha256(), nil)
        precondition(code == 1, "OpenSSL has no SHA-256")
        return digest
    }

    /// The 32 bytes of the HMAC under a key.
    static func of(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: byteCount)
        let result = HMAC(
            EVP_sha256(), key, Int32(key.count), message, message.count, &digest, nil)
        precondition(result != nil, "OpenSSL has no HMAC")
        return digest
    }
}
