// HTTPExchange.swift: a plain HTTP request that came over HTTP/2.
// Belongs here: the request while it arrives, and its answer. Never here: HTTP/1.1 (HTTP1/).

import CNGHTTP2
import NIOCore

/// A plain HTTP request while it arrives.
final class HTTPExchange {
    let method: String
    let target: String
    var headers: [(String, String)]
    var body: [UInt8] = []
    /// The answer that the handler gives in parts, while it does.
    var stream: HTTPStream?

    init(method: String, target: String, headers: [(String, String)]) {
        self.method = method
        self.target = target
        self.headers = headers
    }
}

extension HTTP2Connection {
    func beginHTTP(_ call: RPCCall) {
        call.http = HTTPExchange(
            method: headers.isPost ? "POST" : headers.rare.method, target: headers.rare.path,
            headers: headers.rare.all)
        // Headers are kept until the request is complete, and count like its body.
        call.partialBytes = headers.byteCount
        partialBytes += headers.byteCount
        guard partialBytes <= limits.partialBytesMax else {
            answerHTTP(call, HTTPResponse(status: 503))
            return
        }
        if call.isRemoteClosed { handleHTTP(call) }
    }

    func bodyReceived(_ call: RPCCall, _ bytes: UnsafeRawBufferPointer) {
        guard let exchange = call.http else { return }
        let isTooLarge = exchange.body.count + bytes.count > limits.httpBodyBytesMax
        if isTooLarge || partialBytes + bytes.count > limits.partialBytesMax {
            answerHTTP(call, HTTPResponse(status: 413))
            return
        }
        exchange.body.append(contentsOf: bytes)
        call.partialBytes += bytes.count
        partialBytes += bytes.count
    }

    func handleHTTP(_ call: RPCCall) {
        guard let exchange = call.http else { return }
        partialBytes -= call.partialBytes
        call.partialBytes = 0
        let request = HTTPRequest(
            method: exchange.method, target: exchange.target, headers: exchange.headers,
            body: exchange.body, peer: peer)
        exchange.headers = []
        exchange.body = []
        let stream = HTTPStream(sink: call, isWebSocket: false)
        exchange.stream = stream
        if loop.http.open(request, stream) { return }
        exchange.stream = nil
        stream.leave()
        let eventLoop = loop.eventLoop
        loop.http.handle(request) { response in
            if eventLoop.inEventLoop {
                call.connection.answerHTTP(call, response)
            } else {
                eventLoop.execute { call.connection.answerHTTP(call, response) }
            }
        }
    }

    fileprivate func answerHTTP(_ call: RPCCall, _ response: HTTPResponse) {
        guard call.phase == .open, session != nil else { return }
        partialBytes -= call.partialBytes
        call.partialBytes = 0
        call.phase = .finished
        let isHead = call.http?.method == "HEAD"
        if !isHead && !response.body.isEmpty {
            call.output.append(response.body, prefix: nil)
            bufferedBytes += response.body.count
        }
        let length = ("content-length", String(response.body.count))
        submitHTTP(call, response, length, hasBody: call.output.byteCount > 0)
    }

    /// Begins an answer in parts.
    fileprivate func beginHTTP(_ call: RPCCall, _ response: HTTPResponse) {
        guard call.phase == .open, session != nil else { return }
        submitHTTP(call, response, nil, hasBody: true)
    }

    private func submitHTTP(
        _ call: RPCCall, _ response: HTTPResponse, _ length: (String, String)?, hasBody: Bool
    ) {
        guard let session else { return }
        precondition((200...599).contains(response.status), "HTTP status \(response.status)")
        call.hasResponded = true
        var lines = [(":status", String(response.status))]
        lines += response.headers.filter { !Self.connectionHeaders.contains($0.0) }
        if let length { lines.append(length) }
        var provider = HTTP2Callbacks.provider(of: call)
        withFields(lines) { fields in
            withUnsafePointer(to: &provider) { provider in
                check(
                    nghttp2_submit_response(
                        session.pointer, call.streamID, fields.baseAddress, fields.count,
                        hasBody ? provider : nil))
            }
        }
        loop.markDirty(self)
    }

    fileprivate func endHTTP(_ call: RPCCall) {
        guard call.phase == .open else { return }
        call.phase = .finished
        if call.isDeferred { resume(call) }
        loop.markDirty(self)
    }

    fileprivate func abortHTTP(_ call: RPCCall) {
        guard call.phase == .open else { return }
        call.phase = .finished
        bufferedBytes -= call.output.byteCount
        call.output.removeAll()
        session?.reset(call.streamID, NGHTTP2_INTERNAL_ERROR)
        loop.markDirty(self)
    }

    /// Headers that have no meaning in HTTP/2, and content-length, which is ours.
    private static let connectionHeaders: Set<String> = [
        "connection", "keep-alive", "transfer-encoding", "upgrade", "content-length",
    ]

    private func withFields(
        _ lines: [(String, String)], _ body: (UnsafeBufferPointer<nghttp2_nv>) -> Void
    ) {
        var text: [UInt8] = []
        for (name, value) in lines {
            text.append(contentsOf: name.lowercased().utf8)
            text.append(contentsOf: value.utf8)
        }
        text.withUnsafeMutableBufferPointer { bytes in
            var offset = 0
            var fields: [nghttp2_nv] = []
            for (name, value) in lines {
                let nameCount = name.lowercased().utf8.count
                let valueCount = value.utf8.count
                fields.append(
                    nghttp2_nv(
                        name: bytes.baseAddress?.advanced(by: offset),
                        value: bytes.baseAddress?.advanced(by: offset + nameCount),
                        namelen: nameCount, valuelen: valueCount, flags: 0))
                offset += nameCount + valueCount
            }
            fields.withUnsafeBufferPointer(body)
        }
    }
}

extension RPCCall: HTTPStreamSink {
    func respond(_ response: HTTPResponse) {
        http?.stream = nil
        connection.answerHTTP(self, response)
    }

    func begin(_ response: HTTPResponse) { connection.beginHTTP(self, response) }

    func write(_ bytes: [UInt8]) {
        guard phase == .open else { return }
        connection.queue(self, bytes, prefix: nil)
    }

    func end() {
        http?.stream = nil
        connection.endHTTP(self)
    }

    func abort() {
        http?.stream = nil
        connection.abortHTTP(self)
    }

    func setReading(_ isOn: Bool) {}
}
