// LeaderObservation.swift: who leads under a name, and each change of it, as a stream.
// Belongs here: reading the first key, then watching it. Never here: the queue (KeyQueue.swift).
// Source: etcd semantics X6.
//
//   looking --(a first key)--> following its puts --(it was deleted)--> looking
//   looking --(none)--> awaiting the first put under the name --> looking

internal import Transport

/// One Observe call; confined to its event loop.
final class LeaderObservation: CoordinationOperation {
    private let front: Front
    private let call: any ServiceCall
    private let prefix: Bytes
    private var watch: InnerWatch?
    private var isOver = false

    init(_ front: Front, _ call: any ServiceCall, name: Bytes) {
        self.front = front
        self.call = call
        prefix = Bytes(name.array + [UInt8(ascii: "/")])
    }

    func begin() { look() }

    private func look() {
        front.ask(.range, KeyQueue.oldest(under: prefix), for: call) {
            [self] (result: Result<RangeAnswer, RPCStatus>) in
            guard !isOver else { return }
            switch result {
            case .success(let answer):
                guard let first = answer.kvs.first else {
                    return waitForFirst(from: answer.header.revision + 1)
                }
                send(answer.header, first)
                follow(first.key, from: answer.header.revision + 1)
            case .failure(let status): fail(status)
            }
        }
    }

    /// Waits until there is a key under the name.
    private func waitForFirst(from revision: Int64) {
        var request = WatchCreateRequest()
        request.key = prefix
        request.rangeEnd = KeyQueue.end(of: prefix)
        request.filters = [WatchCreateRequest.filterNoDelete]
        watch(request, from: revision) { [self] answer in
            guard !answer.events.isEmpty else { return }
            stopWatching()
            look()
        }
    }

    /// Sends what the leader proclaims until its key goes.
    private func follow(_ key: Bytes, from revision: Int64) {
        var request = WatchCreateRequest()
        request.key = key
        watch(request, from: revision) { [self] answer in
            for event in answer.events {
                guard !event.isDelete else {
                    stopWatching()
                    return look()
                }
                var header = answer.header
                header.revision = event.kv.modRevision
                send(header, event.kv)
            }
        }
    }

    private func watch(
        _ request: WatchCreateRequest, from revision: Int64,
        _ then: @escaping (WatchAnswer) -> Void
    ) {
        var request = request
        request.startRevision = revision
        watch = front.observe(request, for: call) { [self] result in
            guard !isOver else { return }
            switch result {
            case .success(let answer) where answer.isCanceled:
                stopWatching()
                guard answer.compactRevision != 0 else {
                    return fail(RPCStatus(.unknown, answer.cancelReason))
                }
                // The history it was to read is gone: only the present counts.
                look()
            case .success(let answer): then(answer)
            case .failure(let status): fail(status)
            }
        }
    }

    private func send(_ header: ResponseHeader, _ kv: WireKeyValue) {
        guard call.isOpen else { return }
        var writer = ProtoWriter()
        writer.leaderResponse(header, kv)
        call.send(writer.take())
    }

    private func stopWatching() {
        guard let watch else { return }
        self.watch = nil
        front.stop(watch)
    }

    private func fail(_ status: RPCStatus) {
        isOver = true
        stopWatching()
        guard call.isOpen else { return }
        call.finish(RPCStatus(.unknown, status.message))
    }

    func cancel() {
        isOver = true
        stopWatching()
    }

    func drained() {
        guard let watch else { return }
        front.drained(holder: watch.held)
    }
}
