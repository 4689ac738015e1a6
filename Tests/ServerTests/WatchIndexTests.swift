// WatchIndexTests.swift: which watches a key concerns, against asking every one of them.
// Belongs here: WatchIndex and WatchRange alone. Never here: delivery (WatchHubTests).

import Testing

@testable import Server

@Suite struct WatchIndexTests {
    private static func watcher(_ id: Int64, _ key: [UInt8], _ end: [UInt8]) -> Watcher {
        Watcher(
            WatchCreateRequest(key: Bytes(key), rangeEnd: Bytes(end)), id: id,
            stream: WatchStream(call: FakeCall()), nextRevision: 1)
    }

    private static func found(_ index: WatchIndex, _ key: [UInt8]) -> [Int64] {
        var ids: [Int64] = []
        index.forEachWatcher(of: Bytes(key)) { ids.append($0.id) }
        return ids.sorted()
    }

    @Test("index: bounds are closed below and open above; an open end has none")
    func bounds() {
        var index = WatchIndex()
        index.insert(Self.watcher(1, [2], []))
        index.insert(Self.watcher(2, [2], [4]))
        index.insert(Self.watcher(3, [3], [0]))
        #expect(Self.found(index, [1, 9]) == [])
        #expect(Self.found(index, [2]) == [1, 2])
        #expect(Self.found(index, [2, 0]) == [2])
        #expect(Self.found(index, [3, 0xff]) == [2, 3])
        #expect(Self.found(index, [4]) == [3])
        #expect(Self.found(index, [0xff, 0xff]) == [3])
        #expect(index.count == 3)
    }

    @Test(
        "index: any insertions and removals find what a search of all would",
        arguments: 0..<30 as Range<UInt64>)
    func againstSearch(seed: UInt64) {
        // Given short keys of few bytes, so that ranges nest, touch and coincide
        var random = WireRandom(seed: seed)
        func key() -> [UInt8] {
            (0..<Int.random(in: 1...3, using: &random)).map { _ in
                [0, 1, 2, 0xff][Int.random(in: 0..<4, using: &random)]
            }
        }
        var index = WatchIndex()
        var all: [Watcher] = []
        for id in 0..<200 as Range<Int64> {
            if !all.isEmpty, random.chance(3) {
                index.remove(all.remove(at: Int.random(in: 0..<all.count, using: &random)))
            } else {
                let end: [UInt8] = random.chance(3) ? [] : random.chance(4) ? [0] : key()
                let watcher = Self.watcher(id, key(), end)
                index.insert(watcher)
                all.append(watcher)
            }
            #expect(index.count == all.count)
            let asked = key()
            let wanted = all.filter { watcher in
                asked.withUnsafeBytes { watcher.range.contains($0) }
            }.map(\.id).sorted()
            #expect(Self.found(index, asked) == wanted, "seed \(seed), key \(asked)")
        }
        for watcher in all { index.remove(watcher) }
        #expect(index.count == 0)
        #expect(Self.found(index, [1]).isEmpty)
    }

    @Test("range: it is empty where no key can be in it, and only there")
    func emptyRanges() {
        func isEmpty(_ key: Bytes, _ end: Bytes) -> Bool {
            WatchCreateRequest(key: key, rangeEnd: end).isRangeEmpty
        }
        #expect(!isEmpty("a", ""))
        #expect(!isEmpty("a", [0]))
        #expect(!isEmpty("a", "b"))
        #expect(!isEmpty("a", [0x61, 0]))
        #expect(isEmpty("a", "a"))
        #expect(isEmpty("b", "a"))
        #expect(isEmpty("", [0, 0]) == false)
    }
}
