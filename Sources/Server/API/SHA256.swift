// SHA256.swift: the checksum at the end of a snapshot.
// Belongs here: OpenSSL's digest behind a class. Never here: what is hashed.
// Source: etcd semantics M8; openssl.org, EVP_DigestInit(3).

internal import COpenSSL

/// A running SHA-256, by OpenSSL.
final class SHA256 {
    private let context = EVP_MD_CTX_new()

    init() {
        let code = EVP_DigestInit_ex(context, EVP_sha256(), nil)
        precondition(code == 1, "SHA-256 is not available")
    }

    deinit {
        EVP_MD_CTX_free(context)
    }

    func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        let code = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        precondition(code == 1, "SHA-256 failed")
    }

    func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        let code = EVP_DigestFinal_ex(context, &digest, nil)
        precondition(code == 1, "SHA-256 failed")
        return digest
    }
}
