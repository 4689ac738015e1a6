// HTTP2Connection+Send.swift: answers become frames, and frames one write per turn.
// Belongs here: response headers, data, trailers, the flush. Never here: what is answered.
// nghttp2 shares the connection among streams in turn, one DATA frame each; we stop asking for
// frames when the turn's bytes are reached or the channel is not writable, so a huge answer never
// delays a small one for long.

import CNGHTTP2
import NIOCore

extension HTTP2Connection {
    /// Queues bytes of a call's answer.
    func queue(_ call: RPCCall, _ bytes: consuming [UInt8], prefix: Int?) {
        let before = call.output.byteCount
        if let prefix {
            messageBytesSent += prefix
            call.sentBytes += prefix
            if call.kind != .unary { loop.rpc.sent(call) }
        }
        call.output.append(bytes, prefix: prefix)
        let after = call.output.byteCount
        bufferedBytes += after - before
        if after >= Limits.callWaterMarks.high { call.isAboveHighWater = true }
        if !call.hasResponded {
            respond(call)
        } else if call.isDeferred {
            resume(call)
        }
        loop.markDirty(self)
    }

    /// Ends a call after its queued messages.
    func finish(_ call: RPCCall, _ status: RPCStatus) {
        call.phase = .finished
        call.status = status
        if call.isStarted { loop.rpc.finished(call, status.code) }
        // A message begun in parts can never be completed: what is queued of it must not be sent.
        if call.partBytesLeft > 0 {
            bufferedBytes -= call.output.byteCount
            call.output.removeAll()
            session?.reset(call.streamID, NGHTTP2_INTERNAL_ERROR)
            loop.markDirty(self)
            return
        }
        if !call.hasResponded {
            submitTrailersOnly(call, .ok, status)
        } else if call.isDeferred {
            resume(call)
        }
        loop.markDirty(self)
    }

    /// Answers a request that is not a proper gRPC call.
    func refuse(_ call: RPCCall, _ httpStatus: HeaderFields.EarlyStatus, _ status: RPCStatus) {
        call.phase = .finished
        call.status = status
        submitTrailersOnly(call, httpStatus, status)
        loop.markDirty(self)
    }

    private func respond(_ call: RPCCall) {
        guard let session else { return }
        call.hasResponded = true
        pingPolicy.sent()
        var provider = HTTP2Callbacks.provider(of: call)
        withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: 2) { fields in
            fields.initializeElement(at: 0, to: HeaderFields.field(":status", "200"))
            fields.initializeElement(
                at: 1, to: HeaderFields.field("content-type", "application/grpc"))
            check(
                nghttp2_submit_response(
                    session.pointer, call.streamID, fields.baseAddress, 2, &provider))
        }
    }

    private func submitTrailersOnly(
        _ call: RPCCall, _ httpStatus: HeaderFields.EarlyStatus, _ status: RPCStatus
    ) {
        guard let session else { return }
        call.hasResponded = true
        pingPolicy.sent()
        StatusMessage.encode(status.message).withUnsafeBufferPointer { message in
            var fields = [
                HeaderFields.httpStatus(httpStatus),
                HeaderFields.field("content-type", "application/grpc"),
                HeaderFields.status(status.code),
            ]
            if status.code == .unimplemented {
                fields.append(HeaderFields.field("grpc-accept-encoding", "identity"))
            }
            if !message.isEmpty { fields.append(HeaderFields.field("grpc-message", message)) }
            check(
                nghttp2_submit_response(session.pointer, call.streamID, fields, fields.count, nil))
        }
    }

    private func submitTrailers(_ call: RPCCall, _ status: RPCStatus) -> Int32 {
        guard let session else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
        if status.message.isEmpty {
            return withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: 1) { fields in
                fields.initializeElement(at: 0, to: HeaderFields.status(status.code))
                return nghttp2_submit_trailer(session.pointer, call.streamID, fields.baseAddress, 1)
            }
        }
        return StatusMessage.encode(status.message).withUnsafeBufferPointer { message in
            let fields = [
                HeaderFields.status(status.code), HeaderFields.field("grpc-message", message),
            ]
            return nghttp2_submit_trailer(session.pointer, call.streamID, fields, fields.count)
        }
    }

    func resume(_ call: RPCCall) {
        guard let session else { return }
        call.isDeferred = false
        check(nghttp2_session_resume_data(session.pointer, call.streamID))
    }

    /// nghttp2 fails here only without memory, or for a stream that is closing anyway.
    func check(_ code: Int32) {
        if nghttp2_is_fatal(code) != 0 {
            fail(HTTP2Session.text(of: Int(code)))
        }
    }

    /// Tells nghttp2 how many bytes of the call go into the next DATA frame.
    func nextData(
        _ call: RPCCall, countMax: Int, flags: UnsafeMutablePointer<UInt32>
    ) -> Int {
        let available = call.output.byteCount
        let count = min(countMax, available)
        flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if count == available, call.phase == .finished {
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if let status = call.status {
                flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                if submitTrailers(call, status) != 0 {
                    return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
                }
            }
            return count
        }
        if count == 0 {
            call.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        return count
    }

    /// Writes one DATA frame: nine bytes of header, then bytes of the call.
    ///
    /// nghttp2 goes on with the next frame by itself unless told to pause.
    func writeData(_ call: RPCCall, frameHeader: UnsafePointer<UInt8>, count: Int) -> Int32 {
        loop.output.writeBytes(UnsafeRawBufferPointer(start: frameHeader, count: 9))
        call.output.write(count, into: &loop.output)
        bufferedBytes -= count
        if call.isAboveHighWater && call.output.byteCount < Limits.callWaterMarks.low {
            call.isAboveHighWater = false
            drainedCalls.append(call)
        }
        let isFull = loop.output.readableBytes >= Limits.outputBytesPerTurn
        return isFull ? NGHTTP2_ERR_PAUSE.rawValue : 0
    }

    func frameSent(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        let isAnswer =
            header.type == UInt8(NGHTTP2_HEADERS.rawValue)
            || header.type == UInt8(NGHTTP2_DATA.rawValue)
        guard isAnswer else { return }
        pingPolicy.sent()
        // An answer before the end of the request: tell the client to stop sending.
        if header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0,
            let call = findCall(header.stream_id), !call.isRemoteClosed
        {
            session?.reset(header.stream_id, NGHTTP2_NO_ERROR)
        }
    }

    /// Writes what the session has to say: at most one turn's worth, in one write.
    func flush() {
        isDirty = false
        guard let session, let context, !isFlushing else { return }
        isFlushing = true
        defer { isFlushing = false }
        if context.channel.isWritable || closesAfterFlush {
            let hasMore = fill(from: session)
            if isTorn { return }
            if loop.output.readableBytes > 0 {
                loop.counters.sent(
                    bytes: loop.output.readableBytes, messageBytes: messageBytesSent)
                messageBytesSent = 0
                context.writeAndFlush(wrapOutboundOut(loop.output), promise: nil)
            }
            if hasMore && context.channel.isWritable { loop.markDirty(self) }
        }
        reportDrained()
        if !isTorn, closesAfterFlush || session.isDone { closeWhenWritten(context) }
    }

    /// Closes the channel once it has written what it was given, or could not for too long.
    private func closeWhenWritten(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        closesAfterFlush = true
        let channel = context.channel
        let written = loop.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { _ in channel.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
        guard !isTorn else { return }
        keepaliveTask?.cancel()
        keepaliveTask = loop.eventLoop.scheduleTask(
            in: .nanoseconds(limits.keepaliveTimeoutNanoseconds)
        ) {
            channel.close(promise: nil)
        }
    }

    /// Fills the loop's buffer with frames; true if there are more than fit.
    private func fill(from session: HTTP2Session) -> Bool {
        loop.clearOutput()
        isInSession = true
        defer {
            isInSession = false
            if isTorn { freeSession() }
        }
        while loop.output.readableBytes < Limits.outputBytesPerTurn {
            var bytes: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(session.pointer, &bytes)
            guard count > 0, let bytes else {
                if count < 0 {
                    loop.reportFailure(
                        .connectionFailed(
                            peer: peer.address, reason: HTTP2Session.text(of: count)))
                    closesAfterFlush = true
                }
                // Nothing more to say, or paused by `writeData`.
                return count == 0 && loop.output.readableBytes >= Limits.outputBytesPerTurn
            }
            loop.output.writeBytes(UnsafeRawBufferPointer(start: bytes, count: count))
        }
        return true
    }

    private func reportDrained() {
        guard !drainedCalls.isEmpty else { return }
        let drained = drainedCalls
        drainedCalls = []
        for call in drained where call.phase == .open {
            if let http = call.http {
                if let stream = http.stream { loop.http.drained(stream) }
                continue
            }
            loop.touchRPC()
            loop.rpc.drained(call)
        }
    }
}
