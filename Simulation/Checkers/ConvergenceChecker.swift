// ConvergenceChecker.swift: whether members that applied the same hold the same.
// Belongs here: comparing hashes and contents. Never here: taking them (the world).
// Source: design, section 6: all members at the same index hold the same bytes.

/// Compares hashes of pages by log index while a run goes on, and contents at its end.
package struct ConvergenceChecker {
    /// The first hash that was told for an index.
    private struct First {
        let member: UInt64
        let hash: UInt64
    }

    private var firsts: [UInt64: First] = [:]
    private var forgotten: UInt64 = 0

    package init() {}

    /// How many indexes are remembered; the caller bounds it with `forget`.
    package var count: Int { firsts.count }

    /// Takes the hash of all pages that a member holds after applying an index.
    package mutating func add(member: UInt64, index: UInt64, hash: UInt64) -> Violation? {
        guard index >= forgotten else { return nil }
        guard let first = firsts[index] else {
            firsts[index] = First(member: member, hash: hash)
            return nil
        }
        guard first.hash != hash else { return nil }
        return Violation(
            .divergence,
            "at index \(index) member \(member) has the page hash \(String(hash, radix: 16)), but"
                + " member \(first.member) had \(String(first.hash, radix: 16))")
    }

    /// Drops all below an index, which every member has passed.
    package mutating func forget(below index: UInt64) {
        forgotten = max(forgotten, index)
        firsts = firsts.filter { $0.key >= index }
    }

    /// Compares the contents of all members of a healed and quiet cluster.
    package static func check(_ contents: [FinalContent]) -> [Violation] {
        guard let first = contents.first else { return [] }
        return contents.dropFirst().compactMap { other in
            let names = "members \(first.member) and \(other.member)"
            if first.revision != other.revision {
                return Violation(
                    .divergence,
                    "\(names) end at the revisions \(first.revision) and \(other.revision)")
            }
            let pairs = zip(first.keyValues, other.keyValues)
            if let (one, two) = pairs.first(where: { $0 != $1 }) {
                return Violation(
                    .divergence,
                    "\(names) differ: \(Describe.keyValue(one)), \(Describe.keyValue(two))")
            }
            guard first.keyValues.count != other.keyValues.count else { return nil }
            return Violation(
                .divergence,
                "\(names) end with \(first.keyValues.count) and \(other.keyValues.count) keys")
        }
    }
}
