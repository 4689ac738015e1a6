// Bytes.swift: comparing and reading bytes that belong to someone else.
// Belongs here: small helpers over raw buffers. Never here: anything that keeps them.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Whether two buffers hold the same bytes.
@inline(__always)
func equalBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard let a = left.baseAddress, let b = right.baseAddress else { return true }
    return memcmp(a, b, left.count) == 0
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are exactly this text.
    @inline(__always)
    func equals(_ text: StaticString) -> Bool {
        equalBytes(
            self, UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Whether the bytes begin with this text.
    @inline(__always)
    func begins(with text: StaticString) -> Bool {
        guard count >= text.utf8CodeUnitCount else { return false }
        return UnsafeRawBufferPointer(rebasing: self[..<text.utf8CodeUnitCount]).equals(text)
    }

    /// The bytes as text, with the replacement character for what is not UTF-8.
    var text: String {
        String(decoding: self, as: UTF8.self)
    }
}
