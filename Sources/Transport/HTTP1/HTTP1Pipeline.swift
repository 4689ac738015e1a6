// HTTP1Pipeline.swift: the handlers of an HTTP/1.1 connection, which may become a WebSocket.
// Belongs here: their order, the upgrade. Never here: what is answered.
// A connection is upgraded by its first request or not at all, as browsers do it.

import NIOCore
import NIOHTTP1
import NIOWebSocket

struct HTTP1Pipeline: Sendable {
    let loop: LoopContext
    let peer: PeerInfo
    let limits: ConnectionLimits

    func install(in pipeline: ChannelPipeline.SynchronousOperations) throws {
        let handler = HTTP1Handler(loop: loop, peer: peer, limits: limits)
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: limits.httpBodyBytesMax, automaticErrorHandling: false,
            shouldUpgrade: { channel, head in
                let isWanted = loop.http.accepts(webSocket: request(head))
                return channel.eventLoop.makeSucceededFuture(isWanted ? [:] : nil)
            },
            upgradePipelineHandler: { channel, head in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        WebSocketHandler(
                            loop: loop, request: request(head),
                            messageBytesMax: limits.httpBodyBytesMax))
                }
            })
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: true,
            withServerUpgrade: (
                upgraders: [upgrader],
                completionHandler: { context in
                    context.pipeline.syncOperations.removeHandler(handler, promise: nil)
                }
            ),
            withErrorHandling: false)
        try pipeline.addHandler(handler)
    }

    private func request(_ head: HTTPRequestHead) -> HTTPRequest {
        HTTPRequest(
            method: head.method.rawValue, target: head.uri,
            headers: head.headers.map { ($0.name.lowercased(), $0.value) }, body: [], peer: peer)
    }
}
