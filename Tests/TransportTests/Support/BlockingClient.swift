// BlockingClient.swift: a blocking TCP or TLS socket to a listener on the loopback address.
// Belongs here: connect, handshake, read, write. Never here: HTTP. A read that gets nothing for 20
// s is an error, so that a broken server fails a test instead of hanging it.

import COpenSSL
import Glibc

struct ClientError: Error, Equatable {
    var what: String
}

/// What a TLS client brings along.
struct ClientTLS {
    var certificate: TestCertificates.Pair?
    var protocols: [String] = ["h2"]
    var maximumVersion = TLS1_3_VERSION
}

final class BlockingClient {
    private let socket: OpaquePointer
    private var descriptor: Int32 = -1
    private var ssl: OpaquePointer?

    init(port: Int, tls: ClientTLS? = nil) throws {
        guard let socket = BIO_new_connect("127.0.0.1:\(port)") else {
            throw ClientError(what: "socket")
        }
        self.socket = socket
        guard BIO_ctrl(socket, Int32(BIO_C_DO_STATE_MACHINE), 0, nil) == 1 else {
            ERR_clear_error()
            throw ClientError(what: "connect")
        }
        descriptor = Int32(BIO_ctrl(socket, Int32(BIO_C_GET_FD), 0, nil))
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, size)
        if let tls { try handshake(tls) }
    }

    deinit {
        if let ssl { SSL_free(ssl) }
        BIO_free(socket)
    }

    /// The protocol ALPN chose.
    var applicationProtocol: String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    var tlsVersion: Int32 { SSL_version(ssl) }

    func write(_ bytes: [UInt8]) throws {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { all in
                let rest = UnsafeRawBufferPointer(rebasing: all[offset...])
                if let ssl { return Int(SSL_write(ssl, rest.baseAddress, Int32(rest.count))) }
                return send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw ClientError(what: "write") }
            offset += count
        }
    }

    /// The next bytes; none when the server has closed the connection.
    func read() throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count: Int
        if let ssl {
            count = Int(SSL_read(ssl, &bytes, Int32(bytes.count)))
            if count <= 0 {
                let isEnd = SSL_get_error(ssl, Int32(count)) == SSL_ERROR_ZERO_RETURN
                let isReset = errno == ECONNRESET || errno == 0
                guard isEnd || isReset else { throw ClientError(what: "TLS read: \(sslErrors())") }
                return []
            }
        } else {
            count = recv(descriptor, &bytes, bytes.count, 0)
            if count < 0 && errno == ECONNRESET { return [] }
            guard count >= 0 else { throw ClientError(what: "read") }
        }
        return Array(bytes.prefix(count))
    }

    /// Everything until the server closes the connection.
    func readToEnd() throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let bytes = try read()
            guard !bytes.isEmpty else { return all }
            all += bytes
        }
    }

    /// Everything until the text has come.
    func read(until text: String) throws -> String {
        var all: [UInt8] = []
        while true {
            let found = String(decoding: all, as: UTF8.self)
            if found.contains(text) { return found }
            let bytes = try read()
            guard !bytes.isEmpty else { throw ClientError(what: "closed after \(found)") }
            all += bytes
        }
    }

    /// Speaks HTTP/2 until `isDone` or the server closes the connection.
    func run(_ session: ClientSession, until isDone: () -> Bool) throws {
        while true {
            try write(session.output())
            if isDone() { return }
            let bytes = try read()
            guard !bytes.isEmpty else { return }
            session.input(bytes)
        }
    }

    private func handshake(_ tls: ClientTLS) throws {
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw ClientError(what: "context")
        }
        defer { SSL_CTX_free(context) }
        SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(tls.maximumVersion), nil)
        if let pair = tls.certificate {
            SSL_CTX_use_certificate_chain_file(context, pair.certificateFile)
            SSL_CTX_use_PrivateKey_file(context, pair.keyFile, SSL_FILETYPE_PEM)
        }
        if !tls.protocols.isEmpty {
            let list = tls.protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
            SSL_CTX_set_alpn_protos(context, list, UInt32(list.count))
        }
        ssl = SSL_new(context)
        SSL_set_fd(ssl, descriptor)
        guard SSL_connect(ssl) == 1 else { throw ClientError(what: "handshake: \(sslErrors())") }
    }

    private func sslErrors() -> String {
        var text = ""
        while true {
            let code = ERR_get_error()
            guard code != 0 else { return text }
            text += ERR_reason_error_string(code).map { String(cString: $0) } ?? "\(code)"
        }
    }
}
