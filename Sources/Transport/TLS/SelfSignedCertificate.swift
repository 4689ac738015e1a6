// SelfSignedCertificate.swift: a key and a certificate that a member makes for itself.
// Belongs here: making, writing, keeping while valid. Never here: who trusts it (nobody can check it:
// it encrypts, and proves nothing). Source: etcd's --auto-tls and --peer-auto-tls, which also keep
// cert.pem and key.pem in a directory fixtures/client or fixtures/peer of the data directory.

import COpenSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A certificate that is signed by its own key.
public struct SelfSignedCertificate: Sendable {
    /// The PEM file of the certificate.
    public let certificateFile: String
    /// The PEM file of its key, which only its owner may read.
    public let keyFile: String
    /// Whether there was none, or none that was still valid.
    public let isNew: Bool

    /// Takes the certificate of a directory, or makes one there.
    ///
    /// - Parameters:
    ///   - directory: an existing directory, which only its owner may read.
    ///   - hosts: names and IP addresses that the certificate is for.
    ///   - days: how long a new one is valid.
    public init(in directory: String, hosts: [String], days: Int) throws(TransportError) {
        certificateFile = "\(directory)/cert.pem"
        keyFile = "\(directory)/key.pem"
        isNew = !Self.isValid(certificateFile) || access(keyFile, R_OK) != 0
        guard isNew else { return }
        ERR_clear_error()
        guard let key = Self.makeKey() else { throw .tlsSetting("no key: \(OpenSSLErrors.take())") }
        defer { EVP_PKEY_free(key) }
        guard let certificate = Self.make(key: key, hosts: hosts, days: days) else {
            throw .tlsSetting("no certificate for \(hosts): \(OpenSSLErrors.take())")
        }
        defer { X509_free(certificate) }
        // The key first: a certificate without its key would be taken for a whole pair.
        try Self.write(to: keyFile) {
            PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil)
        }
        try Self.write(to: certificateFile) { PEM_write_bio_X509($0, certificate) }
    }

    private static func isValid(_ file: String) -> Bool {
        guard let bio = BIO_new_file(file, "r") else {
            ERR_clear_error()
            return false
        }
        defer { BIO_free(bio) }
        guard let certificate = PEM_read_bio_X509(bio, nil, nil, nil) else {
            ERR_clear_error()
            return false
        }
        defer { X509_free(certificate) }
        return X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0
    }

    private static func makeKey() -> OpaquePointer? {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else { return nil }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1,
            EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
            EVP_PKEY_generate(context, &key) == 1
        else { return nil }
        return key
    }

    /// Clocks of clients may be behind by so many seconds.
    private static let clockSkewSeconds = 300

    private static func make(key: OpaquePointer, hosts: [String], days: Int) -> OpaquePointer? {
        guard let certificate = X509_new() else { return nil }
        var generator = SystemRandomNumberGenerator()
        let serial = generator.next() >> 1
        let names = hosts.map { host in
            let isAddress = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
            return (isAddress ? "IP:" : "DNS:") + host
        }
        let extensions = [
            (NID_basic_constraints, "critical,CA:FALSE"),
            (NID_key_usage, "critical,digitalSignature"),
            (NID_ext_key_usage, "serverAuth,clientAuth"),
            (NID_subject_alt_name, names.joined(separator: ",")),
        ]
        let name = X509_get_subject_name(certificate)
        let isMade =
            X509_set_version(certificate, 2) == 1
            && ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) == 1
            && X509_gmtime_adj(X509_getm_notBefore(certificate), -clockSkewSeconds) != nil
            && X509_time_adj_ex(X509_getm_notAfter(certificate), Int32(clamping: days), 0, nil)
                != nil
            && X509_set_pubkey(certificate, key) == 1
            && X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, "martlet", -1, -1, 0) == 1
            && X509_set_issuer_name(certificate, name) == 1
            && extensions.allSatisfy { add($0.0, $0.1, to: certificate) }
            && X509_sign(certificate, key, EVP_sha256()) > 0
        guard isMade else {
            X509_free(certificate)
            return nil
        }
        return certificate
    }

    private static func add(_ kind: Int32, _ value: String, to certificate: OpaquePointer) -> Bool {
        guard let made = X509V3_EXT_conf_nid(nil, nil, kind, value) else { return false }
        defer { X509_EXTENSION_free(made) }
        return X509_add_ext(certificate, made, -1) == 1
    }

    /// Writes a whole file, and only then gives it its name.
    private static func write(
        to path: String, _ encode: (OpaquePointer) -> Int32
    ) throws(TransportError) {
        let scratch = "\(path).new"
        unlink(scratch)
        let descriptor = open(scratch, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .tlsFile(path: scratch, reason: String(cString: strerror(errno)))
        }
        guard let bio = BIO_new_fd(descriptor, BIO_CLOSE) else {
            close(descriptor)
            throw .tlsFile(path: scratch, reason: OpenSSLErrors.take())
        }
        let isWritten = encode(bio) == 1 && fsync(descriptor) == 0
        let reason = isWritten ? "" : OpenSSLErrors.take()
        BIO_free(bio)
        guard isWritten, rename(scratch, path) == 0 else {
            throw .tlsFile(path: path, reason: reason.isEmpty ? "cannot be written" : reason)
        }
    }
}
