// TLSTests.swift: TLS over real sockets against OpenSSL's own client, and the errors of bad
// configurations. Source: etcd semantics G15 and etcd's security flags.

import COpenSSL
import Testing

@testable import Transport

@Suite("TLS")
struct TLSTests {
    private func configuration(
        _ certificates: TestCertificates, requireClient: Bool = false,
        _ change: (inout TLSConfiguration) -> Void = { _ in }
    ) throws -> TLSConfiguration {
        let server = try certificates.make("server")
        var configuration = TLSConfiguration(
            certificateFile: server.certificateFile, keyFile: server.keyFile,
            trustedCAFile: certificates.authorityFile, requireClientCertificate: requireClient)
        change(&configuration)
        return configuration
    }

    @Test("TLS: a unary call over each version", arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func unary(version: Int32) throws {
        let certificates = try TestCertificates()
        let server = try TestListener(tls: configuration(certificates))
        let client = try BlockingClient(
            port: server.listener.localPort, tls: ClientTLS(maximumVersion: version))
        #expect(client.tlsVersion == version)
        #expect(client.applicationProtocol == "h2")
        let session = ClientSession(windowBytes: 16 << 20)
        let message = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }

        let call = session.request("/test.Echo/Unary", body: framed(message))
        try client.run(session) { call.stream.closeCode != nil }

        #expect(call.stream.messages == [message])
        #expect(call.stream.grpcStatus == 0)
        try server.stop()
        #expect(server.log.all.isEmpty)
    }

    @Test(
        "TLS: ALPN prefers h2, takes http/1.1, and goes by the first bytes without ALPN",
        arguments: [
            (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), ([], nil),
        ] as [([String], String?)])
    func alpn(offered: [String], chosen: String?) throws {
        let certificates = try TestCertificates()
        let server = try TestListener(tls: configuration(certificates))
        let client = try BlockingClient(
            port: server.listener.localPort, tls: ClientTLS(protocols: offered))

        #expect(client.applicationProtocol == chosen)
        if chosen == "h2" {
            let session = ClientSession()
            let call = session.request("/test.Echo/Unary", body: framed([1]))
            try client.run(session) { call.stream.closeCode != nil }
            #expect(call.stream.messages == [[1]])
        } else {
            try client.write(Array("GET /health HTTP/1.1\r\nhost: x\r\n\r\n".utf8))
            let answer = try client.read(until: "GET /health [] 0")
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
        try server.stop()
    }

    @Test("TLS: a client that offers only unknown protocols is refused")
    func unknownProtocol() throws {
        let certificates = try TestCertificates()
        let server = try TestListener(tls: configuration(certificates))

        #expect(throws: ClientError.self) {
            try BlockingClient(
                port: server.listener.localPort, tls: ClientTLS(protocols: ["spdy/3"]))
        }

        try server.stop()
        #expect(server.log.all.count == 1)
    }

    @Test("client certificate: a valid one is accepted and its common name is known")
    func clientCertificate() throws {
        let certificates = try TestCertificates()
        let server = try TestListener(tls: configuration(certificates, requireClient: true))
        let pair = try certificates.make("alice")
        let client = try BlockingClient(
            port: server.listener.localPort, tls: ClientTLS(certificate: pair))
        let session = ClientSession()

        let call = session.request("/test.Echo/List", body: framed([]))
        try client.run(session) { call.stream.closeCode != nil }

        #expect(call.stream.messages == [Array("alice".utf8)])
        try server.stop()
        #expect(server.log.all.isEmpty)
    }

    @Test("client certificate: one of another authority is refused with a clear text")
    func wrongCertificate() throws {
        let certificates = try TestCertificates()
        let strangers = try TestCertificates()
        let server = try TestListener(tls: configuration(certificates, requireClient: true))
        let pair = try strangers.make("mallory")

        refuses(server, pair)

        try server.stop()
        guard case .handshakeFailed(_, let reason) = try #require(server.log.all.first) else {
            Issue.record("\(server.log.all)")
            return
        }
        #expect(reason.contains("certificate verify failed"))
    }

    @Test("client certificate: none at all is refused")
    func noCertificate() throws {
        let certificates = try TestCertificates()
        let server = try TestListener(tls: configuration(certificates, requireClient: true))

        refuses(server, nil)

        try server.stop()
        guard case .handshakeFailed(_, let reason) = try #require(server.log.all.first) else {
            Issue.record("\(server.log.all)")
            return
        }
        #expect(reason.contains("peer did not return a certificate"))
    }

    // With TLS 1.3 the client believes the handshake is over before the server has judged: the
    // refusal is seen at the first read.
    private func refuses(_ server: TestListener, _ pair: TestCertificates.Pair?) {
        #expect(throws: ClientError.self) {
            let client = try BlockingClient(
                port: server.listener.localPort, tls: ClientTLS(certificate: pair))
            guard try client.readToEnd().isEmpty else { return }
            throw ClientError(what: "closed")
        }
    }

    @Test("TLS: plain text on the TLS port is reported and the connection closed")
    func plainText() throws {
        let certificates = try TestCertificates()
        let server = try TestListener(tls: configuration(certificates))
        let client = try BlockingClient(port: server.listener.localPort)

        try client.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))

        #expect(try client.readToEnd().isEmpty)
        try server.stop()
        guard case .plainTextOnTLS = try #require(server.log.all.first) else {
            Issue.record("\(server.log.all)")
            return
        }
    }

    @Test("TLS: a client hello on the plain port is reported and the connection closed")
    func helloOnPlain() throws {
        let server = try TestListener()

        #expect(throws: ClientError.self) {
            try BlockingClient(port: server.listener.localPort, tls: ClientTLS())
        }

        try server.stop()
        guard case .tlsOnPlainText = try #require(server.log.all.first) else {
            Issue.record("\(server.log.all)")
            return
        }
    }

    @Test("TLS: a client that does not finish its handshake in time is disconnected")
    func handshakeTimeout() throws {
        let certificates = try TestCertificates()
        var limits = ConnectionLimits()
        limits.handshakeTimeoutNanoseconds = 50_000_000
        let server = try TestListener(tls: configuration(certificates), limits: limits)
        let client = try BlockingClient(port: server.listener.localPort)

        try client.write([0x16, 3, 1])

        #expect(try client.readToEnd().isEmpty)
        try server.stop()
        guard case .connectionTimedOut(_, "TLS handshake") = try #require(server.log.all.first)
        else {
            Issue.record("\(server.log.all)")
            return
        }
    }

    @Test("TLS: versions outside the allowed range are refused")
    func versions() throws {
        let certificates = try TestCertificates()
        let server = try TestListener(
            tls: configuration(certificates) { $0.minimumVersion = .tls13 })

        #expect(throws: ClientError.self) {
            try BlockingClient(
                port: server.listener.localPort, tls: ClientTLS(maximumVersion: TLS1_2_VERSION))
        }

        try server.stop()
    }

    @Test(
        "TLS 1.2 suites: Go's, IANA's and OpenSSL's names are understood",
        arguments: [
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
        ])
    func cipherSuites(name: String) throws {
        let certificates = try TestCertificates()
        let server = try TestListener(
            tls: configuration(certificates) {
                $0.cipherSuites = [name, "TLS_AES_128_GCM_SHA256"]
            })
        let client = try BlockingClient(
            port: server.listener.localPort, tls: ClientTLS(maximumVersion: TLS1_2_VERSION))

        #expect(client.applicationProtocol == "h2")
        try server.stop()
    }

    @Test("configuration: each fault has its own error that names the file")
    func faults() throws {
        let certificates = try TestCertificates()
        let good = try configuration(certificates)
        let other = try certificates.make("other")
        func error(_ change: (inout TLSConfiguration) -> Void) -> TransportError? {
            var bad = good
            change(&bad)
            do throws(TransportError) {
                _ = try TLSContext(bad)
                return nil
            } catch {
                return error
            }
        }

        #expect(
            error { $0.certificateFile = "/nowhere/cert.pem" }?.description.hasPrefix(
                "cannot use TLS file /nowhere/cert.pem: No such file or directory") == true)
        #expect(
            error { $0.keyFile = other.keyFile }
                == .keyMismatch(certificateFile: good.certificateFile, keyFile: other.keyFile))
        #expect(
            error { $0.keyFile = good.certificateFile }?.description.hasPrefix(
                "cannot use TLS file \(good.certificateFile): ") == true)
        #expect(
            error { $0.trustedCAFile = "/nowhere/ca.pem" }?.description.hasPrefix(
                "cannot use TLS file /nowhere/ca.pem: ") == true)
        #expect(
            error {
                $0.trustedCAFile = nil
                $0.requireClientCertificate = true
            } == .tlsSetting("client certificates are required, but no trusted CA file is set"))
        #expect(
            error { $0.cipherSuites = ["NONSENSE"] }
                == .tlsSetting("unknown TLS cipher suite NONSENSE"))
        #expect(
            error {
                $0.minimumVersion = .tls13
                $0.maximumVersion = .tls12
            } == .tlsSetting("the newest TLS version allowed is older than the oldest"))
        #expect(error { _ in } == nil)
    }

    @Test("reload: changed certificate files are used for new connections, broken ones are not")
    func reload() throws {
        let certificates = try TestCertificates()
        let log = EventLog()
        let source = try TLSContextSource(configuration(certificates)) { log.append($0) }
        let first = source.current(at: 0)
        #expect(source.current(at: 10_000_000_000) === first)

        let renewed = try certificates.make("renewed-server-name", named: "server")
        #expect(source.current(at: 10_500_000_000) === first)
        let second = source.current(at: 20_000_000_000)
        #expect(second !== first)
        _ = try certificates.make("unrelated")
        let file = try #require(BIO_new_file(renewed.keyFile, "w"))
        BIO_free(file)
        #expect(source.current(at: 30_000_000_000) === second)

        #expect(log.all.count == 2)
        #expect(log.all.first == .certificatesReloaded(file: renewed.certificateFile))
        guard case .certificateReloadFailed? = log.all.last else {
            Issue.record("\(log.all)")
            return
        }
    }
}
