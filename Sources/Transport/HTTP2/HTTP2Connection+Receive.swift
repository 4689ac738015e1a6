// HTTP2Connection+Receive.swift: frames of the client become calls, messages and HTTP requests.
// Belongs here: the rules of gRPC for requests. Never here: how an answer gets out (+Send).
// Source: gRPC over HTTP/2; texts as grpc-go's, which etcd's clients know.

import CNGHTTP2
import NIOCore

extension HTTP2Connection {
    func beginHeaders(_ frame: UnsafePointer<nghttp2_frame>) {
        // Trailers of a request carry nothing we read.
        guard frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST, let session else {
            headerStreamID = 0
            return
        }
        let streamID = frame.pointee.hd.stream_id
        guard calls.count < limits.liveStreamsMax, loop.callCount < Limits.loopCallsMax else {
            headerStreamID = 0
            session.reset(streamID, NGHTTP2_REFUSED_STREAM)
            return
        }
        let call = RPCCall(connection: self, streamID: streamID)
        call.slot = calls.count
        calls.append(call)
        loop.callCount += 1
        nghttp2_session_set_stream_user_data(
            session.pointer, streamID, Unmanaged.passUnretained(call).toOpaque())
        headerStreamID = streamID
        lastCall = call
        headers = RequestHeaders()
    }

    func header(
        streamID: Int32, name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
    ) {
        guard streamID == headerStreamID else { return }
        guard headers.byteCount <= limits.headerListBytesMax else {
            session?.reset(streamID, NGHTTP2_ENHANCE_YOUR_CALM)
            headerStreamID = 0
            return
        }
        headers.add(name, value, methods: methods)
    }

    func frameReceived(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            if header.stream_id == headerStreamID {
                headerStreamID = 0
                guard let call = findCall(header.stream_id) else { return }
                call.isRemoteClosed = endsStream
                headersComplete(call)
            } else if endsStream, let call = findCall(header.stream_id) {
                requestEnded(call)
            }
        case NGHTTP2_DATA.rawValue:
            if endsStream, let call = findCall(header.stream_id) { requestEnded(call) }
        case NGHTTP2_PING.rawValue:
            pingReceived(isAnswer: header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0)
        case NGHTTP2_SETTINGS.rawValue:
            settingsReceived()
        case NGHTTP2_RST_STREAM.rawValue:
            resetReceived(findCall(header.stream_id))
        default: break
        }
    }

    func dataReceived(streamID: Int32, _ bytes: UnsafeRawBufferPointer) {
        unconsumedBytes += bytes.count
        guard let call = findCall(streamID), call.phase == .open else { return }
        call.unconsumedBytes += bytes.count
        if call.http == nil {
            messagesReceived(call, bytes)
        } else {
            bodyReceived(call, bytes)
        }
        if call.unconsumedBytes >= Limits.windowStepBytes && !call.isPaused { grantWindow(call) }
    }

    func streamClosed(_ streamID: Int32) {
        guard let call = findCall(streamID) else { return }
        if lastCall === call { lastCall = nil }
        if headerStreamID == streamID { headerStreamID = 0 }
        let last = calls.removeLast()
        loop.callCount -= 1
        if last !== call {
            calls[call.slot] = last
            last.slot = call.slot
        }
        end(call, .reset)
        if isDraining { finishDrainIfIdle() }
    }

    func invalidFrame(_ code: Int) {
        loop.reportFailure(.protocolError(peer: peer.address, reason: HTTP2Session.text(of: code)))
    }

    /// The call of a stream; consecutive frames mostly belong to the same one.
    @inline(__always)
    func findCall(_ streamID: Int32) -> RPCCall? {
        if let lastCall, lastCall.streamID == streamID { return lastCall }
        guard let session,
            let pointer = nghttp2_session_get_stream_user_data(session.pointer, streamID)
        else { return nil }
        let call = Unmanaged<RPCCall>.fromOpaque(pointer).takeUnretainedValue()
        lastCall = call
        return call
    }

    /// Gives back to the client's window what the call took.
    func grantWindow(_ call: RPCCall) {
        let count = call.unconsumedBytes
        call.unconsumedBytes = 0
        guard count > 0, call.phase == .open, !call.isRemoteClosed, let session else { return }
        nghttp2_session_consume_stream(session.pointer, call.streamID, count)
        if !isInSession { loop.markDirty(self) }
    }

    private func headersComplete(_ call: RPCCall) {
        guard !headers.isMalformed else {
            call.phase = .finished
            session?.reset(call.streamID, NGHTTP2_PROTOCOL_ERROR)
            return
        }
        let isGRPC = headers.contentType == .grpc || headers.contentType == .badGRPC
        guard servesRPC, isGRPC || headers.methodIndex != nil else {
            beginHTTP(call)
            return
        }
        call.metadata = headers.metadata
        guard headers.isPost else {
            refuse(
                call, .methodNotAllowed,
                RPCStatus(
                    .internal, "the :method of a gRPC request is \(headers.rare.method), not POST"))
            return
        }
        guard headers.contentType == .grpc else {
            let text = "invalid gRPC request content-type \"\(headers.rare.contentType)\""
            refuse(call, .unsupportedMediaType, RPCStatus(.invalidArgument, text))
            return
        }
        if let text = headers.rareOrNil?.malformedTimeout {
            refuse(call, .badRequest, RPCStatus(.internal, "malformed grpc-timeout: \"\(text)\""))
            return
        }
        guard let methodIndex = headers.methodIndex else {
            let status = UnknownMethod.status(path: headers.rare.path, services: methods.services)
            finish(call, status)
            return
        }
        if let encoding = headers.rareOrNil?.unsupportedEncoding {
            let text = "grpc: Decompressor is not installed for grpc-encoding \"\(encoding)\""
            finish(call, RPCStatus(.unimplemented, text))
            return
        }
        call.methodIndex = methodIndex
        call.kind = methods.kinds[methodIndex]
        if let timeout = headers.timeoutNanoseconds, !setDeadline(of: call, after: timeout) {
            return
        }
        if call.kind == .bidi { start(call) }
        if call.isRemoteClosed { requestEnded(call) }
    }

    /// Hands the call to the handler, unless the client has too many unread answers already.
    private func start(_ call: RPCCall) {
        guard bufferedBytes <= limits.outputBytesMax else {
            finish(
                call,
                RPCStatus(.resourceExhausted, "too many answers of this connection are unread"))
            return
        }
        guard loop.bufferedBytes <= Limits.loopOutputBytesMax else {
            return finish(call, Self.overloaded)
        }
        call.isStarted = true
        loop.touchRPC()
        loop.rpc.start(call)
    }

    private func messagesReceived(_ call: RPCCall, _ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        reading: while call.phase == .open {
            switch call.reader.next(&rest, bytesMax: limits.receiveMessageBytesMax) {
            case .needsMore: break reading
            case .message(let message): messageReceived(call, message)
            case .tooLarge(let count):
                let max = limits.receiveMessageBytesMax
                let text = "grpc: received message larger than max (\(count) vs. \(max))"
                abandon(call, RPCStatus(.resourceExhausted, text))
            case .compressed:
                let text = "grpc: compressed flag set with identity or empty encoding"
                abandon(call, RPCStatus(.internal, text))
            case .badFlag(let flag):
                abandon(
                    call, RPCStatus(.internal, "grpc: received unexpected payload format \(flag)"))
            }
        }
        guard call.phase == .open else { return }
        let held = call.reader.partialBytes + (call.request?.count ?? 0)
        partialBytes += held - call.partialBytes
        call.partialBytes = held
        if partialBytes > limits.partialBytesMax {
            let text = "too many incomplete messages on this connection"
            abandon(call, RPCStatus(.resourceExhausted, text))
        } else if loop.partialBytes > Limits.loopPartialBytesMax {
            abandon(call, Self.overloaded)
        }
    }

    /// What a server of etcd says that cannot keep up, with the code that clients know from it.
    private static var overloaded: RPCStatus {
        RPCStatus(.unknown, "etcdserver: too many requests")
    }

    private func messageReceived(_ call: RPCCall, _ message: [UInt8]) {
        messageBytesReceived += message.count
        call.receivedBytes += message.count
        if call.kind == .bidi {
            loop.touchRPC()
            loop.rpc.received(call, message)
            return
        }
        guard call.request == nil else {
            let text = "cardinality violation: received multiple request messages"
            abandon(call, RPCStatus(.internal, text))
            return
        }
        call.request = message
    }

    private func requestEnded(_ call: RPCCall) {
        call.isRemoteClosed = true
        guard call.phase == .open else { return }
        if call.http != nil {
            handleHTTP(call)
            return
        }
        guard call.methodIndex >= 0 else {
            // Data without a header block that was understood: no call that anyone could answer.
            call.phase = .finished
            session?.reset(call.streamID, NGHTTP2_PROTOCOL_ERROR)
            return
        }
        guard call.reader.isBetweenMessages else {
            abandon(call, RPCStatus(.internal, "unexpected EOF"))
            return
        }
        if call.kind == .bidi {
            loop.touchRPC()
            loop.rpc.halfClosed(call)
            return
        }
        guard let request = call.request else {
            let text = "cardinality violation: received no request message"
            abandon(call, RPCStatus(.internal, text))
            return
        }
        call.request = nil
        partialBytes -= call.partialBytes
        call.partialBytes = 0
        start(call)
        if call.phase == .open { loop.rpc.received(call, request) }
        if call.phase == .open && call.kind == .serverStream { loop.rpc.halfClosed(call) }
    }

    /// Ends a call by Transport's own decision; a handler that knows the call is told.
    func abandon(_ call: RPCCall, _ status: RPCStatus, _ reason: CancelReason = .reset) {
        partialBytes -= call.partialBytes
        call.partialBytes = 0
        call.request = nil
        let isKnown = call.isStarted
        call.isAbandoned = true
        finish(call, status)
        if isKnown {
            loop.touchRPC()
            loop.rpc.cancelled(call, reason)
        }
    }
}
