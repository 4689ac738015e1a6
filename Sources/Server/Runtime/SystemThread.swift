// SystemThread.swift: a thread of the system.
// Belongs here: starting one and waiting for its end. Never here: what runs on it.

internal import Glibc
internal import Synchronization

/// A thread that runs one piece of code.
///
/// Its memory is given back when it was waited for, or when nobody can wait for it any more.
final class SystemThread: @unchecked Sendable {
    // @unchecked Sendable: `handle` is written once in the initialiser.
    private let handle: pthread_t
    private let isJoined = Atomic<Bool>(false)

    private final class Body: Sendable {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) {
            self.run = run
        }
    }

    init(_ run: @escaping @Sendable () -> Void) {
        var handle = pthread_t()
        let body = Unmanaged.passRetained(Body(run)).toOpaque()
        let code = pthread_create(
            &handle, nil,
            { raw in
                guard let raw else { return nil }
                Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run()
                return nil
            }, body)
        precondition(code == 0, "pthread_create: \(code)")
        self.handle = handle
    }

    /// Waits until it has ended; only the first to ask does.
    func join() {
        guard !isJoined.exchange(true, ordering: .relaxed) else { return }
        pthread_join(handle, nil)
    }

    deinit {
        if !isJoined.load(ordering: .relaxed) { pthread_detach(handle) }
    }
}
