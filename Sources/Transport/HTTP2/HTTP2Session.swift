// HTTP2Session.swift: a thin wrapper of one nghttp2 server session.
// Belongs here: creation, options, settings, and calls whose C form is awkward. Never here: gRPC,
// channels. Owner: the HTTP2Connection that made it, which also calls `destroy`.

import CNGHTTP2

struct HTTP2Session {
    let pointer: OpaquePointer

    /// Makes a session whose callbacks get `owner`; the owner must outlive it.
    init?(owner: UnsafeMutableRawPointer, limits: ConnectionLimits) {
        var callbacks: OpaquePointer?
        var options: OpaquePointer?
        var session: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
        defer { nghttp2_session_callbacks_del(callbacks) }
        guard nghttp2_option_new(&options) == 0 else { return nil }
        defer { nghttp2_option_del(options) }
        HTTP2Callbacks.install(in: callbacks)
        nghttp2_option_set_no_closed_streams(options, 1)
        // nghttp2 refuses an `:authority` that holds a whole URL, which etcdctl 3.4 sends: RequestHeaders
        // makes the same checks but that one.
        nghttp2_option_set_no_http_messaging(options, 1)
        nghttp2_option_set_no_auto_window_update(options, 1)
        nghttp2_option_set_max_outbound_ack(options, Limits.acknowledgementsMax)
        nghttp2_option_set_max_settings(options, Limits.settingsPerFrameMax)
        nghttp2_option_set_max_reserved_remote_streams(options, 0)
        nghttp2_option_set_max_continuations(options, Limits.continuationsMax)
        // Our own limit acts first and says why; this one is the backstop, above what a client of ours
        // can have answered in a second.
        let resets = UInt64(limits.resetsPerSecondMax) * 100
        nghttp2_option_set_stream_reset_rate_limit(options, resets, resets)
        guard nghttp2_session_server_new2(&session, callbacks, owner, options) == 0, let session
        else { return nil }
        pointer = session
        submitSettings(limits)
    }

    private func submitSettings(_ limits: ConnectionLimits) {
        var settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
                value: Limits.streamWindowBytes),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(limits.headerListBytesMax)),
        ]
        if limits.advertisedStreamsMax != UInt32.max {
            settings.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                    value: limits.advertisedStreamsMax))
        }
        let settled = nghttp2_submit_settings(
            pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
        let widened = nghttp2_session_set_local_window_size(
            pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Limits.connectionWindowBytes)
        precondition(settled == 0 && widened == 0, "nghttp2 refused its first settings")
    }

    /// Frees the session; nothing may use it afterwards.
    func destroy() {
        nghttp2_session_del(pointer)
    }

    /// Takes received bytes; a negative result is fatal for the connection.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
        nghttp2_session_mem_recv(
            pointer, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// Whether the protocol has nothing more to say or hear.
    var isDone: Bool {
        nghttp2_session_want_read(pointer) == 0 && nghttp2_session_want_write(pointer) == 0
    }

    /// Frames waiting to be sent, without DATA.
    var queuedFrames: Int { nghttp2_session_get_outbound_queue_size(pointer) }

    /// Queues RST_STREAM.
    func reset(_ streamID: Int32, _ code: nghttp2_error_code) {
        nghttp2_submit_rst_stream(
            pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue), streamID, code.rawValue)
    }

    /// Queues GOAWAY naming the last stream that was taken up.
    func goAway(_ code: nghttp2_error_code, debugText: StaticString) {
        nghttp2_submit_goaway(
            pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue),
            nghttp2_session_get_last_proc_stream_id(pointer), code.rawValue, debugText.utf8Start,
            debugText.utf8CodeUnitCount)
    }

    /// Queues PING.
    func ping() {
        nghttp2_submit_ping(pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
    }

    /// The reason of a negative result.
    static func text(of code: Int) -> String {
        String(cString: nghttp2_strerror(Int32(truncatingIfNeeded: code)))
    }
}
