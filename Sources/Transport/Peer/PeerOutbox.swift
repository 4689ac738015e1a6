// PeerOutbox.swift: the frames that wait for one connection, put in by any thread and taken out by
// its event loop. Belongs here: the queue and its bound. Never here: sockets.
// Invariant: `bytes` counts the frames that were accepted and are not in the socket's queue yet; it
// exceeds the bound only by one call's frames, when those alone are more than the bound.

import Synchronization

final class PeerOutbox: Sendable {
    /// What became of frames that were put in.
    enum Result: Equatable {
        case refused
        case queued
        /// Queued, and the loop must be woken.
        case wake
    }

    private struct State {
        var frames: [PeerOutgoing] = []
        var bytes = 0
        var isOpen = true
        var isWakeUnderWay = false
        /// Frames were refused and the handler has not been told of room since.
        var wasFull = false
    }

    private let bytesMax: Int
    private let state = Mutex(State())

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    /// Takes all frames or none.
    func put(_ frames: [PeerOutgoing]) -> Result {
        let count = frames.reduce(0) { $0 + PeerFrameEncoder.count($1) }
        return state.withLock { state in
            guard state.isOpen else { return .refused }
            guard state.bytes == 0 || state.bytes + count <= bytesMax else {
                state.wasFull = true
                return .refused
            }
            state.bytes += count
            if state.frames.isEmpty { state.frames = frames } else { state.frames += frames }
            guard !state.isWakeUnderWay else { return .queued }
            state.isWakeUnderWay = true
            return .wake
        }
    }

    /// Everything put in since the last call; the loop calls it when it wakes.
    func take() -> [PeerOutgoing] {
        state.withLock { state in
            state.isWakeUnderWay = false
            var frames: [PeerOutgoing] = []
            swap(&frames, &state.frames)
            return frames
        }
    }

    /// Frees the room of frames given to the socket; true when the handler must hear of it.
    func gone(bytes: Int) -> Bool {
        state.withLock { state in
            state.bytes -= bytes
            precondition(state.bytes >= 0, "outbox holds \(state.bytes) bytes")
            guard state.wasFull, state.bytes <= bytesMax / 2 else { return false }
            state.wasFull = false
            return true
        }
    }

    /// Drops what waits and refuses all that comes.
    func close() {
        state.withLock { state in
            state.isOpen = false
            state.frames = []
        }
    }

    var isWritable: Bool { state.withLock { $0.isOpen && $0.bytes < bytesMax } }
    var isOpen: Bool { state.withLock { $0.isOpen } }
}
