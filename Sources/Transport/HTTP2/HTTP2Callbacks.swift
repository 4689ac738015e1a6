// HTTP2Callbacks.swift: the C functions nghttp2 calls, each one line of translation.
// Belongs here: pointers to types and back. Never here: decisions (HTTP2Connection+Receive, +Send).

import CNGHTTP2

enum HTTP2Callbacks {
    static func install(in callbacks: OpaquePointer?) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, owner in
            guard let frame else { return 0 }
            HTTP2Callbacks.with(owner) { $0.beginHeaders(frame) }
            return 0
        }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameCount, value, valueCount, _, owner in
            guard let frame else { return 0 }
            HTTP2Callbacks.with(owner) {
                $0.header(
                    streamID: frame.pointee.hd.stream_id,
                    name: UnsafeRawBufferPointer(start: name, count: nameCount),
                    value: UnsafeRawBufferPointer(start: value, count: valueCount))
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, owner in
            guard let frame else { return 0 }
            HTTP2Callbacks.with(owner) { $0.frameReceived(frame) }
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
            _, _, streamID, bytes, count, owner in
            HTTP2Callbacks.with(owner) {
                $0.dataReceived(
                    streamID: streamID, UnsafeRawBufferPointer(start: bytes, count: count))
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) {
            _, streamID, _, owner in
            HTTP2Callbacks.with(owner) { $0.streamClosed(streamID) }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, owner in
            guard let frame else { return 0 }
            HTTP2Callbacks.with(owner) { $0.frameSent(frame) }
            return 0
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) {
            _, _, code, owner in
            HTTP2Callbacks.with(owner) { $0.invalidFrame(Int(code)) }
            return 0
        }
        nghttp2_session_callbacks_set_send_data_callback(callbacks) {
            _, _, header, count, source, owner in
            guard let header, let call = HTTP2Callbacks.call(source) else {
                return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
            }
            return HTTP2Callbacks.with(owner) {
                $0.writeData(call, frameHeader: header, count: count)
            }
        }
    }

    /// The data provider whose source is a call.
    static func provider(of call: RPCCall) -> nghttp2_data_provider {
        nghttp2_data_provider(
            source: nghttp2_data_source(ptr: Unmanaged.passUnretained(call).toOpaque()),
            read_callback: { _, _, _, countMax, flags, source, owner in
                guard let flags, let call = HTTP2Callbacks.call(source) else {
                    return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
                }
                return HTTP2Callbacks.with(owner) {
                    $0.nextData(
                        call, countMax: countMax, flags: flags)
                }
            })
    }

    /// Calls `body` with the connection, which outlives its session: no reference count is touched.
    @inline(__always)
    private static func with<Result>(
        _ owner: UnsafeMutableRawPointer?, _ body: (HTTP2Connection) -> Result
    ) -> Result {
        guard let owner else { preconditionFailure("nghttp2 lost its user data") }
        return Unmanaged<HTTP2Connection>.fromOpaque(owner)._withUnsafeGuaranteedRef(body)
    }

    // The connection keeps a call until its stream is closed, so the pointer is good.
    @inline(__always)
    private static func call(_ source: UnsafeMutablePointer<nghttp2_data_source>?) -> RPCCall? {
        guard let pointer = source?.pointee.ptr else { return nil }
        return Unmanaged<RPCCall>.fromOpaque(pointer).takeUnretainedValue()
    }
}
