// TLSContext.swift: an SSL_CTX made from a configuration, with every fault named.
// Belongs here: certificates, versions, ciphers, ALPN, names. Never here: connections
// (TLSHandler.swift), reloading (TLSContextSource.swift). Source: etcd security flags; RFC 7301 for
// ALPN; RFC 6125 for names.

import COpenSSL

/// Whose connections a context is for.
enum TLSPurpose {
    /// Clients connect to us.
    case clients
    /// Members connect to us.
    case peerAccepting
    /// We connect to members.
    case peerDialing
}

// @unchecked Sendable: never changed after `init`; OpenSSL guards its reference count itself.
final class TLSContext: @unchecked Sendable {
    let pointer: OpaquePointer
    /// What of the files an operator should look at, although they can be used.
    private(set) var warnings: [String] = []

    init(
        _ configuration: TLSConfiguration, purpose: TLSPurpose = .clients
    ) throws(TransportError) {
        ERR_clear_error()
        let method = purpose == .peerDialing ? TLS_client_method() : TLS_server_method()
        guard let pointer = SSL_CTX_new(method) else {
            throw .tlsSetting("OpenSSL cannot make a context: \(OpenSSLErrors.take())")
        }
        self.pointer = pointer
        setModes()
        try setVersions(configuration)
        try loadCertificate(configuration)
        try loadAuthorities(configuration)
        try loadRevocations(configuration)
        if purpose == .peerDialing { try verifyServers(configuration) }
        try setCiphers(configuration.cipherSuites)
        setProtocols(purpose)
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
        SSL_CTX_set_verify(
            pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, RevocationLists.verdict)
    }

    private func loadRevocations(_ configuration: TLSConfiguration) throws(TransportError) {
        guard let file = configuration.revocationFile else { return }
        guard let authorities = configuration.trustedCAFile else {
            throw .tlsSetting("revocation lists need a trusted CA file")
        }
        try Self.requireReadable(file)
        guard let store = SSL_CTX_get_cert_store(pointer),
            RevocationLists.load(file, into: store)
        else { throw .tlsFile(path: file, reason: OpenSSLErrors.take()) }
        warnings = RevocationLists.warnings(in: store, file: file, authorities: authorities)
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

    /// A dialer checks every server, by the system's authorities where no file names others.
    private func verifyServers(_ configuration: TLSConfiguration) throws(TransportError) {
        guard configuration.verifiesServer else { return }
        if configuration.trustedCAFile == nil {
            guard SSL_CTX_set_default_verify_paths(pointer) == 1 else {
                throw .tlsSetting(
                    "no trusted CA file is set and the system's cannot be used: "
                        + OpenSSLErrors.take())
            }
        }
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, RevocationLists.verdict)
    }

    /// Has the handshake fail unless the server's certificate is for this host.
    ///
    /// Only subject alternative names count, as in Go.
    static func expect(_ host: String, of ssl: OpaquePointer) -> Bool {
        let parameters = SSL_get0_param(ssl)
        if X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1 { return true }
        ERR_clear_error()
        SSL_set_hostflags(
            ssl, OpenSSLConstants.noPartialWildcards | OpenSSLConstants.neverCheckSubject)
        guard SSL_set1_host(ssl, host) == 1 else { return false }
        var name = Array(host.utf8CString)
        return SSL_ctrl(
            ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), &name) == 1
    }

    private func setProtocols(_ purpose: TLSPurpose) {
        switch purpose {
        case .clients:
            SSL_CTX_set_alpn_select_cb(
                pointer,
                { _, chosen, chosenCount, offered, offeredCount, _ in
                    TLSContext.selectProtocol(
                        ["h2", "http/1.1"], chosen, chosenCount, offered, offeredCount)
                }, nil)
        case .peerAccepting:
            SSL_CTX_set_alpn_select_cb(
                pointer,
                { _, chosen, chosenCount, offered, offeredCount, _ in
                    TLSContext.selectProtocol(
                        [PeerWire.applicationProtocol], chosen, chosenCount, offered, offeredCount)
                }, nil)
        case .peerDialing:
            let name = PeerWire.applicationProtocol
            let list = [UInt8(name.utf8CodeUnitCount)] + Array("\(name)".utf8)
            SSL_CTX_set_alpn_protos(pointer, list, UInt32(list.count))
        }
    }

    private static func requireReadable(_ path: String) throws(TransportError) {
        ERR_clear_error()
        guard let file = BIO_new_file(path, "r") else {
            throw .tlsFile(path: path, reason: OpenSSLErrors.take())
        }
        BIO_free(file)
    }

    /// Takes the first of `wanted` that is offered; a client that offers none is refused.
    private static func selectProtocol(
        _ wanted: [StaticString],
        _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ chosenCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?,
        _ offeredCount: UInt32
    ) -> Int32 {
        let list = UnsafeRawBufferPointer(start: offered, count: Int(offeredCount))
        for wanted in wanted {
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
