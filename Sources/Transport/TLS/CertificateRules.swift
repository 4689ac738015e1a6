// CertificateRules.swift: which certificates, of all that an authority signed, may connect.
// Belongs here: names in a certificate. Never here: signatures, dates, revocation (OpenSSL, by
// TLSContext.swift). Source: RFC 6125; etcd's --client-cert-allowed-hostname and --peer-cert-allowed-*.

import COpenSSL

/// Names of which a certificate must carry one.
struct CertificateRules: Sendable {
    /// Common names; none listed is all.
    var commonNames: [String] = []
    /// Host names and IP addresses, compared with the subject alternative names; none is all.
    var hostnames: [String] = []

    /// What the other side's certificate lacks; nil is nothing.
    func fault(of ssl: OpaquePointer) -> String? {
        guard !commonNames.isEmpty || !hostnames.isEmpty else { return nil }
        guard let certificate = SSL_get0_peer_certificate(ssl) else { return "no certificate" }
        if !commonNames.isEmpty {
            let name = TLSHandler.commonName(of: ssl) ?? ""
            guard commonNames.contains(name) else {
                return "its certificate's common name \"\(name)\" is not allowed here"
            }
        }
        guard hostnames.isEmpty || hostnames.contains(where: { Self.matches($0, certificate) })
        else { return "its certificate is for none of the host names allowed here" }
        return nil
    }

    private static func matches(_ host: String, _ certificate: OpaquePointer) -> Bool {
        let flags = OpenSSLConstants.noPartialWildcards | OpenSSLConstants.neverCheckSubject
        return X509_check_ip_asc(certificate, host, 0) == 1
            || X509_check_host(certificate, host, host.utf8.count, flags, nil) == 1
    }
}
