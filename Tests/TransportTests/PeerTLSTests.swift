// PeerTLSTests.swift: mutual TLS between members: who is believed, who is not, and what is said.
// Source: etcd's --peer-* security flags; PeerTLS.swift.

import COpenSSL
import NIOCore
import Testing

@testable import Transport

@Suite("peer TLS")
struct PeerTLSTests {
    private func configuration(
        _ certificates: TestCertificates, _ name: String,
        hosts: [String] = ["IP:127.0.0.1", "DNS:localhost"]
    ) throws -> PeerTLSConfiguration {
        let pair = try certificates.make(name, hosts: hosts)
        return PeerTLSConfiguration(
            certificateFile: pair.certificateFile, keyFile: pair.keyFile,
            trustedCAFile: certificates.authorityFile)
    }

    /// Dials a member and returns why it failed, nil when it did not; both sides' reports are
    /// handed to `check`.
    private func outcome(
        _ dialer: PeerTLSConfiguration, _ acceptor: PeerTLSConfiguration,
        host: String = "127.0.0.1", check: (PeerEventLog) -> Void = { _ in }
    ) throws -> String? {
        let one = try PeerTestMember(1, tls: dialer)
        let two = try PeerTestMember(2, tls: acceptor)
        let url = try two.listen(isTLS: true, host: host)
        let result = try #require(one.dial(url, to: 2))
        check(two.events)
        try one.stop()
        try two.stop()
        guard case .failure(let error) = result else { return nil }
        return error.description
    }

    @Test("good certificates: frames of every size go both ways, in order")
    func good() throws {
        let certificates = try TestCertificates()
        let one = try PeerTestMember(1, tls: configuration(certificates, "one"))
        let two = try PeerTestMember(2, tls: configuration(certificates, "two"))
        let link = one.link(to: 2, [try two.listen(isTLS: true)])
        #expect(eventually { link.isConnected })
        let great: [UInt8] = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

        let isSent = link.send([(9, [1]), (9, great), (9, []), (9, [2])])

        #expect(isSent)
        #expect(eventually { one.handler.frames.count == 4 })
        #expect(one.handler.frames.map(\.payload) == [[1], great, [], [2]])
        try two.stopListening()
        #expect(eventually { one.handler.closed.count == 1 && two.handler.closed.count == 1 })
        try one.stop()
        try two.stop()
    }

    @Test("back-pressure: over TLS too the sender stops at its mark, and nothing is lost")
    func backPressure() throws {
        let certificates = try TestCertificates()
        let one = try PeerTestMember(1, tls: configuration(certificates, "one"))
        let two = try PeerTestMember(2, tls: configuration(certificates, "two"))
        let connection = try #require(one.dial(two.listen(isTLS: true), to: 2)).get()
        connection.pauseReading()
        #expect(eventually { two.handler.connected.count == 1 })
        let sender = try #require(two.handler.connected.first)
        var sent = 0
        var refused = 0
        while refused < 50 {
            if sender.send(kind: 2, [UInt8](repeating: UInt8(sent % 251), count: 1 << 20)) {
                sent += 1
                refused = 0
            } else {
                refused += 1
                pass(milliseconds: 1)
            }
        }
        #expect(sent < 100)
        let drained = two.handler.drained
        connection.resumeReading()
        #expect(eventually { one.handler.frames.count == sent })
        #expect(eventually { two.handler.drained == drained + 1 })
        let marks = one.handler.frames.map { $0.payload.first.map(Int.init) }
        #expect(marks == (0..<sent).map { $0 % 251 })
        try one.stop()
        try two.stop()
    }

    @Test("host name: a certificate for it is believed, by name and by address")
    func hostNames() throws {
        let certificates = try TestCertificates()
        let both = try configuration(certificates, "both")
        #expect(try outcome(both, both, host: "localhost") == nil)
        let name = try configuration(certificates, "name", hosts: ["DNS:localhost"])
        #expect(try outcome(both, name, host: "localhost") == nil)
        #expect(try outcome(both, name)?.contains("IP address mismatch") == true)
        let address = try configuration(certificates, "address", hosts: ["IP:127.0.0.1"])
        #expect(try outcome(both, address) == nil)
        #expect(
            try outcome(both, address, host: "localhost")?.contains("hostname mismatch") == true)
    }

    @Test("host name: the common name of a certificate does not count")
    func commonNameIsNoHost() throws {
        let certificates = try TestCertificates()
        let good = try configuration(certificates, "good")
        let bare = try configuration(certificates, "localhost", hosts: [])
        #expect(try outcome(good, bare, host: "localhost")?.contains("hostname mismatch") == true)
    }

    @Test("authority: a server of another is not believed, nor is a dialer of another")
    func authorities() throws {
        let certificates = try TestCertificates()
        let strangers = try TestCertificates()
        let good = try configuration(certificates, "good")
        let strange = try configuration(strangers, "strange")
        #expect(
            try outcome(good, strange)?.contains("certificate verify failed") == true)

        // The stranger believes us; we do not believe the stranger.
        var believing = strange
        believing.trustedCAFile = certificates.authorityFile
        let text = try outcome(believing, good) {
            #expect($0.has("certificate verify failed"))
        }
        #expect(text?.contains("alert") == true, "\(text ?? "connected")")
    }

    @Test("client certificate: one of its own for dialing is shown")
    func clientCertificate() throws {
        let certificates = try TestCertificates()
        let pair = try certificates.make("client", hosts: ["IP:127.0.0.1"])
        var dialer = try configuration(certificates, "server")
        dialer.clientCertificateFile = pair.certificateFile
        dialer.clientKeyFile = pair.keyFile
        var acceptor = try configuration(certificates, "acceptor")
        acceptor.allowedCommonNames = ["client"]
        #expect(try outcome(dialer, acceptor) == nil)
    }

    @Test("client certificate: without one, TLS refuses where it is required")
    func noClientCertificate() throws {
        let certificates = try TestCertificates()
        let two = try PeerTestMember(2, tls: configuration(certificates, "two"))
        let port = try two.listen(isTLS: true).port
        #expect(throws: ClientError.self) {
            let raw = try BlockingClient(
                port: port, tls: ClientTLS(protocols: ["martlet-peer/1"]))
            guard try raw.readToEnd().isEmpty else { return }
            throw ClientError(what: "closed")
        }
        #expect(two.events.has("peer did not return a certificate"))
        try two.stop()
    }

    @Test("allowed names: common name and host name of a dialer are checked, and it is told")
    func allowedNames() throws {
        let certificates = try TestCertificates()
        let one = try configuration(certificates, "one")
        var two = try configuration(certificates, "two")
        two.allowedCommonNames = ["three", "four"]
        let text = try outcome(one, two) {
            #expect($0.has("common name \"one\" is not allowed here"))
        }
        #expect(text?.contains("(notAllowed): its certificate's common name \"one\"") == true)
        two.allowedCommonNames = ["three", "one"]
        #expect(try outcome(one, two) == nil)

        two.allowedHostnames = ["elsewhere.example"]
        #expect(try outcome(one, two)?.contains("none of the host names") == true)
        two.allowedHostnames = ["elsewhere.example", "localhost"]
        #expect(try outcome(one, two) == nil)
    }

    @Test("address: a certificate for other addresses only may not come from here, unless skipped")
    func clientAddress() throws {
        let certificates = try TestCertificates()
        let one = try configuration(certificates, "one", hosts: ["IP:10.9.8.7"])
        var two = try configuration(certificates, "two")
        #expect(try outcome(one, two)?.contains("not for 127.0.0.1") == true)
        two.skipClientSANVerification = true
        #expect(try outcome(one, two) == nil)
    }

    @Test("mixed: https to a plain port and http to a TLS port fail with what to change")
    func mixed() throws {
        let certificates = try TestCertificates()
        let one = try PeerTestMember(1, tls: configuration(certificates, "one"))
        let two = try PeerTestMember(2, tls: configuration(certificates, "two"))
        var url = try two.listen(isTLS: false)
        url.isTLS = true
        guard case .failure(let tlsError) = one.dial(url, to: 2) else {
            Issue.record("TLS to a plain port")
            return
        }
        #expect(tlsError.description.contains("the other side closed the connection"))
        #expect(two.events.has("spoke TLS to a plain peer URL; use https in both URLs"))
        try two.stopListening()

        url = try two.listen(isTLS: true)
        url.isTLS = false
        guard case .failure(let plainError) = one.dial(url, to: 2) else {
            Issue.record("plain to a TLS port")
            return
        }
        #expect(plainError.description.contains("scheme must be the one it listens with"))
        try one.stop()
        try two.stop()
    }

    @Test("mixed: plain text on the TLS port is reported as that")
    func plainOnTLS() throws {
        let certificates = try TestCertificates()
        let two = try PeerTestMember(2, tls: configuration(certificates, "two"))
        let raw = try BlockingClient(port: two.listen(isTLS: true).port)
        try raw.write(Array("MARTPEER".utf8))
        #expect(try raw.readToEnd().isEmpty)
        #expect(two.events.has("spoke plain text to an https peer URL"))
        try two.stop()
    }

    @Test("protocol: a client with a good certificate that speaks HTTP is turned away")
    func otherProtocol() throws {
        let certificates = try TestCertificates()
        var limits = PeerLimits()
        limits.failureReportNanoseconds = .max
        limits.failureReportsMax = 1
        let two = try PeerTestMember(2, tls: configuration(certificates, "two"), limits: limits)
        let port = try two.listen(isTLS: true).port
        let pair = try certificates.make("client", hosts: ["IP:127.0.0.1"])
        #expect(throws: ClientError.self) {
            try BlockingClient(port: port, tls: ClientTLS(certificate: pair, protocols: ["h2"]))
        }
        let raw = try BlockingClient(port: port, tls: ClientTLS(certificate: pair, protocols: []))
        #expect(try raw.readToEnd().isEmpty)
        // Both came from one address within one interval: the second is only counted.
        #expect(two.events.has("no application protocol") || two.events.has("by ALPN"))
        #expect(two.events.all.count == 1)
        try two.stop()
    }

    @Test("version: TLS 1.2 is refused by default and taken where it is allowed")
    func versions() throws {
        let certificates = try TestCertificates()
        var one = try configuration(certificates, "one")
        one.minimumVersion = .tls12
        one.maximumVersion = .tls12
        var two = try configuration(certificates, "two")
        #expect(try outcome(one, two)?.contains("protocol version") == true)
        two.minimumVersion = .tls12
        #expect(try outcome(one, two) == nil)
    }

    @Test("time: a TLS handshake that stands still is ended with a report")
    func handshakeTimeout() throws {
        let certificates = try TestCertificates()
        var limits = PeerLimits()
        limits.handshakeNanoseconds = 50_000_000
        let two = try PeerTestMember(2, tls: configuration(certificates, "two"), limits: limits)
        let raw = try BlockingClient(port: two.listen(isTLS: true).port)
        try raw.write([0x16, 3, 1])
        #expect(try raw.readToEnd().isEmpty)
        #expect(two.events.has("TLS handshake was not finished in time"))
        try two.stop()
    }

    @Test("reload: a renewed certificate is used for the next connection without a restart")
    func reload() throws {
        let certificates = try TestCertificates()
        let one = try PeerTestMember(1, tls: configuration(certificates, "one"))
        let wrong = try certificates.make("two", hosts: ["IP:10.9.8.7"])
        let two = try PeerTestMember(
            2,
            tls: PeerTLSConfiguration(
                certificateFile: wrong.certificateFile, keyFile: wrong.keyFile,
                trustedCAFile: certificates.authorityFile))
        let link = one.link(to: 2, [try two.listen(isTLS: true)])
        #expect(one.events.has("IP address mismatch"))
        #expect(!link.isConnected)

        _ = try certificates.make("two", hosts: ["IP:127.0.0.1"])

        #expect(eventually { link.isConnected })
        try one.stop()
        try two.stop()
    }

    @Test("configuration: half a client certificate, and names without certificates, are errors")
    func faults() throws {
        let certificates = try TestCertificates()
        let good = try configuration(certificates, "good")
        func error(_ change: (inout PeerTLSConfiguration) -> Void) -> String? {
            var bad = good
            change(&bad)
            do throws(TransportError) {
                _ = try PeerTLS(bad) { _ in }
                return nil
            } catch {
                return error.description
            }
        }
        #expect(error { _ in } == nil)
        #expect(error { $0.clientKeyFile = good.keyFile }?.contains("set together") == true)
        #expect(
            error {
                $0.requireClientCertificate = false
                $0.allowedCommonNames = ["a"]
            }?.contains("need peer client certificates to be required") == true)
        #expect(error { $0.trustedCAFile = nil }?.contains("no trusted CA file") == true)
    }
}
