// OwnCertificates.swift: the certificates of --auto-tls and --peer-auto-tls.
// Belongs here: which are needed, for which names, and where they lie. Never here: making one
// (Transport). Source: etcd: DATA-DIR/fixtures/client and DATA-DIR/fixtures/peer.

internal import Logging
internal import Storage
internal import Transport

extension Configuration {
    /// Makes the certificates that were asked for and not given, and fills in their files.
    mutating func makeCertificates(
        in directory: DataDirectory, logger: Logger
    ) throws(NodeError) {
        if autoTLS, certFile.isEmpty {
            let urls = listenClientURLs + listenClientHTTPURLs + advertiseClientURLs
            let made = try make("client", for: urls, in: directory, logger)
            (certFile, keyFile) = (made.certificateFile, made.keyFile)
        }
        if peerTLS.isAutomatic, peerTLS.certFile.isEmpty {
            let urls = listenPeerURLs + initialAdvertisePeerURLs
            let made = try make("peer", for: urls, in: directory, logger)
            (peerTLS.certFile, peerTLS.keyFile) = (made.certificateFile, made.keyFile)
            peerTLS.verifiesServers = false
        }
    }

    private func make(
        _ kind: String, for urls: [EndpointURL], in directory: DataDirectory, _ logger: Logger
    ) throws(NodeError) -> SelfSignedCertificate {
        var hosts = ["localhost", "127.0.0.1"]
        for url in urls where !url.scheme.isUnix && !hosts.contains(url.host) {
            // A zone has no place in a certificate.
            hosts.append(String(url.host.prefix { $0 != "%" }))
        }
        do throws(TransportError) {
            let made = try SelfSignedCertificate(
                in: try directory.makeFixtures(kind), hosts: hosts,
                days: selfSignedCertValidityYears * 365)
            logger.info(
                made.isNew ? "made a self-signed certificate" : "found a self-signed certificate",
                metadata: ["for": "\(kind)", "file": "\(made.certificateFile)"])
            return made
        } catch {
            throw .transport(error)
        }
    }
}

extension DataDirectory {
    /// The directory of the certificates of a kind, made if need be.
    fileprivate func makeFixtures(_ kind: String) throws(TransportError) -> String {
        let path = "\(path)/fixtures/\(kind)"
        do {
            try disk.createDirectory("\(self.path)/fixtures")
            try disk.createDirectory(path)
        } catch {
            throw .tlsFile(path: path, reason: "\(error)")
        }
        return path
    }
}
