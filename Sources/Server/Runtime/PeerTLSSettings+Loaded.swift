// PeerTLSSettings+Loaded.swift: the settings of TLS between members, as Transport takes them.
// Belongs here: the mapping. Never here: what the settings mean (Configuration/, Transport/Peer).

internal import Transport

extension Configuration {
    /// Loads the certificates between members; nil if none are set.
    ///
    /// Members speak TLS 1.3 to each other unless `--tls-max-version` forbids it.
    func loadedPeerTLS(
        report: @escaping @Sendable (PeerEvent) -> Void
    ) throws(TransportError) -> PeerTLS? {
        guard peerTLS.isComplete else { return nil }
        let maximum = tlsMaxVersion?.transportVersion
        return try PeerTLS(
            PeerTLSConfiguration(
                certificateFile: peerTLS.certFile, keyFile: peerTLS.keyFile,
                clientCertificateFile: peerTLS.outgoingCertFile,
                clientKeyFile: peerTLS.outgoingKeyFile,
                trustedCAFile: peerTLS.trustedCAFile.isEmpty ? nil : peerTLS.trustedCAFile,
                revocationFile: peerTLS.crlFile.isEmpty ? nil : peerTLS.crlFile,
                verifiesServers: peerTLS.verifiesServers,
                requireClientCertificate: peerTLS.requiresCertificate,
                allowedCommonNames: peerTLS.allowedCommonNames,
                allowedHostnames: peerTLS.allowedHostnames,
                skipClientSANVerification: peerTLS.skipsClientSANVerification,
                minimumVersion: maximum == .tls12 ? .tls12 : .tls13, maximumVersion: maximum,
                cipherSuites: cipherSuites.map(\.openSSLName)),
            report: report)
    }
}

extension TLSVersionSetting {
    /// The version as Transport names it.
    var transportVersion: TLSVersion {
        switch self {
        case .tls12: .tls12
        case .tls13: .tls13
        }
    }
}
