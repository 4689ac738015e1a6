// TLSContext.swift: an SSL_CTX made from a configuration, with every fault named.
// Belongs here: certificates, versions, ciphers, ALPN. Never here: connections (TLSHandler.swift),
// reloading (TLSContextSource.swift). Source: etcd security flags; RFC 7301 for ALPN.

import COpenSSL

// Never changed after `init`; OpenSSL guards its reference count itself.
final class TLSContext: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ configuration: TLSConfiguration) throws(TransportError) {
        ERR_clear_error()
        guard let pointer = SSL_CTX_new(TLS_server_method()) else {
            throw .tlsSetting("OpenSSL cannot make a context: \(OpenSSLErrors.take())")
        }
        self.pointer = pointer
        setModes()
        try setVersions(configuration)
        try loadCertificate(configuration)
        try loadAuthorities(configuration)
        try setCiphers(configuration.cipherSuites)
        SSL_CTX_set_alpn_select_cb(
            pointer,
            { _, chosen, chosenCount, offered, offeredCount, _ in
                TLSContext.selectProtocol(chosen, chosenCount, offered, offeredCount)
            }, nil)
    }

    deinit {
        SSL_CTX_free(pointer)
    }

    private func setModes() {
        SSL_CTX_set_options(
            pointer,
            OpenSSLConstants.noTicket | OpenSSLConstants.noCompression
                | OpenSSLConstants.serverPreference | OpenSSLConstants.noRenegotiation
                | OpenSSLConstants.ignoreUnexpectedEOF)
        let modes = SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
        SSL_CTX_ctrl(pointer, SSL_CTRL_MODE, Int(modes), nil)
        // No resumption: a certificate is checked at every handshake, and servers hold no sessions.
        SSL_CTX_ctrl(pointer, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
        SSL_CTX_set_num_tickets(pointer, 0)
        SSL_CTX_ctrl(pointer, SSL_CTRL_SET_READ_AHEAD, 1, nil)
        // An encrypted key is an error, never a prompt.
        SSL_CTX_set_default_passwd_cb(pointer) { _, _, _, _ in 0 }
    }

    private func setVersions(_ configuration: TLSConfiguration) throws(TransportError) {
        let minimum = configuration.minimumVersion
        let maximum = configuration.maximumVersion
        if let maximum, maximum < minimum {
            throw .tlsSetting("the newest TLS version allowed is older than the oldest")
        }
        SSL_CTX_ctrl(pointer, SSL_CTRL_SET_MIN_PROTO_VERSION, minimum.rawValue, nil)
        SSL_CTX_ctrl(pointer, SSL_CTRL_SET_MAX_PROTO_VERSION, maximum?.rawValue ?? 0, nil)
    }

    private func loadCertificate(_ configuration: TLSConfiguration) throws(TransportError) {
        let certificateFile = configuration.certificateFile
        let keyFile = configuration.keyFile
        try Self.requireReadable(certificateFile)
        try Self.requireReadable(keyFile)
        guard SSL_CTX_use_certificate_chain_file(pointer, certificateFile) == 1 else {
            throw .tlsFile(path: certificateFile, reason: OpenSSLErrors.take())
        }
        guard SSL_CTX_use_PrivateKey_file(pointer, keyFile, SSL_FILETYPE_PEM) == 1 else {
            let isMismatch = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH
            let reason = OpenSSLErrors.take()
            if isMismatch {
                throw .keyMismatch(certificateFile: certificateFile, keyFile: keyFile)
            }
            throw .tlsFile(path: keyFile, reason: reason)
        }
        guard SSL_CTX_check_private_key(pointer) == 1 else {
            ERR_clear_error()
            throw .keyMismatch(certificateFile: certificateFile, keyFile: keyFile)
        }
    }

    private func loadAuthorities(_ configuration: TLSConfiguration) throws(TransportError) {
        guard let file = configuration.trustedCAFile else {
            if configuration.requireClientCertificate {
                throw .tlsSetting("client certificates are required, but no trusted CA file is set")
            }
            return
        }
        try Self.requireReadable(file)
        guard SSL_CTX_load_verify_file(pointer, file) == 1,
            let names = SSL_load_client_CA_file(file)
        else {
            throw .tlsFile(path: file, reason: OpenSSLErrors.take())
        }
        SSL_CTX_set_client_CA_list(pointer, names)
        guard configuration.requireClientCertificate else { return }
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
    }

    private func setCiphers(_ names: [String]) throws(TransportError) {
        // TLS 1.3 suites are not for choice, as in etcd: all of OpenSSL's stay on.
        let older = names.filter { !$0.hasPrefix("TLS_AES_") && !$0.hasPrefix("TLS_CHACHA20_") }
        guard !older.isEmpty else { return }
        var list: [String] = []
        for name in older {
            guard let known = Self.opensslName(of: name) else {
                throw .tlsSetting("unknown TLS cipher suite \(name)")
            }
            list.append(known)
        }
        guard SSL_CTX_set_cipher_list(pointer, list.joined(separator: ":")) == 1 else {
            throw .tlsSetting("no usable TLS cipher suite: \(OpenSSLErrors.take())")
        }
    }

    /// OpenSSL's name of a suite given by that name or by IANA's; Go leaves out a final `_SHA256`.
    private static func opensslName(of name: String) -> String? {
        for standard in [name, name + "_SHA256"] {
            let found = String(cString: OPENSSL_cipher_name(standard))
            if found != "(NONE)" { return found }
        }
        guard let probe = SSL_CTX_new(TLS_server_method()) else { return nil }
        defer { SSL_CTX_free(probe) }
        defer { ERR_clear_error() }
        let isName = !name.contains { ":+-!@ ,".contains($0) && $0 != "-" }
        return isName && SSL_CTX_set_cipher_list(probe, name) == 1 ? name : nil
    }

    private static func requireReadable(_ path: String) throws(TransportError) {
        ERR_clear_error()
        guard let file = BIO_new_file(path, "r") else {
            throw .tlsFile(path: path, reason: OpenSSLErrors.take())
        }
        BIO_free(file)
    }

    /// Takes h2 if it is offered, else http/1.1; a client that offers neither is refused.
    private static func selectProtocol(
        _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ chosenCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?,
        _ offeredCount: UInt32
    ) -> Int32 {
        let list = UnsafeRawBufferPointer(start: offered, count: Int(offeredCount))
        for wanted: StaticString in ["h2", "http/1.1"] {
            var offset = 0
            while offset < list.count {
                let start = offset + 1
                let end = start + Int(list[offset])
                guard end <= list.count else { break }
                if UnsafeRawBufferPointer(rebasing: list[start..<end]).equals(wanted) {
                    chosen?.pointee = offered?.advanced(by: start)
                    chosenCount?.pointee = UInt8(end - start)
                    return SSL_TLSEXT_ERR_OK
                }
                offset = end
            }
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
}
