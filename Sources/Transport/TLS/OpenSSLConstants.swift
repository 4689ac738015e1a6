// OpenSSLConstants.swift: values of OpenSSL's macros that Swift does not import.
// Source: openssl/ssl.h and openssl/x509v3.h of OpenSSL 3.0; each name is the macro's.

import COpenSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum OpenSSLConstants {
    static let noTicket: UInt64 = 1 << 14  // SSL_OP_NO_TICKET
    static let noCompression: UInt64 = 1 << 17  // SSL_OP_NO_COMPRESSION
    static let serverPreference: UInt64 = 1 << 22  // SSL_OP_CIPHER_SERVER_PREFERENCE
    static let noRenegotiation: UInt64 = 1 << 30  // SSL_OP_NO_RENEGOTIATION
    static let noPartialWildcards: UInt32 = 1 << 2  // X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
    static let neverCheckSubject: UInt32 = 1 << 5  // X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    static let ignoreUnexpectedEOF: UInt64 = 1 << 7  // SSL_OP_IGNORE_UNEXPECTED_EOF
}

enum OpenSSLErrors {
    /// Takes all errors of this thread's queue as one text.
    static func take() -> String {
        var reasons: [String] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { break }
            // Errors of the system carry errno in the low bits.
            if code & 0x8000_0000 != 0 {
                reasons.append(String(cString: strerror(Int32(code & 0x7FFF_FFFF))))
            } else if let reason = ERR_reason_error_string(code) {
                reasons.append(String(cString: reason))
            } else {
                reasons.append("OpenSSL error \(code)")
            }
        }
        return reasons.isEmpty ? "unknown reason" : reasons.joined(separator: "; ")
    }
}
