// TLSHandler.swift: TLS of one connection as a channel handler, by OpenSSL.
// Belongs here: handshake, records in, records out, orderly close. Never here: certificates
// (TLSContext.swift). OpenSSL reads from and writes to our ByteBuffers through a BIO of our own
// (ByteBufferBIO.swift), so bytes are copied once each way. Records are made when plaintext is
// written and leave with the next flush.

import COpenSSL
import NIOCore

/// The handshake is complete.
struct TLSHandshakeEvent: Sendable {
    var applicationProtocol: String?
    var commonName: String?
    /// What the owner's inspection has against the certificate.
    var certificateFault: String?
}

/// Which side of the connection this is.
enum TLSRole {
    case accepting
    /// Dialing: the certificate must be for this host name or IP address.
    case dialing(host: String)
}

// Guarded by the connection's event loop.
final class TLSHandler: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case handshaking
        case open
        case closed
    }

    private let role: TLSRole
    private let buffers: TLSBuffers
    private let tlsContext: TLSContext
    private let peer: String
    private let timeoutNanoseconds: Int64
    private var ssl: OpaquePointer?
    private var state = State.handshaking
    private var timeout: Scheduled<Void>?
    private var promise: EventLoopPromise<Void>?
    private let report: (TransportEvent) -> Void
    private let inspect: (OpaquePointer) -> String?
    private var hasReceived = false

    /// Records that OpenSSL has not read yet.
    var received = ByteBuffer()
    /// Records that have not been flushed yet; empty without capacity when there are none.
    var records = ByteBuffer()

    /// Makes the handler of one connection; `report` and `inspect`, which looks at the other
    /// side's certificate after the handshake, are called on its event loop.
    init(
        role: TLSRole, buffers: TLSBuffers, context: TLSContext, peer: String,
        timeoutNanoseconds: Int64, report: @escaping (TransportEvent) -> Void,
        inspect: @escaping (OpaquePointer) -> String? = { _ in nil }
    ) {
        self.role = role
        self.buffers = buffers
        self.tlsContext = context
        self.peer = peer
        self.timeoutNanoseconds = timeoutNanoseconds
        self.report = report
        self.inspect = inspect
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let owner = Unmanaged.passUnretained(self).toOpaque()
        ERR_clear_error()
        guard let ssl = SSL_new(tlsContext.pointer), let bio = ByteBufferBIO.make(owner: owner)
        else {
            fail(context, OpenSSLErrors.take())
            return
        }
        SSL_set_bio(ssl, bio, bio)
        self.ssl = ssl
        let channel = context.channel
        timeout = context.eventLoop.scheduleTask(in: .nanoseconds(timeoutNanoseconds)) {
            self.report(.connectionTimedOut(peer: self.peer, phase: "TLS handshake"))
            channel.close(promise: nil)
        }
        switch role {
        case .accepting:
            SSL_set_accept_state(ssl)
        case .dialing(let host):
            guard TLSContext.expect(host, of: ssl) else {
                fail(context, "cannot check certificates for \(host): \(OpenSSLErrors.take())")
                return
            }
            SSL_set_connect_state(ssl)
            if context.channel.isActive { begin(context) }
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        if case .dialing = role { begin(context) }
        context.fireChannelActive()
    }

    /// Sends the client's first message.
    private func begin(_ context: ChannelHandlerContext) {
        guard state == .handshaking, let ssl, SSL_get_state(ssl) == TLS_ST_BEFORE else { return }
        handshake(context)
        flushRecords(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        release()
    }

    func channelInactive(context: ChannelHandlerContext) {
        if state == .handshaking {
            let side = if case .accepting = role { "client" } else { "other side" }
            report(.handshakeFailed(peer: peer, reason: "the \(side) closed the connection"))
        }
        release()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if received.readableBytes == 0 {
            received = buffer
        } else {
            received.writeBuffer(&buffer)
        }
        if state == .handshaking { handshake(context) }
        if state == .open { decrypt(context) }
        if received.readableBytes == 0 { received = ByteBuffer() }
        flushRecords(context)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let buffer = unwrapOutboundIn(data)
        guard state == .open, let ssl else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        if let promise {
            if let earlier = self.promise {
                earlier.futureResult.cascade(to: promise)
            } else {
                self.promise = promise
            }
        }
        guard buffer.readableBytes > 0 else { return }
        ERR_clear_error()
        var written = 0
        let result = buffer.withUnsafeReadableBytes {
            SSL_write_ex(ssl, $0.baseAddress, $0.count, &written)
        }
        if result != 1 || written != buffer.readableBytes { fail(context, OpenSSLErrors.take()) }
    }

    func flush(context: ChannelHandlerContext) {
        flushRecords(context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if state == .open, let ssl {
            ERR_clear_error()
            _ = SSL_shutdown(ssl)
            flushRecords(context)
        }
        release()
        context.close(mode: mode, promise: promise)
    }

    // MARK: Handshake

    private func handshake(_ context: ChannelHandlerContext) {
        guard let ssl else { return }
        // 0x16 begins every TLS handshake record.
        if case .accepting = role, !hasReceived,
            let first = received.getInteger(at: received.readerIndex, as: UInt8.self)
        {
            guard first == 0x16 else {
                report(.plainTextOnTLS(peer: peer))
                release()
                context.close(promise: nil)
                return
            }
            hasReceived = true
        }
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            state = .open
            timeout?.cancel()
            timeout = nil
            flushRecords(context)
            context.fireUserInboundEventTriggered(
                TLSHandshakeEvent(
                    applicationProtocol: Self.applicationProtocol(of: ssl),
                    commonName: Self.commonName(of: ssl), certificateFault: inspect(ssl)))
            return
        }
        guard SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ else { return }
        fail(context, Self.failureText(of: ssl))
    }

    private static func failureText(of ssl: OpaquePointer) -> String {
        let text = OpenSSLErrors.take()
        let verdict = SSL_get_verify_result(ssl)
        guard verdict != Int(X509_V_OK) else { return text }
        return "\(text): \(String(cString: X509_verify_cert_error_string(verdict)))"
    }

    private static func applicationProtocol(of ssl: OpaquePointer) -> String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name, count > 0 else { return nil }
        return UnsafeRawBufferPointer(start: name, count: Int(count)).text
    }

    static func commonName(of ssl: OpaquePointer) -> String? {
        guard let certificate = SSL_get0_peer_certificate(ssl),
            SSL_get_verify_result(ssl) == Int(X509_V_OK),
            let subject = X509_get_subject_name(certificate)
        else { return nil }
        let place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard place >= 0, let entry = X509_NAME_get_entry(subject, place) else { return nil }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(entry))
        guard count >= 0, let bytes else { return nil }
        defer { CRYPTO_free(bytes, #file, #line) }
        return UnsafeRawBufferPointer(start: bytes, count: Int(count)).text
    }

    // MARK: Records

    private func decrypt(_ context: ChannelHandlerContext) {
        ERR_clear_error()
        while state == .open, let ssl {
            buffers.plaintext.clear(minimumCapacity: Limits.recordBytes)
            let ending = readRecords(ssl)
            if buffers.plaintext.readableBytes > 0 {
                context.fireChannelRead(wrapInboundOut(buffers.plaintext))
            }
            switch ending {
            case .full: continue
            case .needsMore: return
            case .closed:
                context.close(promise: nil)
                return
            case .failed(let reason):
                fail(context, reason)
                return
            }
        }
    }

    private enum ReadEnding {
        case full
        case needsMore
        case closed
        case failed(String)
    }

    /// Decrypts into the loop's plaintext buffer until a turn's worth is there or records run out.
    private func readRecords(_ ssl: OpaquePointer) -> ReadEnding {
        while buffers.plaintext.readableBytes < Limits.plaintextBytesMax {
            var result: Int32 = 0
            buffers.plaintext.writeWithUnsafeMutableBytes(
                minimumWritableBytes: Limits.recordBytes
            ) { room in
                var count = 0
                result = SSL_read_ex(ssl, room.baseAddress, room.count, &count)
                return count
            }
            guard result != 1 else { continue }
            switch SSL_get_error(ssl, result) {
            case SSL_ERROR_WANT_READ: return .needsMore
            case SSL_ERROR_ZERO_RETURN: return .closed
            default: return .failed(OpenSSLErrors.take())
            }
        }
        return .full
    }

    private func flushRecords(_ context: ChannelHandlerContext) {
        guard records.readableBytes > 0 || promise != nil else { return }
        let promise = self.promise
        self.promise = nil
        context.writeAndFlush(wrapOutboundOut(records), promise: promise)
        if records.capacity > 0 { buffers.giveBack(records) }
        records = ByteBuffer()
    }

    private func fail(_ context: ChannelHandlerContext, _ reason: String) {
        report(
            state == .handshaking
                ? .handshakeFailed(peer: peer, reason: reason)
                : .connectionFailed(peer: peer, reason: "TLS: \(reason)"))
        // OpenSSL has written an alert that tells the other side why.
        flushRecords(context)
        release()
        context.close(promise: nil)
    }

    private func release() {
        state = .closed
        timeout?.cancel()
        timeout = nil
        promise?.fail(ChannelError.ioOnClosedChannel)
        promise = nil
        if let ssl { SSL_free(ssl) }
        ssl = nil
        received = ByteBuffer()
        records = ByteBuffer()
    }

    // MARK: Called by the BIO

    func readRecord(into room: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(room.count, received.readableBytes)
        guard count > 0 else { return 0 }
        received.readWithUnsafeReadableBytes { bytes in
            room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            return count
        }
        return count
    }

    func writeRecord(_ bytes: UnsafeRawBufferPointer) {
        if records.capacity == 0 { records = buffers.take() }
        records.writeBytes(bytes)
    }
}
