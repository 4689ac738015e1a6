// PeerTLSSettings+Loaded.swift: the settings of TLS between members, as Transport takes them.
// Belongs here: the mapping. Never here: what the settings mean (Configuration/, Transport/Peer).

internal import Transport

extension PeerTLSSettings {
    /// Loads the certificates; nil if none are set.
    func loaded(
        report: @escaping @Sendable (PeerEvent) -> Void
    ) throws(TransportError) -> PeerTLS? {
        guard isComplete else { return nil }
        return try PeerTLS(
            PeerTLSConfiguration(
                certificateFile: certFile, keyFile: keyFile,
                clientCertificateFile: outgoingCertFile, clientKeyFile: outgoingKeyFile,
                trustedCAFile: trustedCAFile.isEmpty ? nil : trustedCAFile,
                requireClientCertificate: requiresCertificate,
                allowedCommonNames: allowedCommonNames, allowedHostnames: allowedHostnames,
                skipClientSANVerification: skipsClientSANVerification),
            report: report)
    }
}
