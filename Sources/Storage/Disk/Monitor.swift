// Monitor.swift: one mutex and the conditions that belong to it, on pthreads.
// Belongs here: locking and waking. Never here: what is guarded; each field names its monitor.
// Source: POSIX.1-2017 pthread_mutex_lock, pthread_cond_wait; unwaited signals cost no system call.

import Glibc

/// A mutual exclusion lock, not recursive.
package final class Monitor: @unchecked Sendable {
    // @unchecked Sendable: the mutex guards itself; the pointer never changes.
    fileprivate let mutex: UnsafeMutablePointer<pthread_mutex_t>

    /// Creates an unlocked monitor.
    package init() {
        mutex = .allocate(capacity: 1)
        let code = pthread_mutex_init(mutex, nil)
        precondition(code == 0, "pthread_mutex_init: \(code)")
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Waits for the lock and takes it.
    package func lock() {
        let code = pthread_mutex_lock(mutex)
        precondition(code == 0, "pthread_mutex_lock: \(code)")
    }

    /// Gives the lock back; only its holder may.
    package func unlock() {
        let code = pthread_mutex_unlock(mutex)
        precondition(code == 0, "pthread_mutex_unlock: \(code)")
    }
}

/// Something threads wait for while they hold a monitor.
package final class MonitorCondition: @unchecked Sendable {
    // @unchecked Sendable: the condition variable guards itself; the pointer never changes.
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    /// Creates a condition nobody waits for.
    package init() {
        condition = .allocate(capacity: 1)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Waits are measured by the clock that nobody sets.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        let code = pthread_cond_init(condition, &attributes)
        precondition(code == 0, "pthread_cond_init: \(code)")
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
    }

    /// Gives the monitor up until woken; the caller holds it before and after, and checks again
    /// why.
    package func wait(_ monitor: Monitor) {
        let code = pthread_cond_wait(condition, monitor.mutex)
        precondition(code == 0, "pthread_cond_wait: \(code)")
    }

    /// As `wait`, but not beyond a moment of the monotonic clock, which the caller has read.
    package func wait(_ monitor: Monitor, untilNanoseconds end: UInt64) {
        var time = timespec(
            tv_sec: Int(end / 1_000_000_000), tv_nsec: Int(end % 1_000_000_000))
        let code = pthread_cond_timedwait(condition, monitor.mutex, &time)
        precondition(code == 0 || code == ETIMEDOUT, "pthread_cond_timedwait: \(code)")
    }

    /// Wakes one waiter, if there is any.
    package func signal() {
        pthread_cond_signal(condition)
    }
}
