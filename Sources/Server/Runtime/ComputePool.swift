// ComputePool.swift: threads for work that takes long and waits for nothing: hashing passwords, signing.
// Belongs here: the bound. Never here: what is computed (Auth/).
// Wish 31: neither an event loop nor the replica may wait for a hash.

internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Runs work on threads of its own, a bounded number of pieces at a time.
final class ComputePool: Sendable {
    private let pool: NIOThreadPool
    private let waiting = Atomic<Int>(0)

    init(threads: Int) {
        pool = NIOThreadPool(numberOfThreads: threads)
        pool.start()
    }

    /// Runs `work` and then, on a loop, `done`; false if too much waits already.
    func run(
        _ work: @escaping @Sendable () -> [UInt8]?, on loop: any EventLoop,
        then done: NIOLoopBound<([UInt8]?) -> Void>
    ) -> Bool {
        guard waiting.wrappingAdd(1, ordering: .relaxed).oldValue < AuthLimits.hashesWaitingMax
        else {
            waiting.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        pool.submit { [self] state in
            defer { waiting.wrappingSubtract(1, ordering: .relaxed) }
            guard state == .active else { return }
            let result = work()
            loop.execute { done.value(result) }
        }
        return true
    }

    /// Ends the threads; what waits is dropped.
    func stop() throws {
        try pool.syncShutdownGracefully()
    }
}
