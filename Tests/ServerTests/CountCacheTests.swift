// CountCacheTests.swift: what is remembered of a page's rest, and when it may be used.
// Belongs here: CountCache alone. Never here: counting (RangeOperationTests).

import Testing

@testable import Server

@Suite struct CountCacheTests {
    private static let end = KeyBounds.End.before("z")

    private static func cache() -> CountCache {
        var cache = CountCache()
        cache.insert(
            revision: 5, end: end,
            RangeContinuation(lastKey: Array("c".utf8), nextKey: Array("f".utf8), count: 7))
        return cache
    }

    @Test("counts: a page that begins after the last key and not after the next is known")
    func known() {
        let cache = Self.cache()
        for key in ["c\0", "d", "e\u{7f}", "f"] as [Bytes] {
            #expect(cache.count(revision: 5, bounds: KeyBounds(start: key, end: Self.end)) == 7)
        }
    }

    @Test("counts: another place, another end or another revision is not known")
    func unknown() {
        let cache = Self.cache()
        for key in ["a", "c", "f\0", "g"] as [Bytes] {
            #expect(cache.count(revision: 5, bounds: KeyBounds(start: key, end: Self.end)) == nil)
        }
        for end in [.single, .unbounded, .before("y")] as [KeyBounds.End] {
            #expect(cache.count(revision: 5, bounds: KeyBounds(start: "d", end: end)) == nil)
        }
        #expect(cache.count(revision: 6, bounds: KeyBounds(start: "d", end: Self.end)) == nil)
    }

    @Test("counts: only the newest are kept")
    func bounded() {
        var cache = Self.cache()
        for number in 0..<64 {
            cache.insert(
                revision: 6, end: .unbounded,
                RangeContinuation(lastKey: [UInt8(number)], nextKey: [UInt8(number), 1], count: 1))
        }
        #expect(cache.count(revision: 5, bounds: KeyBounds(start: "d", end: Self.end)) == nil)
        #expect(cache.count(revision: 6, bounds: KeyBounds(start: [0, 0], end: .unbounded)) == 1)
        #expect(cache.count(revision: 6, bounds: KeyBounds(start: [63, 0], end: .unbounded)) == 1)
    }
}
