// ReaderSlots.swift: which state each reader has pinned, and since when it may be looking at
// buffers.
// Belongs here: announcing and finding the oldest. Never here: what is freed thereupon.
// Invariants: (1) a reader announces with sequentially consistent stores before it looks at
// anything; who frees first unlinks, then looks at the announcements, in that order too; (2) so
// whoever is not seen cannot see it.

internal import Synchronization

/// One reader's announcement, on a cache line of its own.
struct ReaderSlot: ~Copyable {
    /// The epoch in which it began to look, or `idle`.
    let epoch = Atomic<UInt64>(ReaderSlot.idle)
    /// The index it needs, or `idle`.
    let pin = Atomic<UInt64>(ReaderSlot.idle)
    /// Guarded by the gate.
    var isTaken = false
    private var padding: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)

    static let idle = UInt64.max
}

/// The announcements of all readers.
struct ReaderSlots: ~Copyable {
    private let slots: UnsafeMutablePointer<ReaderSlot>
    /// How many slots have ever been used: only those are looked at.
    ///
    /// Grows under the gate.
    private let used = Atomic<Int>(0)
    /// Moves on with each round of collection.
    private let epoch = Atomic<UInt64>(1)

    init() {
        slots = .allocate(capacity: PageLimits.readersMax)
        for position in 0..<PageLimits.readersMax {
            (slots + position).initialize(to: ReaderSlot())
        }
    }

    deinit {
        slots.deallocate()
    }

    /// A free slot, or nil if all are taken.
    ///
    /// Called under the gate.
    func take() -> UnsafeMutablePointer<ReaderSlot>? {
        for position in 0..<PageLimits.readersMax where !slots[position].isTaken {
            slots[position].isTaken = true
            used.store(max(used.load(ordering: .relaxed), position + 1), ordering: .relaxed)
            return slots + position
        }
        return nil
    }

    /// Gives a slot back.
    ///
    /// Called under the gate.
    func give(_ slot: UnsafeMutablePointer<ReaderSlot>) {
        slot.pointee.pin.store(ReaderSlot.idle, ordering: .sequentiallyConsistent)
        slot.pointee.epoch.store(ReaderSlot.idle, ordering: .sequentiallyConsistent)
        slot.pointee.isTaken = false
    }

    /// From now until `leave`, nothing this thread can reach is freed.
    @inline(__always)
    func enter(_ slot: UnsafeMutablePointer<ReaderSlot>) {
        slot.pointee.epoch.store(
            epoch.load(ordering: .acquiring), ordering: .sequentiallyConsistent)
    }

    /// The opposite of `enter`.
    @inline(__always)
    func leave(_ slot: UnsafeMutablePointer<ReaderSlot>) {
        slot.pointee.epoch.store(ReaderSlot.idle, ordering: .releasing)
    }

    /// The smallest pinned index, at most `index`.
    ///
    /// Called under the gate.
    func oldestPin(atMost index: UInt64) -> UInt64 {
        var oldest = index
        for position in 0..<used.load(ordering: .relaxed) {
            oldest = min(oldest, slots[position].pin.load(ordering: .sequentiallyConsistent))
        }
        return oldest
    }

    /// All pinned indexes below `index`, ascending.
    ///
    /// Called under the gate.
    func pins(below index: UInt64) -> [UInt64] {
        var pins: [UInt64] = []
        for position in 0..<used.load(ordering: .relaxed) {
            let pin = slots[position].pin.load(ordering: .sequentiallyConsistent)
            if pin < index { pins.append(pin) }
        }
        pins.sort()
        return pins
    }

    /// The epoch that is written on what is unlinked now.
    var currentEpoch: UInt64 { epoch.load(ordering: .relaxed) }

    /// Starts a new epoch; what was unlinked before the returned one is out of every reader's
    /// reach.
    func advance() -> UInt64 {
        var oldest = epoch.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
        for position in 0..<used.load(ordering: .relaxed) {
            oldest = min(oldest, slots[position].epoch.load(ordering: .sequentiallyConsistent))
        }
        return oldest
    }
}
