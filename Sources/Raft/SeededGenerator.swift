// SeededGenerator.swift: the only source of chance of a node and of what is built on it.
// Belongs here: the generator. Never here: what is drawn (RaftNode+Election.swift).
// Source: the SplitMix64 recurrence, for which any seed, 0 too, is good.

/// A small generator whose whole state is one number, so that a copied node repeats its choices.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, each equally likely but for a share of `bound` in 2^64.
    ///
    /// Our own, since the standard library may change how it draws, and with it every trace.
    package mutating func next(below bound: UInt64) -> UInt64 {
        precondition(bound > 0, "no number is below zero")
        return next().multipliedFullWidth(by: bound).high
    }
}
