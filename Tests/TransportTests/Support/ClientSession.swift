// ClientSession.swift: an HTTP/2 client in memory, over nghttp2's client session.
// Belongs here: what a gRPC client sends and sees. Never here: sockets (BlockingClient.swift),
// expectations.

import CNGHTTP2

/// What the client sees of one of its streams.
final class ClientStream {
    var headers: [(String, String)] = []
    var trailers: [(String, String)] = []
    var data: [UInt8] = []
    var isRemoteEnded = false
    var closeCode: UInt32?
    fileprivate var body: [UInt8] = []
    fileprivate var isEnded = false
    fileprivate var isDeferred = false

    func value(_ name: String) -> String? {
        (trailers + headers).first { $0.0 == name }?.1
    }

    var grpcStatus: Int? { value("grpc-status").flatMap { Int($0) } }
    var grpcMessage: String? { value("grpc-message") }

    /// The messages received so far, without their prefixes.
    var messages: [[UInt8]] {
        var found: [[UInt8]] = []
        var rest = data[...]
        while rest.count >= 5 {
            let length = rest.dropFirst().prefix(4).reduce(0) { $0 << 8 | Int($1) }
            guard rest.count >= 5 + length else { break }
            found.append(Array(rest.dropFirst(5).prefix(length)))
            rest = rest.dropFirst(5 + length)
        }
        return found
    }
}

final class ClientSession {
    private var session: OpaquePointer?
    private(set) var streams: [Int32: ClientStream] = [:]
    private(set) var goAwayCode: UInt32?
    private(set) var goAwayText = ""
    private(set) var pingAnswers = 0
    /// Streams whose DATA arrived, in order of arrival.
    private(set) var dataOrder: [Int32] = []
    /// Whether received bytes are given back to the server's windows.
    private let grantsWindow: Bool

    init(windowBytes: UInt32 = 65_535, grantsWindow: Bool = true) {
        self.grantsWindow = grantsWindow
        var callbacks: OpaquePointer?
        var option: OpaquePointer?
        precondition(nghttp2_session_callbacks_new(&callbacks) == 0)
        precondition(nghttp2_option_new(&option) == 0)
        defer {
            nghttp2_session_callbacks_del(callbacks)
            nghttp2_option_del(option)
        }
        if !grantsWindow { nghttp2_option_set_no_auto_window_update(option, 1) }
        install(callbacks)
        let owner = Unmanaged.passUnretained(self).toOpaque()
        precondition(nghttp2_session_client_new2(&session, callbacks, owner, option) == 0)
        let settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
                value: windowBytes)
        ]
        nghttp2_submit_settings(session, 0, settings, 1)
        if windowBytes > 65_535 {
            nghttp2_session_set_local_window_size(session, 0, 0, Int32(windowBytes))
        }
    }

    deinit {
        nghttp2_session_del(session)
    }

    /// Sends request headers and perhaps the whole body; `ends` closes the client's side after it.
    @discardableResult
    func request(
        _ path: String, method: String = "POST", headers: [(String, String)]? = nil,
        body: [UInt8] = [], ends: Bool = true
    ) -> (id: Int32, stream: ClientStream) {
        let lines =
            [
                (":method", method), (":scheme", "http"), (":path", path),
                (":authority", "localhost"),
            ] + (headers ?? [("content-type", "application/grpc"), ("te", "trailers")])
        let stream = ClientStream()
        stream.body = body
        stream.isEnded = ends
        var provider = nghttp2_data_provider(
            source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()),
            read_callback: { _, _, buffer, countMax, flags, source, _ in
                guard let buffer, let flags, let pointer = source?.pointee.ptr else { return -1 }
                let stream = Unmanaged<ClientStream>.fromOpaque(pointer).takeUnretainedValue()
                return ClientSession.read(stream, into: buffer, countMax: countMax, flags: flags)
            })
        let hasBody = !body.isEmpty || !ends
        let id = Self.withFields(lines) { fields in
            withUnsafePointer(to: &provider) { provider in
                nghttp2_submit_request(
                    session, nil, fields.baseAddress, fields.count, hasBody ? provider : nil, nil)
            }
        }
        precondition(id > 0, "request refused by nghttp2: \(id)")
        streams[id] = stream
        return (id, stream)
    }

    /// Sends more of the body of an open stream.
    func send(_ bytes: [UInt8], on id: Int32, ends: Bool = false) {
        guard let stream = streams[id] else { return }
        stream.body += bytes
        stream.isEnded = ends
        if stream.isDeferred {
            stream.isDeferred = false
            nghttp2_session_resume_data(session, id)
        }
    }

    func reset(_ id: Int32) {
        nghttp2_submit_rst_stream(session, 0, id, NGHTTP2_CANCEL.rawValue)
    }

    /// Opens the windows of a stream and of the connection by hand.
    func grant(_ count: Int32, on id: Int32) {
        nghttp2_submit_window_update(session, 0, id, count)
        nghttp2_submit_window_update(session, 0, 0, count)
    }

    func ping() {
        nghttp2_submit_ping(session, 0, nil)
    }

    func submitSettings() {
        nghttp2_submit_settings(session, 0, nil, 0)
    }

    /// All bytes the client has to say now.
    func output() -> [UInt8] {
        var all: [UInt8] = []
        while true {
            var bytes: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(session, &bytes)
            guard count > 0, let bytes else { return all }
            all.append(contentsOf: UnsafeBufferPointer(start: bytes, count: count))
        }
    }

    /// Takes bytes of the server; false when they break the protocol.
    @discardableResult
    func input(_ bytes: [UInt8]) -> Bool {
        nghttp2_session_mem_recv(session, bytes, bytes.count) == bytes.count
    }

    private static func read(
        _ stream: ClientStream, into buffer: UnsafeMutablePointer<UInt8>, countMax: Int,
        flags: UnsafeMutablePointer<UInt32>
    ) -> Int {
        let count = min(countMax, stream.body.count)
        if count == 0 && !stream.isEnded {
            stream.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        for index in 0..<count { buffer[index] = stream.body[index] }
        stream.body.removeFirst(count)
        if stream.body.isEmpty && stream.isEnded {
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
        }
        return count
    }

    private static func withFields<Result>(
        _ lines: [(String, String)], _ body: (UnsafeBufferPointer<nghttp2_nv>) -> Result
    ) -> Result {
        var text: [UInt8] = []
        for (name, value) in lines { text += Array(name.utf8) + Array(value.utf8) }
        return text.withUnsafeMutableBufferPointer { bytes in
            var offset = 0
            var fields: [nghttp2_nv] = []
            for (name, value) in lines {
                fields.append(
                    nghttp2_nv(
                        name: bytes.baseAddress?.advanced(by: offset),
                        value: bytes.baseAddress?.advanced(by: offset + name.utf8.count),
                        namelen: name.utf8.count, valuelen: value.utf8.count, flags: 0))
                offset += name.utf8.count + value.utf8.count
            }
            return fields.withUnsafeBufferPointer(body)
        }
    }

    // MARK: Callbacks

    private static func of(_ owner: UnsafeMutableRawPointer?) -> ClientSession {
        guard let owner else { preconditionFailure("no user data") }
        return Unmanaged<ClientSession>.fromOpaque(owner).takeUnretainedValue()
    }

    private func install(_ callbacks: OpaquePointer?) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameCount, value, valueCount, _, owner in
            guard let frame else { return 0 }
            let name = String(
                decoding: UnsafeBufferPointer(start: name, count: nameCount), as: UTF8.self)
            let value = String(
                decoding: UnsafeBufferPointer(start: value, count: valueCount), as: UTF8.self)
            let stream = ClientSession.of(owner).streams[frame.pointee.hd.stream_id]
            if frame.pointee.headers.cat == NGHTTP2_HCAT_RESPONSE {
                stream?.headers.append((name, value))
            } else {
                stream?.trailers.append((name, value))
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
            _, _, id, bytes, count, owner in
            let client = ClientSession.of(owner)
            client.dataOrder.append(id)
            client.streams[id]?.data.append(
                contentsOf: UnsafeBufferPointer(start: bytes, count: count))
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, owner in
            ClientSession.of(owner).streams[id]?.closeCode = code
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, owner in
            guard let frame else { return 0 }
            ClientSession.of(owner).received(frame)
            return 0
        }
    }

    private func received(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        if header.flags & 1 != 0, header.type <= 1 {
            streams[header.stream_id]?.isRemoteEnded = true
        }
        switch UInt32(header.type) {
        case NGHTTP2_PING.rawValue:
            if header.flags & 1 != 0 { pingAnswers += 1 }
        case NGHTTP2_GOAWAY.rawValue:
            let goAway = frame.pointee.goaway
            goAwayCode = goAway.error_code
            goAwayText = String(
                decoding: UnsafeBufferPointer(
                    start: goAway.opaque_data, count: goAway.opaque_data_len), as: UTF8.self)
        default: break
        }
    }
}

/// A gRPC message with its prefix.
func framed(_ message: [UInt8], flag: UInt8 = 0) -> [UInt8] {
    let count = UInt32(message.count)
    return [
        flag, UInt8(truncatingIfNeeded: count >> 24), UInt8(truncatingIfNeeded: count >> 16),
        UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count),
    ] + message
}
