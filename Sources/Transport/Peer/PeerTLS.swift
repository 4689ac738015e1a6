// PeerTLS.swift: certificates between members and what is checked about them.
// Belongs here: the configuration, and the contexts made from it. Never here: TLS (TLSHandler.swift),
// how files are loaded (TLSContext.swift). Source: etcd's --peer-* security flags. Two differences:
// names in a dialer's certificate are not looked up in DNS, only its IP addresses are compared with
// where it comes from; and the oldest version is TLS 1.3 unless the operator says otherwise.

import COpenSSL
import NIOCore

/// The certificates of this member, and what those of others must show.
public struct PeerTLSConfiguration: Sendable {
    /// The PEM file of the certificate and its chain, shown to members that connect.
    public var certificateFile: String
    /// The PEM file of its private key.
    public var keyFile: String
    /// The certificate shown when this member connects; nil is `certificateFile`.
    public var clientCertificateFile: String?
    /// Its private key; nil is `keyFile`.
    public var clientKeyFile: String?
    /// The PEM file of the authorities of all members; nil is the system's, for dialing only.
    public var trustedCAFile: String?
    /// The file of revocation lists of those authorities, for both directions; nil for none.
    public var revocationFile: String?
    /// Whether the certificates of members that this one connects to are checked; not so where every
    /// member has made its own.
    public var verifiesServers: Bool
    /// Whether a member that connects without a valid certificate is refused.
    public var requireClientCertificate: Bool
    /// The common names that may connect; none listed is all.
    public var allowedCommonNames: [String]
    /// Host names of which a connecting certificate must have one; none listed is all.
    public var allowedHostnames: [String]
    /// Whether a connecting certificate that names IP addresses may come from others.
    public var skipClientSANVerification: Bool
    /// The oldest version accepted.
    public var minimumVersion: TLSVersion
    /// The newest version accepted; nil is the newest known.
    public var maximumVersion: TLSVersion?
    /// The TLS 1.2 cipher suites by OpenSSL or IANA name; empty is OpenSSL's default.
    public var cipherSuites: [String]

    /// Describes the certificates.
    public init(
        certificateFile: String, keyFile: String, clientCertificateFile: String? = nil,
        clientKeyFile: String? = nil, trustedCAFile: String? = nil,
        revocationFile: String? = nil, verifiesServers: Bool = true,
        requireClientCertificate: Bool = true, allowedCommonNames: [String] = [],
        allowedHostnames: [String] = [], skipClientSANVerification: Bool = false,
        minimumVersion: TLSVersion = .tls13, maximumVersion: TLSVersion? = nil,
        cipherSuites: [String] = []
    ) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.clientCertificateFile = clientCertificateFile
        self.clientKeyFile = clientKeyFile
        self.trustedCAFile = trustedCAFile
        self.revocationFile = revocationFile
        self.verifiesServers = verifiesServers
        self.requireClientCertificate = requireClientCertificate
        self.allowedCommonNames = allowedCommonNames
        self.allowedHostnames = allowedHostnames
        self.skipClientSANVerification = skipClientSANVerification
        self.minimumVersion = minimumVersion
        self.maximumVersion = maximumVersion
        self.cipherSuites = cipherSuites
    }

    fileprivate var accepting: TLSConfiguration {
        TLSConfiguration(
            certificateFile: certificateFile, keyFile: keyFile, trustedCAFile: trustedCAFile,
            revocationFile: revocationFile, requireClientCertificate: requireClientCertificate,
            minimumVersion: minimumVersion,
            maximumVersion: maximumVersion, cipherSuites: cipherSuites)
    }

    fileprivate var dialing: TLSConfiguration {
        var configuration = accepting
        configuration.certificateFile = clientCertificateFile ?? certificateFile
        configuration.keyFile = clientKeyFile ?? keyFile
        configuration.requireClientCertificate = false
        configuration.verifiesServer = verifiesServers
        return configuration
    }
}

/// The certificates as loaded; files that change are used for the next connections.
public final class PeerTLS: Sendable {
    private let configuration: PeerTLSConfiguration
    private let acceptingSource: TLSContextSource
    private let dialingSource: TLSContextSource

    /// Loads all files; `report` hears about later changes that cannot be loaded.
    public init(
        _ configuration: PeerTLSConfiguration, report: @escaping @Sendable (PeerEvent) -> Void
    ) throws(TransportError) {
        guard (configuration.clientCertificateFile == nil) == (configuration.clientKeyFile == nil)
        else {
            throw .tlsSetting("a peer client certificate and its key must be set together")
        }
        let names = configuration.allowedCommonNames + configuration.allowedHostnames
        guard names.isEmpty || configuration.requireClientCertificate else {
            throw .tlsSetting(
                "allowed names of peer certificates need peer client certificates to be required")
        }
        let reportReload: @Sendable (TransportEvent) -> Void = { event in
            switch event {
            case .certificateReloadFailed(let reason):
                report(.certificateReloadFailed(reason: reason))
            case .certificatesReloaded, .certificateWarning: report(.certificates("\(event)"))
            default: break
            }
        }
        self.configuration = configuration
        acceptingSource = try TLSContextSource(
            configuration.accepting, purpose: .peerAccepting, report: reportReload)
        dialingSource = try TLSContextSource(
            configuration.dialing, purpose: .peerDialing, report: reportReload)
    }

    /// The TLS of one connection; `report` is called on its event loop.
    func handler(
        _ role: TLSRole, address: String, remoteIP: String?, loop: any EventLoop,
        limits: PeerLimits, report: @escaping (TransportEvent) -> Void
    ) -> TLSHandler {
        let now = Int64(loop.now.uptimeNanoseconds)
        let source = if case .accepting = role { acceptingSource } else { dialingSource }
        return TLSHandler(
            role: role, buffers: TLSBuffers(), context: source.current(at: now), peer: address,
            timeoutNanoseconds: limits.handshakeNanoseconds, report: report,
            inspect: { [configuration] ssl in
                guard case .accepting = role else { return nil }
                return Self.fault(of: ssl, remoteIP: remoteIP, configuration)
            })
    }

    /// What the certificate of a member that connects lacks; nil is nothing.
    private static func fault(
        of ssl: OpaquePointer, remoteIP: String?, _ configuration: PeerTLSConfiguration
    ) -> String? {
        guard configuration.requireClientCertificate else { return nil }
        guard let certificate = SSL_get0_peer_certificate(ssl) else { return "no certificate" }
        let rules = CertificateRules(
            commonNames: configuration.allowedCommonNames,
            hostnames: configuration.allowedHostnames)
        if let fault = rules.fault(of: ssl) { return fault }
        guard !configuration.skipClientSANVerification, let remoteIP,
            hasOnlyAddresses(certificate), X509_check_ip_asc(certificate, remoteIP, 0) != 1
        else { return nil }
        return "its certificate is not for \(remoteIP), where it connects from"
    }

    /// Whether the certificate names IP addresses and no host: where it may be used is then known
    /// without DNS.
    private static func hasOnlyAddresses(_ certificate: OpaquePointer) -> Bool {
        guard let names = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else {
            return false
        }
        let list = OpaquePointer(names)
        defer { GENERAL_NAMES_free(list) }
        var addresses = 0
        for index in 0..<OPENSSL_sk_num(list) {
            guard let name = OPENSSL_sk_value(list, index) else { continue }
            switch name.assumingMemoryBound(to: GENERAL_NAME.self).pointee.type {
            case GEN_DNS: return false
            case GEN_IPADD: addresses += 1
            default: break
            }
        }
        return addresses > 0
    }
}
