// Bytes.swift: a byte string that shares the storage of the message it was decoded from.
// Belongs here: slicing, comparing, hashing. Never here: what the bytes mean.
// Source: keys are ordered by unsigned bytes, a prefix before its extensions (semantics.md R3).

/// An immutable byte string, usually a slice of a request, taken without copying.
///
/// It keeps the whole storage alive: whoever holds it longer than the request copies it (`array`).
struct Bytes: Sendable {
    private let storage: [UInt8]
    private let start: UInt32
    private let end: UInt32

    /// The empty byte string.
    init() {
        self.init([])
    }

    /// All of `array`.
    init(_ array: [UInt8]) {
        self.init(storage: array, range: 0..<array.count)
    }

    /// The UTF-8 form of `text`.
    init(_ text: String) {
        self.init(Array(text.utf8))
    }

    /// The part `range` of `storage`, shared and not copied.
    init(storage: [UInt8], range: Range<Int>) {
        precondition(range.upperBound <= storage.count, "\(range) is past \(storage.count)")
        precondition(range.upperBound <= WireLimits.messageBytesMax, "\(range) is past 32 bits")
        self.storage = storage
        start = UInt32(truncatingIfNeeded: range.lowerBound)
        end = UInt32(truncatingIfNeeded: range.upperBound)
    }

    var count: Int { Int(end &- start) }

    var isEmpty: Bool { start == end }

    /// A copy of the bytes that does not keep the message alive.
    var array: [UInt8] { Array(storage[Int(start)..<Int(end)]) }

    subscript(position: Int) -> UInt8 {
        precondition(position >= 0 && position < count, "\(position) is past \(count)")
        return storage[Int(start) + position]
    }

    /// Lends the bytes to `body`; the pointer is valid only during the call.
    @inline(__always)
    func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try storage.withUnsafeBufferPointer { (whole) throws(Failure) -> Result in
            let part = UnsafeBufferPointer(rebasing: whole[Int(start)..<Int(end)])
            return try body(UnsafeRawBufferPointer(part))
        }
    }
}

extension Bytes: Hashable {
    static func == (left: Bytes, right: Bytes) -> Bool {
        guard left.count == right.count else { return false }
        return left.withUnsafeBytes { a in right.withUnsafeBytes { b in order(a, b) == 0 } }
    }

    func hash(into hasher: inout Hasher) {
        withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension Bytes: Comparable {
    static func < (left: Bytes, right: Bytes) -> Bool {
        left.withUnsafeBytes { a in right.withUnsafeBytes { b in order(a, b) < 0 } }
    }

    /// The lexicographic order of two byte strings: negative, 0 or positive.
    private static func order(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let common = min(a.count, b.count)
        var position = 0
        while position + 8 <= common {
            let x = UInt64(bigEndian: a.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            let y = UInt64(bigEndian: b.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            if x != y { return x < y ? -1 : 1 }
            position += 8
        }
        while position < common {
            if a[position] != b[position] { return a[position] < b[position] ? -1 : 1 }
            position += 1
        }
        return a.count - b.count
    }
}

extension Bytes: ExpressibleByArrayLiteral, ExpressibleByStringLiteral {
    init(arrayLiteral elements: UInt8...) {
        self.init(elements)
    }

    init(stringLiteral text: String) {
        self.init(text)
    }
}
