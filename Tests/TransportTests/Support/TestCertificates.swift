// TestCertificates.swift: an authority and certificates signed by it, made anew for each test in
// its own directory. Belongs here: key and certificate files. Never here: TLS settings.

import COpenSSL
import Glibc

final class TestCertificates {
    struct Pair {
        var certificateFile: String
        var keyFile: String
    }

    let directory: String
    let authorityFile: String
    private let authority: OpaquePointer
    private let authorityKey: OpaquePointer
    private var serial = 1
    private var files: [String] = []

    init() throws {
        var template = Array("/tmp/martlet-tls-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw ClientError(what: "mkdtemp") }
        directory = String(decoding: template.dropLast().map(UInt8.init), as: UTF8.self)
        authorityFile = directory + "/ca.pem"
        authorityKey = try Self.makeKey()
        authority = try Self.makeCertificate(
            commonName: "test authority", key: authorityKey, issuer: nil, issuerKey: authorityKey,
            serial: 1, isAuthority: true)
        try write(authorityFile) { PEM_write_bio_X509($0, authority) }
    }

    deinit {
        X509_free(authority)
        EVP_PKEY_free(authorityKey)
        for file in files { unlink(file) }
        rmdir(directory)
    }

    /// Makes a key and a certificate for it under this name, for hosts such as `DNS:localhost` or
    /// `IP:127.0.0.1`.
    func make(
        _ commonName: String, named file: String? = nil, hosts: [String] = []
    ) throws -> Pair {
        serial += 1
        let key = try Self.makeKey()
        let certificate = try Self.makeCertificate(
            commonName: commonName, key: key, issuer: authority, issuerKey: authorityKey,
            serial: serial, isAuthority: false, hosts: hosts)
        defer {
            EVP_PKEY_free(key)
            X509_free(certificate)
        }
        let base = directory + "/" + (file ?? commonName)
        let pair = Pair(certificateFile: base + ".pem", keyFile: base + "-key.pem")
        try write(pair.certificateFile) { PEM_write_bio_X509($0, certificate) }
        try write(pair.keyFile) { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
        return pair
    }

    private func write(_ path: String, _ body: (OpaquePointer) -> Int32) throws {
        guard let file = BIO_new_file(path, "w") else { throw ClientError(what: path) }
        defer { BIO_free(file) }
        guard body(file) == 1 else { throw ClientError(what: path) }
        if !files.contains(path) { files.append(path) }
    }

    private static func makeKey() throws -> OpaquePointer {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else {
            throw ClientError(what: "key context")
        }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1,
            EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
            EVP_PKEY_generate(context, &key) == 1, let key
        else { throw ClientError(what: "key") }
        return key
    }

    private static func makeCertificate(
        commonName: String, key: OpaquePointer, issuer: OpaquePointer?, issuerKey: OpaquePointer,
        serial: Int, isAuthority: Bool, hosts: [String] = []
    ) throws -> OpaquePointer {
        guard let certificate = X509_new() else { throw ClientError(what: "certificate") }
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial)
        X509_gmtime_adj(X509_getm_notBefore(certificate), -3_600)
        X509_gmtime_adj(X509_getm_notAfter(certificate), 86_400)
        X509_set_pubkey(certificate, key)
        let name = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(
            name, "CN", MBSTRING_ASC, commonName, Int32(commonName.utf8.count), -1, 0)
        X509_set_issuer_name(certificate, issuer.map { X509_get_subject_name($0) } ?? name)
        if isAuthority {
            let constraint = X509V3_EXT_conf_nid(
                nil, nil, NID_basic_constraints, "critical,CA:TRUE")
            X509_add_ext(certificate, constraint, -1)
            X509_EXTENSION_free(constraint)
        }
        if !hosts.isEmpty {
            let names = X509V3_EXT_conf_nid(
                nil, nil, NID_subject_alt_name, hosts.joined(separator: ","))
            X509_add_ext(certificate, names, -1)
            X509_EXTENSION_free(names)
        }
        guard X509_sign(certificate, issuerKey, EVP_sha256()) > 0 else {
            throw ClientError(what: "signature")
        }
        return certificate
    }
}
