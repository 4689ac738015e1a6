// Instruments.swift: the two simple kinds of metric: counts and levels. Belongs here: cheap updates
// from any thread (one relaxed atomic addition). Never here: names and text (MetricRegistry.swift).

import Synchronization

/// A number that only grows.
final class Counter: Sendable {
    private let stored = Atomic<UInt64>(0)
    private let source = Mutex<(@Sendable () -> UInt64)?>(nil)

    /// Adds to the count; any thread.
    func increment(by amount: UInt64 = 1) { stored.add(amount, ordering: .relaxed) }

    /// Lets a part that counts on its own be read at each scrape.
    ///
    /// - Parameter read: called on the scraping thread; must not wait for other threads' work.
    func bind(_ read: @escaping @Sendable () -> UInt64) { source.withLock { $0 = read } }

    /// The count, and with it that of the bound part.
    var value: UInt64 {
        let read = source.withLock { $0 }
        return stored.load(ordering: .relaxed) &+ (read?() ?? 0)
    }
}

/// A number that goes up and down.
final class Gauge: Sendable {
    private let stored = Atomic<Int64>(0)
    private let source = Mutex<(@Sendable () -> Double)?>(nil)

    /// Sets the level; any thread.
    func set(_ value: Int64) { stored.store(value, ordering: .relaxed) }

    /// Moves the level; any thread.
    func add(_ amount: Int64) { stored.add(amount, ordering: .relaxed) }

    /// Computes the level at each scrape instead.
    ///
    /// - Parameter read: called on the scraping thread; must not wait for other threads' work.
    func bind(_ read: @escaping @Sendable () -> Double) { source.withLock { $0 = read } }

    /// The level.
    var value: Double {
        let read = source.withLock { $0 }
        return read?() ?? Double(stored.load(ordering: .relaxed))
    }
}
