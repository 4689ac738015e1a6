// Dice.swift: chance in the world, all of it from one seed.
// Belongs here: the streams and what can be drawn. Never here: what is decided by it.
// Each purpose has a stream of its own, so that one more draw in one disturbs no other.

import Raft

/// One stream of chance.
struct Dice: Sendable {
    /// What a stream decides.
    enum Purpose: UInt64, Sendable {
        case swarm = 1
        case network, disk, process, clients, faults, node
    }

    private var generator: SeededGenerator

    /// The stream of a purpose; `number` tells apart several of the same.
    init(seed: UInt64, _ purpose: Purpose, number: UInt64 = 0) {
        var root = SeededGenerator(seed: seed ^ purpose.rawValue &* 0xD6E8_FEB8_6659_FD93)
        generator = SeededGenerator(seed: root.next() ^ number &* 0xA24B_AED4_963E_E407)
    }

    /// Any number.
    mutating func next() -> UInt64 { generator.next() }

    /// A number below `bound`.
    mutating func below(_ bound: Int) -> Int {
        Int(generator.next(below: UInt64(bound)))
    }

    /// A number of a closed range.
    mutating func within(_ range: ClosedRange<UInt64>) -> UInt64 {
        let width = range.upperBound - range.lowerBound
        return range.lowerBound + (width == 0 ? 0 : generator.next(below: width + 1))
    }

    /// True in so many of a million cases; draws nothing if there is nothing to decide.
    mutating func chance(perMillion: UInt64) -> Bool {
        perMillion > 0 && generator.next(below: 1_000_000) < perMillion
    }

    /// True in so many of a hundred cases.
    mutating func chance(percent: UInt64) -> Bool {
        percent > 0 && generator.next(below: 100) < percent
    }

    /// A duration about a mean, mostly shorter, now and then much longer: up to 64 times.
    mutating func heavyTail(mean: UInt64) -> UInt64 {
        guard mean > 0 else { return 0 }
        var scale = mean
        var doublings = 0
        while doublings < 6, generator.next(below: 8) == 0 {
            scale *= 2
            doublings += 1
        }
        return scale / 4 + generator.next(below: max(1, scale))
    }

    /// One element of an array; nil of an empty one.
    mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[below(elements.count)]
    }

    /// The elements in another order.
    mutating func reordered<Element>(_ elements: [Element]) -> [Element] {
        var result = elements
        guard result.count > 1 else { return result }
        for place in (1..<result.count).reversed() { result.swapAt(place, below(place + 1)) }
        return result
    }
}
