// JWTMethod.swift: the ways a JWT can be signed, by OpenSSL.
// Belongs here: signatures over bytes, and their form in a JWT. Never here: what is signed (JWTProvider.swift).
// Source: RFC 7518 section 3, RFC 8037; the methods that etcd's --auth-token takes.

internal import COpenSSL

/// A signature method by its name in a JWT's header.
struct JWTMethod: Equatable, Sendable {
    enum Family: Equatable, Sendable {
        case hmac, rsa, rsaPSS, ecdsa, edDSA
    }

    let name: String
    let family: Family
    /// Bits of the hash; for EdDSA, which has its own, 0.
    let bits: Int

    /// The method of a name; nil if there is none.
    init?(_ name: String) {
        self.name = name
        if name == "EdDSA" {
            (family, bits) = (.edDSA, 0)
            return
        }
        guard let bits = Int(name.dropFirst(2)), [256, 384, 512].contains(bits) else { return nil }
        self.bits = bits
        switch name.prefix(2) {
        case "HS": family = .hmac
        case "RS": family = .rsa
        case "PS": family = .rsaPSS
        case "ES": family = .ecdsa
        default: return nil
        }
    }

    /// All names, for an error message.
    static let names = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256",
        "HS384", "HS512", "EdDSA",
    ]

    fileprivate var digest: OpaquePointer? {
        switch bits {
        case 256: EVP_sha256()
        case 384: EVP_sha384()
        case 512: EVP_sha512()
        default: nil
        }
    }

    /// Bytes of each of the two numbers of an ECDSA signature.
    fileprivate var numberBytes: Int { bits == 512 ? 66 : bits / 8 }
}

/// A key for one signature method.
///
/// OpenSSL's keys may be used by many threads once they are made.
final class JWTKey: @unchecked Sendable {
    // @unchecked Sendable: nothing changes after `init`.
    private let method: JWTMethod
    private let pointer: OpaquePointer?
    private let secret: [UInt8]

    /// A key of bytes.
    init(secret: [UInt8], method: JWTMethod) {
        self.method = method
        self.secret = secret
        pointer = nil
    }

    /// A key from the bytes of a PEM file; nil if there is none of the method's kind in it.
    init?(pem: [UInt8], isPrivate: Bool, method: JWTMethod) {
        self.method = method
        secret = []
        pointer = isPrivate ? Self.privateKey(pem) : Self.publicKey(pem)
        guard let pointer, Self.fits(pointer, method) else { return nil }
    }

    deinit {
        EVP_PKEY_free(pointer)
    }

    private static func privateKey(_ pem: [UInt8]) -> OpaquePointer? {
        withBIO(pem) { PEM_read_bio_PrivateKey($0, nil, nil, nil) }
    }

    /// As etcd, from a public key or from a certificate.
    private static func publicKey(_ pem: [UInt8]) -> OpaquePointer? {
        if let key = withBIO(pem, { PEM_read_bio_PUBKEY($0, nil, nil, nil) }) { return key }
        return withBIO(pem) { bio in
            guard let certificate = PEM_read_bio_X509(bio, nil, nil, nil) else { return nil }
            defer { X509_free(certificate) }
            return X509_get_pubkey(certificate)
        }
    }

    private static func withBIO(
        _ bytes: [UInt8], _ body: (OpaquePointer) -> OpaquePointer?
    ) -> OpaquePointer? {
        ERR_clear_error()
        defer { ERR_clear_error() }
        return bytes.withUnsafeBytes { bytes in
            guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else {
                return nil
            }
            defer { BIO_free(bio) }
            return body(bio)
        }
    }

    private static func fits(_ key: OpaquePointer, _ method: JWTMethod) -> Bool {
        let kind = EVP_PKEY_get_base_id(key)
        switch method.family {
        case .hmac: return false
        case .rsa: return kind == NID_rsaEncryption
        case .rsaPSS: return kind == NID_rsaEncryption || kind == NID_rsassaPss
        case .ecdsa:
            // Each method has its curve, by its size.
            let bits = method.bits == 512 ? 521 : method.bits
            return kind == NID_X9_62_id_ecPublicKey && EVP_PKEY_get_bits(key) == bits
        case .edDSA: return kind == NID_ED25519
        }
    }

    // MARK: signatures

    /// The signature of bytes; nil if OpenSSL can't.
    func sign(_ message: [UInt8]) -> [UInt8]? {
        guard let pointer else { return authenticate(message) }
        guard let context = EVP_MD_CTX_new() else { return nil }
        defer { EVP_MD_CTX_free(context) }
        var inner: OpaquePointer?
        guard EVP_DigestSignInit(context, &inner, method.digest, nil, pointer) == 1,
            setPadding(inner, saltLength: Self.saltAsDigest)
        else { return nil }
        var count = 0
        guard EVP_DigestSign(context, nil, &count, message, message.count) == 1 else { return nil }
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSign(context, &signature, &count, message, message.count) == 1 else {
            return nil
        }
        signature.removeLast(signature.count - count)
        return method.family == .ecdsa ? numbers(ofDER: signature) : signature
    }

    /// Whether a signature is that of these bytes.
    func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard let pointer else {
            guard let own = authenticate(message), own.count == signature.count else {
                return false
            }
            return CRYPTO_memcmp(own, signature, own.count) == 0
        }
        var signature = signature
        if method.family == .ecdsa {
            guard let der = der(ofNumbers: signature) else { return false }
            signature = der
        }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        var inner: OpaquePointer?
        guard EVP_DigestVerifyInit(context, &inner, method.digest, nil, pointer) == 1,
            setPadding(inner, saltLength: Self.saltOfAnyLength)
        else { return false }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    private func authenticate(_ message: [UInt8]) -> [UInt8]? {
        var digest = [UInt8](repeating: 0, count: method.bits / 8)
        let result = HMAC(
            method.digest, secret, Int32(secret.count), message, message.count, &digest, nil)
        return result == nil ? nil : digest
    }

    private func setPadding(_ context: OpaquePointer?, saltLength: Int32) -> Bool {
        guard method.family == .rsaPSS else { return true }
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1
            && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, saltLength) == 1
    }

    // RSA_PSS_SALTLEN_DIGEST and RSA_PSS_SALTLEN_AUTO.
    private static let saltAsDigest: Int32 = -1
    private static let saltOfAnyLength: Int32 = -2

    // MARK: ECDSA: a JWT has two numbers side by side, OpenSSL a structure of them

    private func numbers(ofDER der: [UInt8]) -> [UInt8]? {
        var start: UnsafePointer<UInt8>?
        return der.withUnsafeBufferPointer { bytes -> [UInt8]? in
            start = bytes.baseAddress
            guard let signature = d2i_ECDSA_SIG(nil, &start, bytes.count) else { return nil }
            defer { ECDSA_SIG_free(signature) }
            let size = method.numberBytes
            var numbers = [UInt8](repeating: 0, count: 2 * size)
            let written = numbers.withUnsafeMutableBufferPointer { out -> Bool in
                guard let out = out.baseAddress else { return false }
                return BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, Int32(size)) == size
                    && BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + size, Int32(size)) == size
            }
            return written ? numbers : nil
        }
    }

    private func der(ofNumbers numbers: [UInt8]) -> [UInt8]? {
        let size = method.numberBytes
        guard numbers.count == 2 * size, let signature = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(signature) }
        let first = Array(numbers[..<size])
        let second = Array(numbers[size...])
        guard let r = BN_bin2bn(first, Int32(size), nil),
            let s = BN_bin2bn(second, Int32(size), nil),
            // From here on they are the signature's.
            ECDSA_SIG_set0(signature, r, s) == 1
        else { return nil }
        var out: UnsafeMutablePointer<UInt8>?
        let count = i2d_ECDSA_SIG(signature, &out)
        guard count > 0, let out else { return nil }
        defer { CRYPTO_free(out, #file, #line) }
        return Array(UnsafeBufferPointer(start: out, count: Int(count)))
    }
}
